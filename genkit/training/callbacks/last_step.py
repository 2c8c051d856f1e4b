"""An end before `trainer.max_steps`, for a training of which a part alone is wanted."""

from __future__ import annotations

import lightning.pytorch as pl

from genkit.training.callbacks.step_callback import StepCallback
from genkit.training.module import GenerativeModule
from genkit.training.signals import StopSignal


class LastStep(StepCallback):
    """Asks for a stop at a step, as a signal would: the length of the training, on which schedules depend, stays."""

    def __init__(self, step: int, stop: StopSignal) -> None:
        self.step, self.stop = step, stop

    def on_step_end(self, trainer: pl.Trainer, module: GenerativeModule) -> None:
        if trainer.global_step >= self.step:
            self.stop.asked = True
