"""Every metric's YAML composes under its own name, alone, in lists and in suites, and builds with its defaults."""

import inspect
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

import genkit
from genkit.config.build import build
from genkit.metrics.base import ProbeMetric

CONF = Path(genkit.__file__).parents[1] / "conf" / "metric"
NAMES = sorted(path.stem for path in CONF.glob("*.yaml"))
SUITES = sorted(path.stem for path in (CONF / "suite").glob("*.yaml"))
IMAGE = ["fid", "kid", "precision", "recall", "density", "coverage", "bits_per_dim", "mse", "psnr"]


@pytest.fixture(
    params=["- _self_\n  - metric: null\n", "- _self_\n  - optional metric: null\n"], ids=["null", "optional"]
)
def primary(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A primary configuration with nothing but the metric group in it."""
    text = f"defaults:\n  {request.param}hydra:\n  searchpath: [file://{CONF.parent}]\nmetric: null\n"
    (tmp_path / "primary.yaml").write_text(text)
    return tmp_path


def composed(primary: Path, *overrides: str) -> Any:
    with initialize_config_dir(str(primary), version_base=None):
        config = OmegaConf.to_container(compose("primary", overrides=list(overrides)), resolve=True)
    assert isinstance(config, dict)
    return config["metric"]


def test_no_metric_is_the_default(primary: Path) -> None:
    assert composed(primary) is None


def test_a_metric_lies_under_its_name(primary: Path) -> None:
    assert list(composed(primary, "metric=fid")) == ["fid"]
    assert list(composed(primary, f"metric=[{','.join(NAMES)}]")) == NAMES


@pytest.mark.parametrize(
    ("override", "names"),
    [
        ("[fid,kid]", ["fid", "kid"]),
        ("suite/image", IMAGE),
        ("[suite/image]", IMAGE),
        ("[suite/image,mmd]", [*IMAGE, "mmd"]),
        ("[fid,suite/image]", IMAGE),
    ],
)
def test_lists_and_suites(primary: Path, override: str, names: list[str]) -> None:
    assert sorted(composed(primary, f"metric={override}")) == sorted(names)


def test_an_argument_inside_a_suite_can_be_changed(primary: Path) -> None:
    assert composed(primary, "metric=suite/image", "metric.precision.k=7")["precision"]["k"] == 7


@pytest.mark.parametrize("suite", SUITES)
def test_suites_name_metrics_that_exist(primary: Path, suite: str) -> None:
    assert set(composed(primary, f"metric=suite/{suite}")) <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_configuration_builds_with_the_constructor_s_own_defaults(name: str) -> None:
    node = OmegaConf.to_container(OmegaConf.load(CONF / f"{name}.yaml"))
    assert isinstance(node, dict)
    metric = build(node, at=f"metric.{name}", expect=ProbeMetric)
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in node.items()}
    defaults = {key: p.default for key, p in inspect.signature(type(metric)).parameters.items()}
    assert {**defaults, "_target_": node["_target_"]} == given
