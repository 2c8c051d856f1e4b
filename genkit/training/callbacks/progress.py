"""Progress on the console: the model's size, its first steps' times, then losses and steps per second.

On a terminal a row that is written over; elsewhere, and where TERM=dumb cannot do so, a plain line now and then.
"""

from __future__ import annotations

import time

import lightning.pytorch as pl
from rich.console import Console
from rich.live import Live

from genkit.report.progress_row import ProgressRow
from genkit.training.aside import Aside
from genkit.training.callbacks.step_callback import StepCallback
from genkit.training.module import GenerativeModule

REFRESH = 0.25  # seconds between updates of the bar: reading a loss waits for the device
PLAIN_LINES = 20  # lines of a whole training without a terminal
PLAIN_SECONDS = 60.0  # at most between two of them, at first
FIRST = 5  # steps that are timed aloud: the first one also warms caches up


class TrainingProgress(StepCallback):
    """Progress of a training on a rich console.

    Arguments:
        console: Where to write.
        name: What is trained, e.g. "diffusion on digits".
    """

    def __init__(self, console: Console, name: str) -> None:
        self.console, self.name = console, name
        self.live = Live(console=console, auto_refresh=False)
        self.started = self.shown = self.first = 0.0
        self.start_step = 0
        self.aside = Aside(console, "progress")

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, GenerativeModule)
        self.start_step = trainer.global_step
        with self.aside(self.start_step):
            self._begin(pl_module)
        self.started = self.shown = time.perf_counter()

    def _begin(self, pl_module: GenerativeModule) -> None:
        sizes = {phase: sum(p.numel() for p in parameters) for phase, parameters in pl_module.learns.items()}
        parts = "" if len(sizes) == 1 else f" ({', '.join(f'{name} {size:,}' for name, size in sizes.items())})"
        self.console.print(
            f"{self.name}: {sum(sizes.values()):,} parameters{parts} on {pl_module.device}", style="bold"
        )
        if self.console.is_interactive:
            self.live.start()

    def on_step_end(self, trainer: pl.Trainer, module: GenerativeModule) -> None:
        step, now = trainer.global_step, time.perf_counter()
        with self.aside(step):
            if self._due(step, trainer.max_steps, now):
                self._show(trainer, module, now)
            self._say_first_steps(step - self.start_step, now)  # after the line of the last of them

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, GenerativeModule)
        with self.aside(trainer.global_step):
            if self.live.is_started:
                self._show(trainer, pl_module, time.perf_counter())
            self.live.stop()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        with self.aside(trainer.global_step):
            self.live.stop()

    def _say_first_steps(self, done: int, now: float) -> None:
        if done == 1 and not self.first:
            self.first = now - self.started
        if done == FIRST and self.first:
            each = (now - self.started - self.first) / (FIRST - 1)
            self.console.print(f"first step {self.first:.2f} s, then {1000 * each:.0f} ms a step", style="dim")
            self.first = 0.0

    def _due(self, step: int, total: int, now: float) -> bool:
        """Tell whether a row is due; plain lines become rarer the longer a training takes."""
        if self.console.is_interactive:
            return now - self.shown > REFRESH
        patience = max(PLAIN_SECONDS, (now - self.started) / PLAIN_LINES)
        return step % max(1, total // PLAIN_LINES) == 0 or now - self.shown > patience

    def _show(self, trainer: pl.Trainer, module: GenerativeModule, now: float) -> None:
        self.shown = now
        rate = (trainer.global_step - self.start_step) / max(now - self.started, 1e-9)
        losses = {key: float(value) for key, value in module.latest.items()}
        row = ProgressRow(trainer.global_step, trainer.max_steps, rate, losses)
        if self.live.is_started:
            self.live.update(row, refresh=True)
        else:
            self.console.print(row.plain(), soft_wrap=True, highlight=False, markup=False)
