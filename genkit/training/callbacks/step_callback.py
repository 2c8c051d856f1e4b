"""The base of callbacks that act once per optimizer step.

Lightning calls `on_train_batch_end` after every micro-batch. With `trainer.accumulate` above one the step number then
stays the same for several calls, and a test `step % n == 0` would hold in each of them, and again in the first
micro-batch after a resume.
"""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl

from genkit.training.idle_hooks import IdleHooks
from genkit.training.module import GenerativeModule


class StepCallback(IdleHooks, pl.Callback):  # type: ignore[misc]
    """Calls `on_step_end` after the last micro-batch of each optimizer step."""

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any) -> None:
        assert isinstance(pl_module, GenerativeModule)
        if pl_module.step_complete:
            self.on_step_end(trainer, pl_module)

    def on_step_end(self, trainer: pl.Trainer, module: GenerativeModule) -> None:
        """`trainer.global_step` optimizer steps are done."""
