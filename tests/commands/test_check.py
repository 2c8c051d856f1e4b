"""`genkit check`: the words of a training tried out, and nothing left of it."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

import pytest
from command_cases import FAMILIES, MLP, QUICK, TOY, done, refused

from genkit.training.checkpoint_io import FolderCheckpointIO


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders go."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.mark.parametrize(
    ("family", "data"),
    [("gan", ()), pytest.param("vae", (), marks=pytest.mark.slow), pytest.param("flow", TOY, marks=pytest.mark.slow)],
)
def test_every_part_is_tried_and_nothing_kept(work: Path, scratch: Path, family: str, data: tuple[str, ...]) -> None:
    said = done("check", f"model={family}", *FAMILIES[family], *QUICK, *data)
    parts = [line.split()[0] for line in said.splitlines()]
    assert parts == ["data", "model", "training", "validation", "checkpoint", "samples", "memory", "time", "disk"]
    assert re.search(r"model +[\d,]+ parameters", said)
    assert ("discriminator" in said) == (family == "gan")
    found = re.search(r"for ([\d,]+) steps, .* for (\d+) validations, .* checkpoints?", said)
    assert found is not None
    assert int(found[1].replace(",", "")) // 250 == int(found[2])
    assert re.search(r"disk +[\d.]+ [KM]iB of checkpoints, .* of metrics; .* are free", said)
    assert not any(work.iterdir())
    assert not any(scratch.iterdir())


def test_products_in_bfloat16(work: Path) -> None:
    """Pictures while training are drawn too."""
    precision = "trainer.precision=bf16-mixed"
    assert "read back to the last bit" in done("check", "model=vae", *MLP, *QUICK, precision)
    done("train", "model=vae", *MLP, *QUICK, precision, "trainer.max_steps=1", "samples.every_n_steps=1", "run_dir=run")


@pytest.mark.slow
def test_a_run_that_is_shorter_than_the_trial(work: Path) -> None:
    assert "for 2 steps, " in done("check", "model=vae", *MLP, *QUICK, "trainer.max_steps=2")


def test_scores_pictures_processes_and_a_budget_count(work: Path) -> None:
    words = ("metric=fid", "trainer.devices=2", "budget=900cpu_s", "trainer=cpu", "data.batch_size=32")
    said = done("check", "model=vae", *MLP, *words)
    assert re.search(r"validation .* quick scores .* a picture ", said)
    assert re.search(r"budget +[\d,]+ steps in 900cpu_s, a validation every [\d,]+\n", said)
    assert re.search(r"CPU time .* sets of scores, .* for \d+ pictures, ", said)
    assert "of one process; in 2 each" in said
    assert not any(work.iterdir())


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("model=vea", 2, "there is no such option of model"),
        ("checkpoint.monitor=val/elbow", 2, "checkpoint.monitor=val/elbow"),
        ("optimizer.lr=1e12 trainer.gradient_clip=0", 5, "is not finite"),
        ("run_dir=new", 2, "run_dir=: genkit check keeps nothing"),
        ("data=mnist data.root=nowhere", 3, "nowhere does not exist"),
    ],
)
def test_what_does_not_work_is_said_as_train_says_it(scratch: Path, words: str, code: int, said: str) -> None:
    assert said in refused(code, "check", "model=vae", *MLP, *QUICK, *words.split())
    assert not any(scratch.iterdir())


def test_a_checkpoint_that_comes_back_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    save = FolderCheckpointIO.save_checkpoint

    def forgetful(self: FolderCheckpointIO, checkpoint: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        state = checkpoint["state_dict"]
        checkpoint["state_dict"] = {name: value * 2 for name, value in state.items()}
        save(self, checkpoint, *args, **kwargs)

    monkeypatch.setattr(FolderCheckpointIO, "save_checkpoint", forgetful)
    assert "does not come back as it was" in refused(1, "check", "model=vae", *MLP, *QUICK)
