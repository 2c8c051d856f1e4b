"""A few of the faults that scripts/faults/ tries by the hundred."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts" / "faults"


@pytest.fixture(scope="module")
def scripts() -> dict[str, ModuleType]:
    sys.path.append(str(SCRIPTS))
    import configs
    import damage
    import faults
    import hostile
    import resume
    import strangers

    modules = (configs, damage, faults, hostile, resume, strangers)
    return {module.__name__: module for module in modules}


@pytest.fixture(scope="module")
def run(scripts: dict[str, ModuleType], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scripts["damage"].make_run(tmp_path_factory.mktemp("original"))


@pytest.mark.parametrize("number", range(9))
def test_damaged_checkpoints(scripts: dict[str, ModuleType], run: Path, tmp_path: Path, number: int) -> None:
    tally = scripts["faults"].Tally()
    scripts["damage"].trial(number, run, tmp_path, tally, random.Random(number))
    assert not tally.broken
    assert sum(tally.counts.values()) >= 1


def test_hostile_files_and_configurations(
    scripts: dict[str, ModuleType], run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from genkit.checkpoint.read import open_checkpoint
    from genkit.checkpoint.write import write_checkpoint

    monkeypatch.chdir(tmp_path)
    source, hostile, tally = (
        open_checkpoint(run / "checkpoints" / "step-00000006"),
        scripts["hostile"],
        scripts["faults"].Tally(),
    )
    good, weights = source.config(), source.model()
    chosen = {"model._target_='os.system'", "a nested target", "a resolver", "an absurd size", "an absurd shape"}
    for name, config in hostile.configs(good):
        if name in chosen:
            path = write_checkpoint(tmp_path / name[:12], 1, config=config, model=weights)
            hostile.attempt(name, path, tally)
    assert not tally.broken
    assert tally.counts["hostile checkpoints"] == len(chosen)


def test_run_folders_of_strangers(
    scripts: dict[str, ModuleType], run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of each kind that no other test has."""
    monkeypatch.chdir(tmp_path)
    strangers, tally = scripts["strangers"], scripts["faults"].Tally()
    outside = strangers.make_outside(tmp_path)
    watch = strangers.Watch(outside)
    chosen = {
        "a flow of 1024 layers on 2^28 values",
        "widths of 65,536",
        "a shape of [32768, 32768]",
        "a tensor larger than its file",
        "a tracking address",
        "an optimizer that is a call",
        "YAML with aliases",
        "config.yaml is a pipe",
        f"{strangers.STEP}/model.safetensors is 3 GiB of nothing",
    }
    for case in strangers.cases(run, outside, 0, random.Random(0)):
        if case[0] in chosen:
            strangers.trial(case, run, tmp_path, outside, watch, tally)
    assert not tally.broken
    assert tally.counts["cases"] == len(chosen)


def test_malformed_configurations(
    scripts: dict[str, ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tally, dice = scripts["faults"].Tally(), random.Random(0)
    refused = sum(scripts["configs"].attempt(1, tally, dice) for _ in range(20))
    assert not tally.broken
    assert refused > 10
    assert not any(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(("model", "accumulate"), [("vq_vae", 1), ("latent_diffusion", 2)])
def test_presets_resume_exactly(
    scripts: dict[str, ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str, accumulate: int
) -> None:
    """At the end of an epoch and within one, without workers and with two."""
    monkeypatch.chdir(tmp_path)
    tally = scripts["faults"].Tally()
    assert scripts["resume"].trial(model, accumulate, tmp_path, tally, ["backbone=mlp"]) == ["same"] * 4, tally.broken
