"""When a checkpoint is written, and which is the latest and the best.

The callback stands last in the list, so that everything else of the batch has happened; a checkpoint due at a step that
also validates waits for the validation.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch

from genkit.checkpoint.retention import CHECKPOINTS, prune, step_name
from genkit.data.dataset import Dataset
from genkit.errors import ConfigError, NumericalError
from genkit.training.module import GenerativeModule
from genkit.training.options import CheckpointOptions
from genkit.training.subset import prepare


class CheckpointWriter(pl.Callback):
    """Writes checkpoints of a run.

    Arguments:
        run: The run folder.
        options: When, and which to keep.
        dataset: What the model is prepared with before it is stored.
        val_every_n_steps: Optimizer steps between validations.

    Attributes:
        saved: Step of the newest checkpoint of this run, −1 before the first.
        best: The best score so far.
    """

    def __init__(self, run: Path, options: CheckpointOptions, dataset: Dataset, val_every_n_steps: int) -> None:
        self.run, self.options, self.dataset = run, options, dataset
        self.val_every_n_steps = val_every_n_steps
        self.saved = -1
        self.best: float | None = None

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best = state_dict["best"]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.saved = trainer.global_step if trainer.global_step > 0 else -1

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any) -> None:
        step = trainer.global_step
        if step % self.options.every_n_steps == 0 and step % self.val_every_n_steps != 0:
            self.save(trainer, pl_module)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, GenerativeModule)
        score = self._score(pl_module)
        improved = score is not None and self.options.better(score, self.best)
        if improved:
            self.best = score
        if improved or trainer.global_step % self.options.every_n_steps == 0:
            self.save(trainer, pl_module, best=improved)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.save(trainer, pl_module)

    def _score(self, module: GenerativeModule) -> float | None:
        """The monitored term, None where this validation lacks it; raises ConfigError where none ever has it."""
        monitor, validated = self.options.monitor, module.validated
        if monitor in module.occasional:
            return validated.get(monitor)
        if monitor is not None and monitor not in validated:
            raise ConfigError(
                f"checkpoint.monitor={monitor}: this model's validation terms are {', '.join(validated)}; "
                "name one, or checkpoint.monitor=null for no best"
            )
        return None if monitor is None else validated[monitor]

    def save(self, trainer: pl.Trainer, module: pl.LightningModule, best: bool = False) -> None:
        """Writes the checkpoint of this step unless it stands, with what points at it; then prunes.

        Raises:
            NumericalError: a weight is not finite; the checkpoints written before stand.
        """
        assert isinstance(module, GenerativeModule)
        step = trainer.global_step
        if step == self.saved or step == 0:
            return
        refuse_non_finite(module, step)
        prepare(module.for_use, self.dataset, module.seed)
        pointers = ("latest", "best") if best else ("latest",)
        trainer.save_checkpoint(self.run / CHECKPOINTS / step_name(step), storage_options=pointers)
        self.saved = step
        if trainer.is_global_zero:
            prune(self.run, self.options.keep)


def refuse_non_finite(module: GenerativeModule, step: int) -> None:
    """A last step may have destroyed the weights behind a finite loss, and a resumed run would begin with them."""
    for name, parameter in module.model.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            raise NumericalError(
                f"step {step}: the weight {name} is not finite: lower optimizer.lr, set trainer.gradient_clip, "
                "or resume from an earlier checkpoint"
            )
