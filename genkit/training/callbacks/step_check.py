"""The step that a resumed run continues from."""

from __future__ import annotations

from pathlib import Path

import lightning.pytorch as pl

from genkit.training.checkpoint_io import FolderCheckpointIO
from genkit.training.idle_hooks import NoStepHooks
from genkit.training.state_checks import damaged


class StepCheck(NoStepHooks, pl.Callback):  # type: ignore[misc]
    """Sees that a run goes on where its checkpoint is; from here on what fails is not the checkpoint's fault."""

    def __init__(self, checkpoints: FolderCheckpointIO, resume: tuple[Path, int] | None) -> None:
        self.checkpoints, self.resume = checkpoints, resume

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Raises CheckpointError where the counters say another step."""
        if self.resume is not None and trainer.global_step != self.resume[1]:
            raise damaged(f"its counters say step {trainer.global_step:,}, its manifest says step {self.resume[1]:,}")
        self.checkpoints.restoring = False
