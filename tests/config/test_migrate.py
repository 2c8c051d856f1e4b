"""Configurations of another version: brought to the present form step by step, or refused in one line."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from genkit.assembly.recorded_config import read_config_yaml
from genkit.config import migrate, names
from genkit.config.migrate import STEPS, migrated, training_of_yaml
from genkit.errors import CheckpointError

PACKAGE = Path(migrate.__file__).parent.parent
WHERE = Path("config.json")
OLD = {"model": {"_target_": "genkit.old.A", "width": 3, "net": {"_target_": "genkit.old.A", "width": 4}}}


@pytest.fixture
def third(monkeypatch: pytest.MonkeyPatch) -> None:
    """A third version: 2 called an argument `hidden`, 3 doubles it; the class moved meanwhile."""

    def renamed(node: dict[str, Any]) -> dict[str, Any]:
        return {"hidden" if key == "width" else key: value for key, value in node.items()}

    def second(document: dict[str, Any]) -> dict[str, Any]:
        return names.each_node(document, lambda node: renamed(node) if node["_target_"] == "genkit.new.A" else node)

    def doubled(document: dict[str, Any]) -> dict[str, Any]:
        return names.each_node(document, lambda node: node | {"hidden": 2 * node["hidden"]})

    monkeypatch.setattr(names, "MOVED", {"genkit.old.A": "genkit.new.A"})
    monkeypatch.setattr(migrate, "SCHEMA", "genkit.config/3")
    monkeypatch.setattr(migrate, "STEPS", {1: second, 2: doubled})


def test_there_is_a_step_from_every_version_to_the_next() -> None:
    assert list(STEPS) == list(range(1, int(migrate.SCHEMA.rpartition("/")[2])))


def test_each_step_is_taken_once_and_no_schema_is_the_first(third: None) -> None:
    net = {"_target_": "genkit.new.A", "hidden": 8}
    now = {"model": {"_target_": "genkit.new.A", "hidden": 6, "net": net}, "schema": "genkit.config/3"}
    assert migrated(OLD, WHERE) == now
    assert migrated({**OLD, "schema": "genkit.config/1"}, WHERE) == now
    assert migrated({"model": net, "schema": "genkit.config/2"}, WHERE)["model"]["hidden"] == 16
    assert migrated(now, WHERE) == now
    assert training_of_yaml(OLD, WHERE) == {"model": now["model"]}
    assert training_of_yaml({**now, "schema": "genkit.config/3"}, WHERE) == {"model": now["model"]}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"_target_": "lightning.pytorch.loggers.TensorBoardLogger", "name": "", "log_graph": False},
         {"_target_": "genkit.loggers.tensorboard.TensorBoard"}),
        ({"_target_": "lightning.pytorch.loggers.CSVLogger"}, None),
        ({"_target_": "lightning.pytorch.loggers.WandbLogger"}, {"_target_": "lightning.pytorch.loggers.WandbLogger"}),
        (None, None),
    ],
)  # fmt: skip
def test_loggers_of_lightning_are_genkits_own(before: object, after: object) -> None:
    document = {"schema": "genkit.config/2", "train": {"seed": 0, "logger": before}}
    assert migrated(document, WHERE)["train"] == {"seed": 0, "logger": after}


def test_what_a_step_does_not_find_is_damage(third: None) -> None:
    with pytest.raises(CheckpointError, match=r"config\.json: its configuration is damaged: .*config/2 is \(KeyE"):
        migrated({"model": {"_target_": "genkit.new.A"}}, WHERE)


def test_autoencoders_of_version_3_keep_outputs_without_bounds() -> None:
    part = {"_target_": AE, "latent_dim": 4}
    whole = {"_target_": "genkit.models.latent_diffusion.LatentDiffusion", "autoencoder": part}
    for version, given, found in (
        (3, part, part | {"squash_output": False}),
        (3, whole, whole | {"autoencoder": part | {"squash_output": False}}),
        (3, part | {"squash_output": True}, part | {"squash_output": True}),
        (4, part, part),
    ):
        document = {"schema": f"genkit.config/{version}", "model": given, "train": {"model": given}}
        now = migrated(document, WHERE)
        assert now["model"] == found
        assert now["train"]["model"] == found


@pytest.mark.parametrize("kind", ["json", "yaml"])
@pytest.mark.parametrize(
    "schema", [None, [], ["genkit.config/1"], {}, 1, True, 10**400, "", "genkit.run/1", "\x1b]0;x\x07\n", "x" * 9999]
)
def test_a_malformed_schema_is_one_line(schema: Any, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({"schema": schema, "seed": 1}))
    with pytest.raises(CheckpointError) as refusal:
        read_config_yaml(path) if kind == "yaml" else migrated({"schema": schema}, WHERE)
    line = str(refusal.value)
    assert "its schema is" in line
    assert line.isprintable()
    assert len(line) < 300


def test_a_newer_schema_asks_for_a_newer_genkit(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("schema: genkit.config/7\nseed: 1\n")
    with pytest.raises(CheckpointError, match=r"config\.yaml: was written by a newer genkit .*: update genkit$"):
        read_config_yaml(tmp_path / "config.yaml")


def test_nothing_else_reads_the_configuration_of_a_checkpoint() -> None:
    """What called `Checkpoint.config` itself would see earlier names."""
    callers = [file for file in PACKAGE.rglob("*.py") if re.search(r"\.config\(\)", file.read_text("utf-8"))]
    assert callers == [PACKAGE / "config" / "migrate.py"]


def of_version_1(shape: tuple[int, ...], target: str, **arguments: Any) -> dict[str, Any]:
    """The model of a document of version 1 on images of a shape, read now."""
    spec = {"shape": list(shape), "modality": "image" if len(shape) == 3 else "vector"}
    model: dict[str, Any] = migrated({"spec": spec, "model": {"_target_": target, **arguments}}, WHERE)["model"]
    return {key: value for key, value in model.items() if key != "_target_"}


AE, GAN_OF_1 = "genkit.models.autoencoder.autoencoder.Autoencoder", "genkit.models.gan.gan.GAN"
PYRAMID_OF_1 = "genkit.flows.spline_flow.SplinePyramid"


@pytest.mark.parametrize("target", [AE, GAN_OF_1, "genkit.models.diffusion.Diffusion"])
def test_networks_that_version_1_chose_by_itself_are_written_out_for_colour(target: str) -> None:
    assert of_version_1((3, 32, 32), target, backbone=None)["backbone"]["channels"][:2] == [32, 64]
    assert of_version_1((1, 28, 28), target, backbone=None)["backbone"] is None
    own = {"_target_": "genkit.nn.mlp.MLP", "width": 8}
    assert of_version_1((3, 32, 32), target, backbone=own)["backbone"] == own


def test_sizes_of_version_1_are_kept_and_are_null_where_both_choose_alike() -> None:
    assert of_version_1((3, 32, 32), AE, latent_dim=None)["latent_dim"] == 16
    assert of_version_1((3, 32, 32), GAN_OF_1, latent_dim=32)["latent_dim"] == 32
    assert of_version_1((1, 8, 8), GAN_OF_1, latent_dim=32)["latent_dim"] is None
    assert of_version_1((2,), GAN_OF_1, latent_dim=32)["latent_dim"] is None
    assert of_version_1((2,), GAN_OF_1, latent_dim=5)["latent_dim"] == 5


@pytest.mark.parametrize(("side", "levels"), [(8, None), (28, None), (50, 1), (64, 3), (36, 2)])
def test_flows_of_version_1_stop_halving_at_an_odd_side(side: int, levels: int | None) -> None:
    assert of_version_1((1, side, side), PYRAMID_OF_1, levels=3)["levels"] == levels
