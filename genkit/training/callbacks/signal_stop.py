"""A signal becomes a stop at the next step boundary, in all processes of a training at the same one."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl

from genkit.data.loader import ValLoader
from genkit.ranks import highest, world
from genkit.training.callbacks.step_callback import StepCallback
from genkit.training.module import GenerativeModule
from genkit.training.signals import StopSignal


class SignalStop(StepCallback):
    """Turns a signal into a stop at the next step boundary."""

    def __init__(self, stop: StopSignal, val_every_n_steps: int, validates_last: bool = False) -> None:
        self.stop, self.val_every_n_steps, self.validates_last = stop, val_every_n_steps, validates_last

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.stop.install()  # again: Lightning replaced the handlers when `fit` began

    def on_step_end(self, trainer: pl.Trainer, module: GenerativeModule) -> None:
        if world() > 1:
            self.stop.agree()
            trainer.should_stop = bool(highest(trainer.should_stop)[0])
        if self.stop.wanted:
            trainer.should_stop = True
            if not self._validates(trainer):
                trainer.limit_val_batches = 0  # Lightning validates before it stops: a line that the run would not have

    def _validates(self, trainer: pl.Trainer) -> bool:
        """Tell whether this step would have a validation without the stop."""
        last = self.validates_last and trainer.global_step >= trainer.max_steps
        return last or trainer.global_step % self.val_every_n_steps == 0

    def on_validation_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        loader = trainer.val_dataloaders
        assert isinstance(loader, ValLoader)
        if batch_idx < loader.batches // loader.world_size:  # a turn that every process takes
            self.stop.refuse_to_wait()
