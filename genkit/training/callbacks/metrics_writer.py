"""Write metrics.jsonl: the latest terms of each phase, every n steps.

No running means: they would differ after a kill.
"""

from __future__ import annotations

from pathlib import Path

import lightning.pytorch as pl

from genkit.checkpoint.metrics_log import MetricsLog
from genkit.training.callbacks.step_callback import StepCallback
from genkit.training.module import GenerativeModule


class MetricsWriter(StepCallback):
    """Writes training terms every `every_n_steps` steps and at the last one, validation terms after each validation.

    Arguments:
        path: The metrics.jsonl of the run.
        every_n_steps: Optimizer steps between lines.

    Attributes:
        written: How many lines this process has written.
    """

    def __init__(self, path: Path, every_n_steps: int) -> None:
        self.lines, self.every_n_steps = MetricsLog(path), every_n_steps
        self.written = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.is_global_zero:
            # the last line of a run that ended here is none of a longer one's
            self.lines.truncate_after(trainer.global_step, terms=self._due(trainer))

    def on_step_end(self, trainer: pl.Trainer, module: GenerativeModule) -> None:
        if self._due(trainer):
            module.share_latest()
            values = {key: float(value) for key, value in module.latest.items()}
            rates = {f"lr/{group['name']}": group["lr"] for group in trainer.optimizers[0].param_groups}
            self.write(trainer, values | rates)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, GenerativeModule)
        self.write(trainer, pl_module.validated)

    def _due(self, trainer: pl.Trainer) -> bool:
        """Tell whether the terms of this step are written."""
        return trainer.global_step % self.every_n_steps == 0 or trainer.global_step == trainer.max_steps

    def write(self, trainer: pl.Trainer, values: dict[str, float]) -> None:
        """One line of this step."""
        if trainer.is_global_zero:
            self.lines.append(trainer.global_step, values)
            self.written += 1
