"""Trainings in a temporary folder, of which nothing stays: what `verify replay=` and `check` run."""

from __future__ import annotations

import io
from contextlib import suppress

import lightning.pytorch as pl

from genkit.report.console import make_console
from genkit.training.callbacks.step_callback import StepCallback
from genkit.training.module import GenerativeModule
from genkit.training.runner import TrainingRun, fit
from genkit.training.signals import StopNow, StopSignal


class EndAt(StepCallback):
    """Asks for a stop at a step, as a signal would: the length of the training, on which schedules depend, stays."""

    def __init__(self, step: int, stop: StopSignal) -> None:
        self.step, self.stop = step, stop

    def on_step_end(self, trainer: pl.Trainer, module: GenerativeModule) -> None:
        if trainer.global_step >= self.step:
            self.stop.asked = True


def fit_quietly(run: TrainingRun, last: int) -> None:
    """Trains until the step `last` without a word; a signal ends the command with its exit code."""
    stop = StopSignal()
    run = TrainingRun(**{**vars(run), "callbacks": [*run.callbacks, EndAt(last, stop)]})
    try:
        with suppress(StopNow):
            fit(run, make_console(file=io.StringIO()), stop)
    finally:
        stop.restore()
    if stop.received:
        raise SystemExit(stop.exit_code)
