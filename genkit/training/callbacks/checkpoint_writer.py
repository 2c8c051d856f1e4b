"""Write checkpoints when they are due, and keep the pointers to the latest and the best.

The callback stands last in the list, so that everything else of the step has happened: a run that resumes at a
checkpoint has the lines and pictures of all steps up to it. A checkpoint due at a step that also validates waits for
the validation, one due at the last step for the last picture.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch

from genkit.checkpoint.retention import CHECKPOINTS, pointed, prune, step_name
from genkit.data.dataset import Dataset
from genkit.errors import ConfigError, NumericalError
from genkit.training.callbacks.step_callback import StepCallback
from genkit.training.module import GenerativeModule
from genkit.training.options import CheckpointOptions
from genkit.training.state_checks import number_or_none


class CheckpointWriter(StepCallback):
    """Writes checkpoints of a run.

    Arguments:
        run: The run folder.
        options: When, and which to keep.
        dataset: What the model is prepared with before it is stored.
        val_every_n_steps: Optimizer steps between validations.

    Attributes:
        saved: Step of the newest checkpoint of this run, −1 before the first.
        best: The best score so far, always finite.
        best_step: Its step.
    """

    def __init__(self, run: Path, options: CheckpointOptions, dataset: Dataset, val_every_n_steps: int) -> None:
        self.run, self.options, self.dataset = run, options, dataset
        self.val_every_n_steps = val_every_n_steps
        self.saved = -1
        self.best: float | None = None
        self.best_step = -1

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "monitor": self.options.monitor, "mode": self.options.mode}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best = number_or_none(state_dict["best"], "the best score")
        before = state_dict.get("monitor", self.options.monitor), state_dict.get("mode", self.options.mode)
        if before != (self.options.monitor, self.options.mode):
            self.best = None  # the score of something else

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if pointed(self.run, "latest") is not None and pointed(self.run, "best") is None:
            self.best = None  # of a run that went back to before its best: the next best one is to be kept
        self.saved = trainer.global_step if trainer.global_step > 0 else -1

    def on_step_end(self, trainer: pl.Trainer, module: GenerativeModule) -> None:
        step = trainer.global_step
        if step % self.options.every_n_steps == 0 and step % self.val_every_n_steps != 0 and not _ends(trainer):
            self.save(trainer, module)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, GenerativeModule)
        score = self._score(pl_module)
        improved = score is not None and self.options.better(score, self.best)
        if improved:
            self.best, self.best_step = score, trainer.global_step
        if (improved or trainer.global_step % self.options.every_n_steps == 0) and not _ends(trainer):
            self.save(trainer, pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, GenerativeModule)
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

    def save(self, trainer: pl.Trainer, module: GenerativeModule) -> None:
        """Writes the checkpoint of this step unless it stands, with what points at it; then prunes.

        Raises:
            NumericalError: a weight is not finite; the checkpoints written before stand.
        """
        step = trainer.global_step
        if step == self.saved or step == 0:
            return
        refuse_non_finite(module, step)
        module.prepared(self.dataset)
        pointers = ("latest", "best") if self.best_step == step else ("latest",)
        trainer.save_checkpoint(self.run / CHECKPOINTS / step_name(step), storage_options=pointers)
        self.saved = step
        if trainer.is_global_zero:
            prune(self.run, self.options.keep)


def _ends(trainer: pl.Trainer) -> bool:
    """Tell whether `on_train_end` comes next."""
    return trainer.should_stop or trainer.global_step >= trainer.max_steps


def refuse_non_finite(module: GenerativeModule, step: int) -> None:
    """A last step may have destroyed the weights behind a finite loss, and a resumed run would begin with them."""
    for name, parameter in module.model.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            raise NumericalError(
                f"step {step:,}: the weight {name} is not finite: lower optimizer.lr or set trainer.gradient_clip"
            )
