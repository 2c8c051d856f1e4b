"""What one sees while a model trains: its size, its first steps' times, then losses and steps per second.

On a terminal a bar; elsewhere a plain line now and then, so that a log file stays readable.
"""

from __future__ import annotations

import time

import lightning.pytorch as pl
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from genkit.training.module import GenerativeModule
from genkit.training.step_callback import StepCallback

REFRESH = 0.25  # seconds between updates of the bar: reading a loss waits for the device
PLAIN_LINES = 20  # lines of a whole training without a terminal
FIRST = 5  # steps that are timed aloud: the first one also warms caches up


def losses_line(values: dict[str, float]) -> str:
    """ "loss 0.123 kl 4.56" from log keys and values."""
    return "  ".join(f"{key.removeprefix('train/')} {value:.4g}" for key, value in values.items())


class TrainingProgress(StepCallback):
    """Progress of a training on a rich console.

    Arguments:
        console: Where to write.
        name: What is trained, e.g. "diffusion on digits".
    """

    def __init__(self, console: Console, name: str) -> None:
        self.console, self.name = console, name
        self.bar = Progress(
            TextColumn("{task.description}", style="bold", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}", markup=False),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[losses]}", markup=False),
            console=console,
            auto_refresh=False,
            disable=not console.is_terminal,
        )
        self.started = self.shown = self.first = 0.0
        self.start_step = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, GenerativeModule)
        sizes = {phase: sum(p.numel() for p in parameters) for phase, parameters in pl_module.learns.items()}
        parts = "" if len(sizes) == 1 else f" ({', '.join(f'{name} {size:,}' for name, size in sizes.items())})"
        self.console.print(
            f"{self.name}: {sum(sizes.values()):,} parameters{parts} on {pl_module.device}", style="bold"
        )
        self.start_step = trainer.global_step
        self.task = self.bar.add_task(self.name, total=trainer.max_steps, completed=self.start_step, rate="", losses="")
        self.bar.start()
        self.started = self.shown = time.perf_counter()

    def on_step_end(self, trainer: pl.Trainer, module: GenerativeModule) -> None:
        step, now = trainer.global_step, time.perf_counter()
        every = max(1, trainer.max_steps // PLAIN_LINES)
        due = now - self.shown > REFRESH if self.console.is_terminal else step % every == 0
        if due:
            self.shown = now
            self._show(step, trainer.max_steps, (step - self.start_step) / (now - self.started), module)
        self._say_first_steps(step - self.start_step, now)  # after the line of the last of them

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.bar.update(self.task, completed=trainer.global_step)
        self.bar.stop()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self.bar.stop()

    def _say_first_steps(self, done: int, now: float) -> None:
        if done == 1 and not self.first:
            self.first = now - self.started
        if done == FIRST and self.first:
            each = (now - self.started - self.first) / (FIRST - 1)
            self.console.print(f"first step {self.first:.2f} s, then {1000 * each:.0f} ms a step", style="dim")
            self.first = 0.0

    def _show(self, step: int, total: int, rate: float, module: GenerativeModule) -> None:
        losses = losses_line({key: float(value) for key, value in module.latest.items()})
        if self.console.is_terminal:
            self.bar.update(self.task, completed=step, rate=f"{rate:.1f} steps/s", losses=losses, refresh=True)
        else:
            self.console.print(f"step {step}/{total}  {rate:.1f} steps/s  {losses}", soft_wrap=True, highlight=False)
