"""A distribution being learned, frame by frame: the truth, the model's density, samples, and the distance between them.

Frames come at steps 0, 1, 2, 5, 10, 20, 50, …, since most changes early, and at the end. They lie in `playground/` of
the run folder, with a page and an animation of all.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import lightning.pytorch as pl
from rich.console import Console

from genkit.component import Component, PositiveInt, Range
from genkit.data.dataset import Dataset
from genkit.evaluation.planar_view import PlanarTruth, check_planar
from genkit.ranks import alone
from genkit.report.playground import PlaygroundFrames
from genkit.report.playground_page import FOLDER
from genkit.training.aside import Aside
from genkit.training.callbacks.attached import Attached
from genkit.training.callbacks.step_callback import StepCallback
from genkit.training.module import GenerativeModule

WHERE = "callbacks=playground"
SAMPLES, POINTS, CELLS = 2000, 10_000, 128  # in a frame, behind each KL, of the densities per side


class Playground(StepCallback, Attached, Component):  # type: ignore[misc]
    """Draws frames of a model of points in the plane whose density is known.

    Arguments:
        n: Samples in a frame.
        points: Test points behind each KL.
        cells: Of the densities, per side.
    """

    def __init__(
        self, n: PositiveInt = SAMPLES, points: PositiveInt = POINTS, cells: Annotated[int, Range(8, 512)] = CELLS
    ) -> None:
        self.n, self.points, self.cells = n, points, cells

    def check_data(self, dataset: Dataset) -> None:
        """Raises ConfigError for data that is no plane of known density."""
        check_planar(dataset, WHERE)

    def attach(self, folder: Path, dataset: Dataset, name: str, console: Console) -> None:
        """The data is in the plane, and its density is known."""
        self.folder, self.name, self.console = folder / FOLDER, name, console
        self.truth = PlanarTruth(dataset, self.cells, self.points, WHERE)
        self.aside = Aside(console, "frame of the playground")

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, GenerativeModule)
        self.frames = PlaygroundFrames(self.folder, self.name, self.truth, self.n, pl_module.seed)
        self.frames.take_up(trainer.global_step)
        if trainer.global_step == 0:
            self.look(trainer, pl_module)

    def on_step_end(self, trainer: pl.Trainer, module: GenerativeModule) -> None:
        if of_series(trainer.global_step) and trainer.global_step < trainer.max_steps:
            self.look(trainer, module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, GenerativeModule)
        if trainer.global_step < trainer.max_steps and pl_module.stopped is None:
            return  # stopped by a signal: to go on
        self.look(trainer, pl_module, whole=True)
        if self.frames.frames and trainer.is_global_zero:
            with self.aside(trainer.global_step):
                self._close()

    def look(self, trainer: pl.Trainer, module: GenerativeModule, whole: bool = False) -> None:
        """Draw the frame of this step; without it training goes on."""
        if not trainer.is_global_zero:
            return
        with alone(), self.aside(trainer.global_step):
            self._draw(trainer, module, whole)

    def _draw(self, trainer: pl.Trainer, module: GenerativeModule, whole: bool) -> None:
        step, model = trainer.global_step, module.prepared(self.truth.dataset)
        said = self.frames.draw(model, step, trainer.max_steps, whole)
        self.console.print(f"playground at step {step:,}: {said}", style="dim", soft_wrap=True, highlight=False)

    def _close(self) -> None:
        self.console.print(f"playground: {self.frames.close()}: {self.frames.page}", soft_wrap=True, highlight=False)


def of_series(step: int) -> bool:
    """Tell whether a step is 1, 2 or 5 times a power of ten."""
    text = str(step)
    return text[0] in "125" and not text[1:].strip("0")
