"""Stops a training whose validation no longer improves.

What it counted is part of the checkpoint, so a resumed run stops where the uninterrupted one would have.
"""

from __future__ import annotations

from typing import Any, Literal

import lightning.pytorch as pl

from genkit.component import Component, NonNegativeFloat, PositiveInt
from genkit.errors import ConfigError
from genkit.training.module import GenerativeModule


class EarlyStopping(pl.Callback, Component):
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
        mode: Literal["min", "max"] = "min",
        patience: PositiveInt = 5,
        min_delta: NonNegativeFloat = 0.0,
    ) -> None:
        self.monitor, self.mode, self.patience, self.min_delta = monitor, mode, patience, min_delta
        self.best: float | None = None
        self.waited = 0

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "waited": self.waited}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best, self.waited = state_dict["best"], state_dict["waited"]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        trainer.should_stop = self.waited >= self.patience

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Raises ConfigError where the model has no such term."""
        assert isinstance(pl_module, GenerativeModule)
        terms = pl_module.validated
        if self.monitor in pl_module.occasional and self.monitor not in terms:
            return
        if self.monitor not in terms:
            known = ", ".join(terms)
            raise ConfigError(f"callbacks.early_stopping.monitor={self.monitor}: the validation terms are {known}")
        self.count(terms[self.monitor])
        trainer.should_stop = trainer.should_stop or self.waited >= self.patience

    def count(self, value: float) -> None:
        """One more validation."""
        gain = None if self.best is None else self.best - value if self.mode == "min" else value - self.best
        if gain is None or gain > self.min_delta:
            self.best, self.waited = value, 0
        else:
            self.waited += 1
