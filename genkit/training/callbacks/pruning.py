"""End a training that falls behind the others of a search.

The callback reports each monitored value and ends the training where a pruner says so. A training that goes on from a
checkpoint first reports what it had seen before. Where a report fails, training goes on: it is a word about the
training, not a part of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import lightning.pytorch as pl
from rich.console import Console

from genkit.ranks import from_first
from genkit.training.aside import Aside
from genkit.training.module import GenerativeModule

Report = Callable[[int, float], bool]  # step and value -> whether to end


class Pruning(pl.Callback):
    """Reports validations and ends the training where it is told to.

    Arguments:
        make_report: Connects to where the reports go, at the first one.
        monitor: The validation term that is reported.
        earlier: Steps and values of validations before this part of the training.
        console: Where a report that fails is told.

    Attributes:
        pruned: Whether it ended the training.
    """

    def __init__(
        self, make_report: Callable[[], Report], monitor: str, earlier: Sequence[tuple[int, float]], console: Console
    ) -> None:
        self.make_report, self.monitor, self.earlier = make_report, monitor, list(earlier)
        self.report: Report | None = None
        self.pruned = False
        self.aside = Aside(console, "report to the search")

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, GenerativeModule)
        value = pl_module.validated.get(self.monitor)
        if value is None or not math.isfinite(value) or trainer.global_step >= trainer.max_steps:
            return
        if from_first(lambda: self._asks_to_end(trainer.global_step, value)):
            self.pruned = trainer.should_stop = True
            pl_module.stopped = f"pruned: {self.monitor} {value:.4g} is behind that of other trials"

    def _asks_to_end(self, step: int, value: float) -> bool:
        """Report a value; tell whether the training is to end."""
        with self.aside(step):
            if self.report is None:
                self.report = self.make_report()
            for before, seen in [each for each in self.earlier if each[0] < step]:
                self.report(before, seen)
            self.earlier = []
            return self.report(step, value)
        return False
