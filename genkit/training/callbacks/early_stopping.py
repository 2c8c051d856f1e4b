"""Stops a training whose validation no longer improves.

What it counted is part of the checkpoint, so a resumed run stops where the uninterrupted one would have.
"""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl

from genkit.component import Component, NonNegativeFloat, PositiveInt
from genkit.errors import ConfigError
from genkit.training.module import GenerativeModule
from genkit.training.monitor import Mode, Monitors, improves
from genkit.training.state_checks import count, number_or_none


class EarlyStopping(pl.Callback, Monitors, Component):
    """Ends the training after `patience` validations in a row that brought no improvement.

    References: Early Stopping – But When? (Prechelt 1998).

    Arguments:
        monitor: The validation term, e.g. "val/loss", or a quick score, e.g. "quick/fid".
        mode: Which way is better.
        patience: Validations without improvement before it stops.
        min_delta: By how much a term must be better to count.
    """

    def __init__(
        self,
        monitor: str = "val/loss",
        mode: Mode = "min",
        patience: PositiveInt = 5,
        min_delta: NonNegativeFloat = 0.0,
    ) -> None:
        self.monitor, self.mode, self.patience, self.min_delta = monitor, mode, patience, min_delta
        self.best: float | None = None
        self.best_step: int | None = None
        self.waited = 0

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "best_step": self.best_step, "waited": self.waited}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """A state written before `best_step` was kept has none."""
        self.best = number_or_none(state_dict["best"], "the best score")
        self.waited = count(state_dict["waited"], "the number of validations waited")
        self.best_step = number_or_none(state_dict.get("best_step"), "the step of the best score")

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._stop_if_due(trainer, pl_module)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Raises ConfigError where the model has no such term."""
        assert isinstance(pl_module, GenerativeModule)
        terms = pl_module.validated
        if self.monitor in pl_module.occasional and self.monitor not in terms:
            return
        if self.monitor not in terms:
            known = ", ".join(terms)
            raise ConfigError(f"callbacks.early_stopping.monitor={self.monitor}: the validation terms are {known}")
        self.count(terms[self.monitor], trainer.global_step)
        self._stop_if_due(trainer, pl_module)

    def count(self, value: float, step: int | None = None) -> None:
        """Take note of one more validation, at `step`.

        A value that is not finite is never an improvement, and before the first finite one there is nothing that it
        fails to improve on.
        """
        if improves(value, self.best, self.mode, self.min_delta):
            self.best, self.best_step, self.waited = value, step, 0
        elif self.best is not None:
            self.waited += 1

    def _stop_if_due(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, GenerativeModule)
        if self.waited >= self.patience:
            trainer.should_stop = True
            module.stopped = self._reason()

    def _reason(self) -> str:
        """ "val/loss has not improved for 2 validations (best 3.8 at step 10)" """
        count = "1 validation" if self.waited == 1 else f"{self.waited} validations"
        at = "" if self.best_step is None else f" at step {self.best_step:,}"
        return f"{self.monitor} has not improved for {count} (best {self.best:.4g}{at})"
