"""A few real steps of a training, measured: seconds of a step, a validation, scores, a picture, a checkpoint.

What happens once (imports, the features of a reference, a first step) is left out of what is repeated, where there is
time to see it twice: first steps are not counted, and a validation that was quick is measured again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch

from genkit.assembly.closing_lines import draw_losses
from genkit.assembly.run import Parts, checkpoint_config
from genkit.assembly.temporary_run import fit_quietly
from genkit.config.settings import RunSettings
from genkit.ranks import from_first
from genkit.training.callbacks.step_callback import StepCallback
from genkit.training.module import GenerativeModule
from genkit.training.pace import Pace
from genkit.training.plan import Costs
from genkit.training.runner import TrainingRun

ROUNDS = 3  # of all phases before the first validation; the first of them warms up
NEVER = 2**40  # a step
EXIT = 0.3  # seconds from the last line to the end of the process


def measured(
    parts: Parts, settings: RunSettings, scratch: Path, seconds: float, clock: Callable[[], float]
) -> tuple[Costs, float]:
    """The costs of a training, from a short one; and seconds of its first step.

    Args:
        parts: Of the training; the module is trained.
        settings: Which it was built from.
        scratch: An empty folder.
        seconds: How long steps are timed, at least some rounds of all phases.
        clock: Seconds, of whatever kind.
    """
    import genkit.report.curve  # noqa: F401  (imports matplotlib, which the first picture would be charged with)

    times = TrialTimes(clock, seconds, len(parts.module.model.phases), parts.samples.every_n_steps > 0)
    parts.module.pace = Pace(NEVER)
    trial = TrainingRun(
        name="trial",
        folder=scratch,
        dataset=parts.dataset,
        module=parts.module,
        trainer=dataclasses.replace(parts.trainer, val_every_n_steps=times.warm, max_steps=NEVER),
        checkpoint=dataclasses.replace(parts.checkpoint, monitor=None, every_n_steps=NEVER),
        samples=dataclasses.replace(parts.samples, every_n_steps=NEVER if times.pictures else 0),
        loggers=[],
        config=checkpoint_config(settings, parts.dataset),
        callbacks=[*parts.callbacks, times],
        quick=None if parts.quick is None else _at_each_validation(parts.quick),
    )
    fit_quietly(trial, NEVER)
    times.mark("checkpoint")
    draw_losses(scratch, "trial")
    times.mark("closing")
    return times.costs(), times.first


def _at_each_validation(quick: Any) -> Any:
    return dataclasses.replace(quick, options=dataclasses.replace(quick.options, every_n_steps=None))


class TrialTimes(StepCallback):
    """Seconds of what happens in a short training, which it ends.

    Arguments:
        clock: Seconds.
        seconds: How long steps are timed.
        phases: Steps of a round.
        pictures: Whether any are drawn.

    Attributes:
        warm: Steps before the first validation.
        first: Seconds of the first step.
    """

    def __init__(self, clock: Callable[[], float], seconds: float, phases: int, pictures: bool) -> None:
        self.clock, self.seconds, self.phases, self.pictures = clock, seconds, phases, pictures
        self.warm, self.first = ROUNDS * phases, 0.0
        self.last = 0.0
        self.found: dict[str, float] = {}
        self.timed = (0, 0.0)  # steps, and their seconds
        self.began = (0, 0.0)
        self.device: torch.device | None = None

    def mark(self, name: str) -> None:
        """Note the seconds since the mark before."""
        now = self._now()
        self.found[name] = now - self.last
        self.last = now

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, GenerativeModule)
        self.device = pl_module.device
        pl_module.stopped = "tried out"  # in all processes: a training that ended so draws its picture
        self.last = self._now()

    def on_step_end(self, trainer: pl.Trainer, module: GenerativeModule) -> None:
        step = trainer.global_step
        if step == 1:
            self.mark("first")
            self.first = self.found["first"]
        if step in (self.phases, self.warm):
            self._begin(step)
            return
        if step < self.warm or (step - self.warm) % self.phases:
            return
        now = self._now()
        self.timed = step - self.began[0], now - self.began[1]
        if self.timed[1] >= self.seconds:
            trainer.should_stop = True  # after one more validation

    def _begin(self, step: int) -> None:
        now = self._now()
        if step == self.warm and step > self.phases:
            self.timed = step - self.began[0], now - self.began[1]
        self.began = step, now

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.last = self._now()

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.mark("validation")

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.mark("score")
        trainer.val_check_batch = NEVER
        took = self.found["validation"] + self.found["score"]
        if from_first(lambda: took > self.seconds):
            trainer.should_stop = True
        self.began = self.began[0], self.began[1] + took

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.last = self._now()

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        self.mark("picture")

    def costs(self) -> Costs:
        """The costs that were found."""
        found = self.found
        picture = found.get("picture", 0.0)  # with what the model is prepared with before it samples
        steps, seconds = self.timed
        return Costs(
            step=max(seconds / max(1, steps), 1e-9),
            validation=found.get("validation", 0.0),
            score=found.get("score", 0.0),
            picture=picture if self.pictures else 0.0,
            checkpoint=found.get("checkpoint", 0.0) + (0.0 if self.pictures else picture),
            closing=found.get("closing", 0.0) + EXIT,
        )

    def _now(self) -> float:
        if self.device is not None and self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return self.clock()
