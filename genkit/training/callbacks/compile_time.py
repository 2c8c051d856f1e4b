"""Say what compiling the networks has cost: the first step of each phase, less a later one of the same phase."""

from __future__ import annotations

import time

import lightning.pytorch as pl
from rich.console import Console

from genkit.training.aside import Aside
from genkit.training.callbacks.step_callback import StepCallback
from genkit.training.module import GenerativeModule


class CompileTime(StepCallback):
    """One line, once each phase has had its first two turns.

    Arguments:
        console: Where to write.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.stamps: list[float] = []
        self.aside = Aside(console, "compile time")

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.stamps = [time.perf_counter()]

    def on_step_end(self, trainer: pl.Trainer, module: GenerativeModule) -> None:
        turn = len(module.model.phases)
        if len(self.stamps) > 2 * turn:
            return
        self.stamps.append(time.perf_counter())
        if len(self.stamps) == 2 * turn + 1:
            start, middle, end = self.stamps[0], self.stamps[turn], self.stamps[2 * turn]
            with self.aside(trainer.global_step):
                cost = max(0.0, (middle - start) - (end - middle))
                self.console.print(f"compiling took {cost:.1f} s, once", style="dim", highlight=False)
