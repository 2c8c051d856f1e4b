"""Hand the run over to its loggers while it trains: what `genkit log` does once, after each new line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import lightning.pytorch as pl
from rich.console import Console

from genkit.loggers.delivery import Delivery
from genkit.printing import pasteable
from genkit.training.aside import Aside
from genkit.training.callbacks.metrics_writer import MetricsWriter
from genkit.training.callbacks.step_callback import StepCallback
from genkit.training.module import GenerativeModule


class RunLogging(StepCallback):
    """Hands new lines of metrics.jsonl over, and pictures with them; of several processes the first does.

    A logger that fails is told of in one line and left alone from then on: `genkit log` hands over what it lacks.

    Arguments:
        deliveries: To the loggers; those that fail are taken out of the list.
        metrics: Writes metrics.jsonl.
        folder: The run's, for the line.
        console: Where it is printed.
    """

    def __init__(self, deliveries: list[Delivery], metrics: MetricsWriter, folder: Path, console: Console) -> None:
        self.deliveries, self.metrics, self.folder, self.console = deliveries, metrics, folder, console
        self.written = 0

    def on_step_end(self, trainer: pl.Trainer, module: GenerativeModule) -> None:
        self._advance(trainer)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._advance(trainer)

    def _advance(self, trainer: pl.Trainer) -> None:
        if self.metrics.written != self.written:
            self.written = self.metrics.written
            tend(self.deliveries, Delivery.advance, trainer.global_step, self.folder, self.console)


def tend(
    deliveries: list[Delivery], act: Callable[[Delivery], object], step: int, folder: Path, console: Console
) -> None:
    """Do something with each delivery; one that fails is told of, closed and taken out of the list."""
    for each in list(deliveries):
        again = pasteable("log", f"ckpt={folder}", f"to={each.logger.folder}")
        aside, whole = Aside(console, f"more for {each.logger.folder}, until you type {again}"), False
        with aside(step):
            act(each)
            whole = True
        if not whole:
            deliveries.remove(each)
            each.abandon()
