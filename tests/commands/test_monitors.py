"""What is monitored: refused before the first step where no validation has it, and handed to a sweeper at the end."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from command_cases import arguments, done, genkit, refused
from torch import Tensor

from genkit.assembly.sweep_value import best_value, to_minimise
from genkit.config.hydra import app as hydra_app
from genkit.config.hydra.grid import JobGrid
from genkit.data.sources.toy import Toy
from genkit.models.vae.vae import VAE
from genkit.training.options import CheckpointOptions

STOPPING = "callbacks=early_stopping"
MONITOR = "callbacks.early_stopping.monitor"


@pytest.mark.parametrize(
    ("family", "words", "said"),
    [
        ("vae", ["checkpoint.monitor=val/los"], ["checkpoint.monitor=val/los: ", "did you mean val/loss?", "null"]),
        ("vae", ["checkpoint.monitor=val/los", "trainer.max_steps=3"], ["did you mean val/loss?"]),
        ("vae", [STOPPING, f"{MONITOR}=val/los"], [f"{MONITOR}=val/los: ", "did you mean val/loss?"]),
        ("vae", ["checkpoint.monitor=train/loss"], ["val/kl"]),
        ("gan", [STOPPING], [f"{MONITOR}=val/loss: ", "val/discriminator/loss, ", "did you mean val/"]),
        ("vae", [STOPPING, f"{MONITOR}=quick/fid"], [f"{MONITOR}=quick/fid: ", "add metric=fid"]),
        (
            "vae",
            [STOPPING, f"{MONITOR}=quick/coverage", "metric=coverage"],
            ["callbacks.early_stopping.mode=min: of quick/coverage the maximum is best: set max"],
        ),
    ],
)
def test_a_wrong_monitor_is_refused_before_anything_is_written(
    work: Path, family: str, words: list[str], said: list[str]
) -> None:
    line = refused(2, *arguments(family, *words))
    assert all(text in line for text in said), line


def test_the_names_are_found_without_a_trace(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run whose monitor has to be looked up trains as one whose monitor is null."""
    plan = ("trainer.max_steps=4", "trainer.val_every_n_steps=2")
    for name, monitor in (("looked", "val/kl"), ("not", "null")):
        done(*arguments("vae", *plan, f"checkpoint.monitor={monitor}", f"run_dir={name}"))
    looked, plain = (work / name / "checkpoints/step-00000004/model.safetensors" for name in ("looked", "not"))
    assert looked.read_bytes() == plain.read_bytes()
    monkeypatch.setattr(VAE, "losses", None)  # where the contract names the term, no loss is computed
    assert genkit(*arguments("vae", *plan, "checkpoint.monitor=val/loss", "optimizer.lr=-1")).code == 2


@pytest.mark.parametrize(
    ("family", "words", "said"),
    [
        ("vae", ["lr_schedule.warmup_steps=10"], "lr_schedule.warmup_steps=10 (the rate ends at 20%)"),
        ("vae", ["trainer.val_every_n_steps=3"], "trainer.val_every_n_steps=3 (no validation, no best checkpoint)"),
        ("vae", ["trainer.log_every_n_steps=3"], "trainer.log_every_n_steps=3 (one line of losses, of the last step)"),
        ("gan", [], "the phase generator, which never trains"),
        ("vae", [STOPPING, "callbacks.early_stopping.patience=2"], "patience=2 of early stopping (2 validations"),
        ("vae", ["checkpoint.every_n_steps=9", "callbacks=null", "checkpoint.monitor=null"], None),
    ],
)
def test_what_a_run_is_too_short_for_is_said_in_one_line(family: str, words: list[str], said: str | None) -> None:
    fits = ("lr_schedule.warmup_steps=1", "trainer.val_every_n_steps=1", "trainer.log_every_n_steps=1")
    words = [word for word in words if word != "callbacks=null"]
    out = done(*arguments(family, *fits, *words, "trainer.max_steps=2", "run_dir=run"))
    notes = [line for line in out.splitlines() if line.startswith("note: ")]
    assert len(notes) == (said is not None)
    assert said is None or said in notes[0]


INF, NAN = math.inf, math.nan
LINES: list[dict[str, Any]] = [
    {"step": 1, "train/loss": 9.0},
    {"step": 2, "val/loss": "nan", "val/kl": 5.0},
    {"step": 4, "val/loss": 3.0, "val/kl": 7.0, "train/generator/loss": 8.0},
    {"step": 6, "val/loss": 4.0, "val/kl": 6.0},
]


@pytest.mark.parametrize(
    ("lines", "monitor", "mode", "latest", "value"),
    [
        (LINES, "val/loss", "min", {}, 3.0),
        (LINES, "val/kl", "max", {}, -7.0),
        (LINES, None, "min", {}, 4.0),
        (LINES, "quick/fid", "min", {}, 4.0),
        (LINES[:1], "val/loss", "min", {"train/loss": 2.0}, 2.0),
        (LINES[:1], None, "max", {}, 9.0),
        (LINES[1:2], "val/loss", "min", {}, INF),
        ([{"step": 1, "val/loss": 5.0, "val/kl": None}, {"step": 2, "val/kl": "word"}], "val/kl", "min", {}, 5.0),
        ([], "val/loss", "min", {}, INF),
    ],
)
def test_a_sweeper_receives_the_best_value_with_its_direction(
    lines: list[dict[str, Any]], monitor: str | None, mode: Any, latest: dict[str, float], value: float
) -> None:
    assert best_value(lines, CheckpointOptions(monitor=monitor, mode=mode), latest) == value


@pytest.mark.parametrize(
    ("value", "direction", "received"),
    [(2.0, "min", 2.0), (2.0, "max", -2.0), (2.0, "near", 2.0), (None, "max", INF), (NAN, "min", INF)],
)
def test_a_score_that_a_sweeper_receives(value: float | None, direction: Any, received: float) -> None:
    assert to_minimise(value, direction) == received


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> list[float | None]:
    """What Hydra or a sweeper was handed, job by job."""
    values: list[float | None] = []
    run_app = hydra_app.run_app

    def watched(verb: str, argv: Any, job: Callable[[Any], float | None]) -> None:
        def task(config: Any) -> float | None:
            values.append(job(config))
            return values[-1]

        run_app(verb, argv, task)

    run_sweep = JobGrid.run

    def watched_sweep(grid: JobGrid, *args: Any) -> list[float]:
        found = run_sweep(grid, *args)
        values.extend(found)
        return found

    monkeypatch.setattr("genkit.config.hydra.launch.run_app", watched)
    monkeypatch.setattr(JobGrid, "run", watched_sweep)
    return values


@pytest.mark.slow
def test_no_job_of_a_sweep_returns_none(work: Path, received: list[float | None]) -> None:
    """The first is well, the second diverges; again, the first is skipped; then it is resumed, then scored."""
    plan = ("trainer.max_steps=4", "trainer.val_every_n_steps=1", "trainer.log_every_n_steps=1")
    line = ["train", "-m", "optimizer.lr=1e-3,1e12", *arguments("vae", *plan)[1:], "run_dir=runs"]
    assert genkit(*line).code == 5
    assert genkit(*line).code == 5
    (run,) = work.glob("runs/0-*")
    done("train", f"resume={run}")
    done("eval", f"ckpt={run}", "metric=precision", "n=20", "baselines=false", "floor_repeats=0", "bootstrap=0")
    written = [json.loads(text) for text in (run / "metrics.jsonl").read_text().splitlines()]
    best = min(line["val/loss"] for line in written if "val/loss" in line)
    assert received[:5] == [best, INF, best, INF, best]
    assert received[5] is not None
    assert -1.0 <= received[5] <= 0.0  # of precision the maximum is best


def test_a_validation_that_is_not_finite_is_said_and_is_never_the_best(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = VAE.losses

    def poisoned(self: VAE, *args: Any) -> dict[str, Tensor]:
        terms = losses(self, *args)
        return terms if self.training or self.step not in (2, 4) else {k: v * torch.nan for k, v in terms.items()}

    monkeypatch.setattr(VAE, "losses", poisoned)
    plan = ("trainer.max_steps=8", "trainer.val_every_n_steps=2", "ema=null")
    out = done(*arguments("vae", *plan, STOPPING, "callbacks.early_stopping.patience=1", "run_dir=run"))
    warnings = [line for line in out.splitlines() if line.startswith("warning: ")]
    assert len(warnings) == 1
    assert warnings[0].startswith("warning: step 2: val/reconstruction is not finite, the output of every module is")
    assert "step 8/8" in out
    assert (work / "run" / "best").read_text() in ("step-00000006\n", "step-00000008\n")


@pytest.mark.parametrize("split", ["train", "val"])
def test_data_that_is_not_finite_is_refused_before_a_run_folder_is_made(
    work: Path, monkeypatch: pytest.MonkeyPatch, split: str
) -> None:
    original = Toy.split

    def poisoned(self: Toy, name: Any) -> Any:
        found = original(self, name)
        if name == split:
            found.x[5, 1] = torch.nan
        return found

    monkeypatch.setattr(Toy, "split", poisoned)
    line = refused(3, *arguments("vae", "data=toy", "run_dir=run"))
    assert f"1 example is not finite in the split {split}, number 5 first" in line


def test_what_failed_first_is_what_is_said(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loss that diverges while the disk is full: the note in run.json fails too, and hides nothing."""
    losses, rename = VAE.losses, os.rename

    def diverging(self: VAE, *args: Any) -> dict[str, Tensor]:
        if self.training and self.step == 2:
            monkeypatch.setattr(os, "rename", full)
            return {"loss": torch.tensor(torch.nan)}
        return losses(self, *args)

    def full(source: Any, target: Any) -> None:
        if "run" in str(target):
            raise OSError(28, "No space left on device")
        rename(source, target)

    monkeypatch.setattr(VAE, "losses", diverging)
    answer = genkit(*arguments("vae", "trainer.max_steps=4", "run_dir=run"))
    assert answer.code == 5, answer.err
    assert answer.err.startswith("genkit: error: step 2: train/loss is not finite")
    assert "run.json" not in answer.err
