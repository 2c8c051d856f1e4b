"""Steps of several micro-batches: what is logged of them, and that no callback acts once per micro-batch."""

from __future__ import annotations

import ast
import hashlib
import json
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
from torch import Tensor
from training_cases import Mean, Points, module_of, new, run_in

import genkit
from genkit.training.callbacks.step_callback import StepCallback
from genkit.training.signals import StopSignal


def metrics(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


class Square(Mean):
    """A loss without noise, the mean over the examples."""

    def losses(self, batch: Any, phase: str) -> dict[str, Tensor]:
        rows = (batch["x"] - self.mean).square().mean(1)
        return {"loss": rows.mean(), "first": rows[:1].mean(), "halved": rows.mean() / 2}


@pytest.mark.parametrize("accumulate", [2, 4])
def test_the_loss_of_a_step_is_that_of_its_whole_batch(tmp_path: Path, accumulate: int) -> None:
    for folder, k in (("whole", 1), ("parts", accumulate)):
        module = module_of(new(Square), accumulate=k, max_steps=6)
        run_in(tmp_path / folder, module, dataset=Points(8 // k), log_every_n_steps=1)
    whole, parts = metrics(tmp_path / "whole"), metrics(tmp_path / "parts")
    assert [line["step"] for line in parts] == [1, 2, 3, 4, 5, 6]
    for a, b in zip(whole, parts, strict=True):
        for key in ("train/loss", "train/halved", "lr/model"):
            assert b[key] == pytest.approx(a[key], rel=1e-5)


class StopsAt(StepCallback):
    """Asks for a stop after a step, as a signal would."""

    def __init__(self, step: int, stop: StopSignal) -> None:
        self.step, self.stop = step, stop

    def on_step_end(self, trainer: pl.Trainer, module: Any) -> None:
        self.stop.asked = trainer.global_step == self.step


class Dies(Mean):
    """Ends without a word in the middle of the step after `step`."""

    step_of_death = -1

    def losses(self, batch: Any, phase: str) -> dict[str, Tensor]:
        if self.training and self.step == self.step_of_death:
            raise KeyError("the process is gone")
        return super().losses(batch, phase)


def content(run: Path) -> dict[str, str]:
    """The lines, the pictures and the last checkpoint."""
    files = [run / "metrics.jsonl", *sorted((run / "samples").iterdir())]
    files += sorted((run / "checkpoints" / "step-00000006").iterdir())
    return {str(file.relative_to(run)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.mark.parametrize(
    ("accumulate", "steps"),
    [(2, range(3, 4)), *(pytest.param(*case, marks=pytest.mark.slow) for case in ((2, range(1, 6)), (3, range(2, 3))))],
)
def test_a_run_stopped_or_killed_at_any_step_ends_as_the_uninterrupted_one(
    tmp_path: Path, accumulate: int, steps: range
) -> None:
    """To the byte of every line and picture: nothing is drawn or written twice, nothing is left out."""
    plan: dict[str, Any] = {"every": 2, "pictures": 2, "val_every_n_steps": 3, "log_every_n_steps": 1}

    def module(dies: int = -1) -> Any:
        model = new(Dies)
        model.step_of_death = dies
        return module_of(model, accumulate=accumulate, max_steps=6)

    said = run_in(tmp_path / "straight", module(), **plan)
    straight = content(tmp_path / "straight")
    assert said.count("samples at step") == 3
    assert {name for name in straight if "samples" in name} == {f"samples/step-{s:08d}.png" for s in (2, 4, 6)}
    for step in steps:
        stopped, killed, stop = tmp_path / f"stopped-{step}", tmp_path / f"killed-{step}", StopSignal()
        said = run_in(stopped, module(), StopsAt(step, stop), stop=stop, **plan)
        said += run_in(stopped, module(), resumes=True, **plan)
        assert said.count("samples at step") == 3, step
        assert content(stopped) == straight, step
        with pytest.raises(KeyError):
            run_in(killed, module(step), **plan)
        run_in(killed, module(), resumes=True, **plan)
        assert content(killed) == straight, step


def test_no_callback_acts_on_micro_batches() -> None:
    """`on_train_batch_end` comes once per micro-batch: it is overridden in one place alone, which counts them."""
    package = Path(genkit.__file__).parent
    found = {
        path.name
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name in ("on_train_batch_end", "on_train_batch_start")
    }
    assert found == {"step_callback.py"}
