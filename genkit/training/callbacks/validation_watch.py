"""Warn of a validation that is not finite: training goes on, since a later one may be finite."""

from __future__ import annotations

import math

import lightning.pytorch as pl
from rich.console import Console

from genkit.training.aside import Aside
from genkit.training.idle_hooks import NoStepHooks
from genkit.training.module import GenerativeModule


class ValidationWatch(NoStepHooks, pl.Callback):  # type: ignore[misc]
    """Says which validation term is not finite and where that arose, once until they are finite again.

    Arguments:
        console: Where it is said.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.told = False
        self.aside = Aside(console, "word about validation")

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, GenerativeModule)
        bad = [key for key, value in pl_module.validated.items() if not math.isfinite(value)]
        if bad and not self.told:
            name = next((key for key in bad if not key.endswith("/loss")), bad[0])
            line = (
                f"warning: step {trainer.global_step:,}: {name} is not finite, {pl_module.validation_origin}: "
                "this validation is no candidate for the best checkpoint"
            )
            with self.aside(trainer.global_step):
                self.console.print(line, style="yellow", soft_wrap=True, highlight=False)
        self.told = bool(bad)
