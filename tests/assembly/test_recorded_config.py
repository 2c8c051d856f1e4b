"""The configuration in a run folder is a stranger's word: bounded, plain, complete, and it reaches components alone."""

import json
from pathlib import Path

import pytest

from genkit.assembly.recorded_config import check_recorded, read_config_yaml
from genkit.assembly.run import check_recorded_logger
from genkit.config.build import build_factory
from genkit.config.resolve import FOREIGN, OPTIMIZERS
from genkit.errors import CheckpointError, ConfigError

LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 11))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LAUGHS, "an alias"),
        ("a: &a\n  b: *a\n", "an alias"),
        ("<<: {a: 1}\nb: !!python/object/apply:os.system [touch canary]\n", "could not determine a constructor"),
        ("[" * 100_000, "nested too deep"),
        ("{a: " * 200 + "1" + "}" * 200, "nested deeper"),
        ("a: 2020-01-01\n", "a date cannot be written as JSON"),
        ("a: .nan\n", "nan cannot be written as JSON"),
        (f"a: {'9' * 10_000}\n", "integer string conversion"),
        ("- a\n", "holds no training configuration"),
        ("a: \xff", "no plain YAML"),
        ("#" * (2**20 + 1), "the limit is 1,048,576"),
    ],
)
def test_yaml_of_strangers_is_plain_and_small(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(CheckpointError, match=rf"^[^\n]*config\.yaml: [^\n]*{said}[^\n]*$"):
        read_config_yaml(path)


def recorded() -> dict[str, object]:
    node = {"_target_": "genkit.x.X"}
    names = ("data", "model", "optimizer", "lr_schedule", "trainer", "checkpoint", "samples", "ema", "quick")
    origin = {"ckpt": "a", "ckpt_sha256": "b", "named": "c"}
    return dict.fromkeys(names, node) | {
        "seed": 0,
        "plugins": [],
        "logger": None,
        "callbacks": {},
        "metric": {"fid": node},
        "optimizer_overrides": {"generator": {"lr": 0.1}},
        "embedded": {"autoencoder": origin},
    }


def test_every_key_of_a_recorded_configuration_is_looked_at() -> None:
    where = Path("run")
    assert check_recorded(json.loads(json.dumps(recorded())), where) == recorded()
    required = {"data", "model", "optimizer", "lr_schedule", "trainer", "checkpoint", "samples", "seed", "plugins"}
    for key in required | {"logger", "ema", "quick", "callbacks", "metric", "embedded"}:
        for value in ("word", 3.5, [1], {"a": 1}, {"a": "b"}):
            with pytest.raises(CheckpointError, match=rf"damaged: {key}"):
                check_recorded(recorded() | {key: value}, where)
    for key in required:
        with pytest.raises(CheckpointError, match=f"{key}: missing"):
            check_recorded({name: value for name, value in recorded().items() if name != key}, where)
    for settings in (None, [], "x", {}):
        with pytest.raises(CheckpointError):
            check_recorded(settings, where)


@pytest.mark.parametrize("target", FOREIGN)
def test_a_checkpoint_reaches_no_foreign_class_but_an_optimizer(target: str) -> None:
    if target in OPTIMIZERS:
        build_factory({"_target_": target}, at="optimizer", trusted=False, listed=OPTIMIZERS)
    with pytest.raises(ConfigError, match="may not be named"):
        build_factory(
            {"_target_": target}, at="x", trusted=False, listed=OPTIMIZERS if target not in OPTIMIZERS else ()
        )


LOGGERS = "genkit.loggers"


@pytest.mark.parametrize(
    ("node", "allowed"),
    [
        ({"_target_": f"{LOGGERS}.tensorboard.TensorBoard"}, True),
        ({"_target_": f"{LOGGERS}.wandb.WandB", "project": "p", "online": False}, True),
        ({"_target_": f"{LOGGERS}.mlflow.MLflow", "uri": None}, True),
        ({"_target_": f"{LOGGERS}.tensorboard.TensorBoard", "version": "/tmp/x"}, False),
        ({"_target_": f"{LOGGERS}.mlflow.MLflow", "uri": "http://example.org"}, False),
        ({"_target_": f"{LOGGERS}.mlflow.MLflow", "uri": "sqlite:////tmp/x.db"}, False),
        ({"_target_": f"{LOGGERS}.wandb.WandB", "online": True}, False),
        ({"_target_": "lightning.pytorch.loggers.WandbLogger"}, False),
        ({"_target_": "os.system"}, False),
        ({"_target_": ["a"]}, False),
        (["a"], False),
    ],
)
def test_a_logger_that_nobody_typed_writes_locally(node: object, allowed: bool) -> None:
    if allowed:
        check_recorded_logger(node)
    else:
        with pytest.raises(ConfigError, match="choose it again with logger="):
            check_recorded_logger(node)
