"""Pictures while training: the same samples, from the same noise, every n steps; reconstructions beside them.

The same draw says how varied the samples are, on the console and in metrics.jsonl.
"""

from __future__ import annotations

from pathlib import Path

import lightning.pytorch as pl
import torch
from rich.console import Console
from torch import Tensor

from genkit.checkpoint.retention import step_name
from genkit.data.dataset import Dataset
from genkit.data.kinds import Drawing
from genkit.data.loader import batch_of
from genkit.data.order import drawn
from genkit.data.spec import Batch
from genkit.evaluation.variety import VarietyWatch
from genkit.models.base import Conditional, GenerativeModel, Reconstructor
from genkit.models.stream import stream_samples
from genkit.ranks import alone
from genkit.report.picture import draw, draw_pairs
from genkit.training.aside import Aside
from genkit.training.callbacks.metrics_writer import MetricsWriter
from genkit.training.callbacks.step_callback import StepCallback
from genkit.training.module import GenerativeModule
from genkit.training.options import SampleGridOptions

BATCH = 500
PAIRS = 24
REAL_POINTS = 2000
ALONE: tuple[Drawing, ...] = ("grid", "tokens")  # drawings that do not show real data beside the samples
REAL = "real.png"  # beside the folder of pictures


class SampleGrids(StepCallback):
    """Draws `samples/step-….png` and, for a model that reconstructs, `samples/step-…-reconstruction.png`.

    Where a picture shows samples alone, `real.png` beside the folder shows as many held-out examples.

    Arguments:
        folder: Where the pictures go.
        name: What is trained, e.g. "vae on digits", for the titles.
        options: When, and how many samples.
        dataset: What is reconstructed, and what a scatter plot is drawn beside.
        console: Where the samples' variety is said.
        metrics: Writes what was seen beside the losses.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        options: SampleGridOptions,
        dataset: Dataset,
        console: Console,
        metrics: MetricsWriter,
    ) -> None:
        self.name, self.real = name, folder.parent / REAL
        self.folder, self.options, self.dataset = folder, options, dataset
        self.console, self.metrics = console, metrics
        self.watched = options.watch_n or options.n
        self.watch = VarietyWatch(dataset, self.watched)
        self.drawn = -1
        self.aside = Aside(console, "pictures of samples")

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.drawn = trainer.global_step  # a checkpoint is written after the picture of its step

    def on_step_end(self, trainer: pl.Trainer, module: GenerativeModule) -> None:
        every = self.options.every_n_steps
        if every and trainer.global_step % every == 0:
            self.draw(trainer, module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, GenerativeModule)
        # who stops a run by a signal waits for its checkpoint alone
        finished = trainer.global_step >= trainer.max_steps or pl_module.stopped is not None
        if self.options.every_n_steps and finished:
            self.draw(trainer, pl_module)

    def draw(self, trainer: pl.Trainer, module: GenerativeModule) -> None:
        """The pictures of this step, once; without them training goes on."""
        if trainer.global_step in (self.drawn, 0) or not trainer.is_global_zero:
            return
        self.drawn = trainer.global_step
        with alone(), self.aside(trainer.global_step):
            self._draw(trainer, module)

    def _draw(self, trainer: pl.Trainer, module: GenerativeModule) -> None:
        model = module.prepared(self.dataset)
        stream = stream_samples(model, max(self.options.n, self.watched), seed=module.seed, batch_size=BATCH)
        made = torch.cat([x for x, _ in stream])
        self._watch(trainer, made[: self.watched])
        samples = made[: self.options.n]
        name = step_name(trainer.global_step)
        self.folder.mkdir(exist_ok=True)
        title = f"{self.name}, step {trainer.global_step:,}"
        # of a table the shares in all training rows say more than a few held-out ones
        real = None if self.dataset.spec.drawing == "table" else self._held_out(REAL_POINTS)["x"]
        draw(self.folder / f"{name}.png", samples, self.dataset.spec, real=real, title=title)
        if self.dataset.spec.drawing in ALONE and not self.real.exists():
            draw(
                self.real,
                self._held_out(self.options.n)["x"],
                self.dataset.spec,
                title=f"{self.name}: held-out examples",
            )
        if isinstance(model, Reconstructor):
            self._draw_pairs(model, self.folder / f"{name}-reconstruction.png", f"{title}, held-out examples")

    def _watch(self, trainer: pl.Trainer, samples: Tensor) -> None:
        variety = self.watch(samples)
        line = f"samples at step {trainer.global_step:,}: {variety.line()}"
        self.console.print(line, style="dim", soft_wrap=True, highlight=False)
        self.metrics.write(trainer, variety.values())

    @torch.no_grad()
    def _draw_pairs(self, model: GenerativeModel, path: Path, title: str) -> None:
        assert isinstance(model, Reconstructor)
        device = next(model.parameters()).device
        batch = self._held_out(PAIRS)
        conditional = isinstance(model, Conditional) and model.num_classes is not None
        y: Tensor | None = batch["y"].to(device) if conditional else None
        restored = model.reconstruct(batch["x"].to(device), y).cpu()
        draw_pairs(path, batch["x"], restored, self.dataset.spec, title)

    def _held_out(self, n: int) -> Batch:
        val = self.dataset.split("val")
        return batch_of(drawn(val, min(n, len(val)), seed=0), self.dataset.spec)
