"""Rows of `MOVED`: each leads to a class that a configuration may name, and to no more than that."""

import re
from pathlib import Path

import pytest

import genkit
from genkit.component import Component
from genkit.config import names
from genkit.config.hydra.signature import signature_of
from genkit.config.names import MOVED, current, first, with_current_names, with_first_names
from genkit.config.resolve import resolve
from genkit.errors import ConfigError
from genkit.metrics.base import ProbeMetric

A, B, C = "genkit.models.a.A", "genkit.models.b.B", "genkit.models.vae.vae.VAE"
PACKAGE = Path(genkit.__file__).parent


def chained(target: str, rows: dict[str, str]) -> list[str]:
    """Every name that a name leads to, itself included; ends where one comes again."""
    seen = [target]
    while (following := rows.get(seen[-1])) is not None:
        assert following not in seen, f"a circle: {seen}"
        seen.append(following)
    return seen


@pytest.fixture
def moved(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.setattr(names, "MOVED", {A: B, B: C})
    return names.MOVED


def test_every_row_leads_to_a_component_of_genkit() -> None:
    for old, new in MOVED.items():
        assert old.startswith("genkit.")
        assert new.startswith("genkit.")
        assert issubclass(resolve(chained(old, MOVED)[-1], at=old, trusted=False), Component)
        module, _, name = old.rpartition(".")
        file = PACKAGE.joinpath(*module.split(".")[1:]).with_suffix(".py")
        stands = file.is_file() and re.search(rf"^class {name}\b", file.read_text("utf-8"), re.MULTILINE)
        assert not stands, f"{old} stands there still: a row would hide it"


def test_a_circle_is_found() -> None:
    with pytest.raises(AssertionError, match="a circle"):
        chained(A, {A: B, B: A})


def test_chains_are_followed_both_ways(moved: dict[str, str]) -> None:
    assert [current(name) for name in (A, B, C)] == [C, C, C]
    assert [first(name) for name in (A, B, C)] == [A, A, A]
    for other in ("genkit.models.gan.gan.GAN", "torch.optim.Adam", "", None, 3, [A]):
        assert current(other) == other
        assert first(other) == other


def test_of_several_classes_that_became_one_the_topmost_row_gives_the_first_name(monkeypatch) -> None:
    monkeypatch.setattr(names, "MOVED", {A: C, B: C})
    assert (first(C), current(A), current(B)) == (A, C, C)


def test_every_node_is_renamed_wherever_it_stands(moved: dict[str, str]) -> None:
    node = {"_target_": A, "parts": [{"_target_": B, "x": 1}], "inner": {"deep": {"_target_": "other.X", "name": A}}}
    new = {"_target_": C, "parts": [{"_target_": C, "x": 1}], "inner": {"deep": {"_target_": "other.X", "name": A}}}
    assert with_current_names(node) == new
    assert with_first_names(new) == {**new, "_target_": A, "parts": [{"_target_": A, "x": 1}]}
    assert node["_target_"] == A


def test_a_class_is_found_by_its_earlier_names(moved: dict[str, str]) -> None:
    for trusted in (True, False):
        assert resolve(A, at="model", trusted=trusted) is resolve(C, at="model")
    assert signature_of(A) == signature_of(C) is not None


@pytest.mark.parametrize(
    "new",
    ["os.system", "genkit.cli.os.system", "genkit.commands.train.Trained", "torch.optim.Adam", "tests.X", C + ".x"],
)
def test_no_row_widens_what_a_checkpoint_may_name(new: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "MOVED", {A: new})
    with pytest.raises(ConfigError):
        resolve(A, at="model", trusted=False)


def test_a_metric_of_genkit_is_told_apart_by_its_name_alone() -> None:
    """The cache names an entry by the class without its module."""

    def below(cls: type) -> set[type]:
        return {cls} | {other for each in cls.__subclasses__() for other in below(each)}

    for file in (PACKAGE / "metrics").glob("*.py"):
        __import__(f"genkit.metrics.{file.stem}")
    own = [cls.__qualname__ for cls in below(ProbeMetric) if cls.__module__.startswith("genkit.")]
    assert len(own) == len(set(own)) > 10
