"""Trainings in a temporary folder, of which nothing stays: what `verify replay=` and `check` run."""

from __future__ import annotations

import io
from contextlib import suppress

from genkit.report.console import make_console
from genkit.training.callbacks.last_step import LastStep
from genkit.training.runner import TrainingRun, fit
from genkit.training.signals import StopNow, StopSignal


def fit_quietly(run: TrainingRun, last: int) -> None:
    """Trains until the step `last` without a word; a signal ends the command with its exit code."""
    stop = StopSignal()
    run = TrainingRun(**{**vars(run), "callbacks": [*run.callbacks, LastStep(last, stop)]})
    try:
        with suppress(StopNow):
            fit(run, make_console(file=io.StringIO()), stop)
    finally:
        stop.restore()
    if stop.received:
        raise SystemExit(stop.exit_code)
