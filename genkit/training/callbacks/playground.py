"""A distribution being learned, frame by frame: the truth, the model's density, samples, and the distance between them.

Frames come at steps 0, 1, 2, 5, 10, 20, 50, …, since most changes early, and at the end. They lie in `playground/` of
the run folder, with a page and an animation of all.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import lightning.pytorch as pl
from rich.console import Console

from genkit.component import Component, PositiveInt, Range
from genkit.data.dataset import Dataset
from genkit.evaluation.planar_view import PlanarTruth, caption, check_planar, planar_view, verdict
from genkit.ranks import alone
from genkit.report.playground_page import FRAMES, save_playground
from genkit.storage.atomic import whole_file
from genkit.training.aside import Aside
from genkit.training.callbacks.attached import Attached
from genkit.training.callbacks.step_callback import StepCallback
from genkit.training.module import GenerativeModule

FOLDER = "playground"


class Playground(StepCallback, Attached, Component):  # type: ignore[misc]
    """Draws frames of a model of points in the plane whose density is known.

    Arguments:
        n: Samples in a frame.
        points: Test points behind each KL.
        cells: Of the densities, per side.
    """

    def __init__(
        self, n: PositiveInt = 2000, points: PositiveInt = 10_000, cells: Annotated[int, Range(8, 512)] = 128
    ) -> None:
        self.n, self.points, self.cells = n, points, cells
        self.frames: list[dict[str, Any]] = []

    def check_data(self, dataset: Dataset) -> None:
        """Raises ConfigError for data that is no plane of known density."""
        check_planar(dataset)

    def attach(self, folder: Path, dataset: Dataset, name: str, console: Console) -> None:
        """The data is in the plane, and its density is known."""
        self.folder, self.name, self.console = folder / FOLDER, name, console
        self.truth = PlanarTruth(dataset, self.cells, self.points)
        self.aside = Aside(console, "frame of the playground")

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, GenerativeModule)
        self.frames = [frame for frame in self._written() if frame["step"] <= trainer.global_step]
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
        if self.frames and trainer.is_global_zero:
            with self.aside(trainer.global_step):
                self._close()

    def look(self, trainer: pl.Trainer, module: GenerativeModule, whole: bool = False) -> None:
        """Draw the frame of this step; without it training goes on."""
        if not trainer.is_global_zero:
            return
        with alone(), self.aside(trainer.global_step):
            self._draw(trainer, module, whole)

    def _draw(self, trainer: pl.Trainer, module: GenerativeModule, whole: bool) -> None:
        from genkit.report.playground_frame import save_frame  # matplotlib costs half a second

        step, truth = trainer.global_step, self.truth
        view = planar_view(truth, module.prepared(truth.dataset), step, self.n, module.seed, whole)
        said = caption(view.numbers, view.bound, truth.modes)
        file = f"frame-{step:08d}.png"
        frame = {"step": step, "file": file, "caption": said, **view.numbers}
        self.frames = [*(old for old in self.frames if old["step"] != step), frame]
        self.folder.mkdir(exist_ok=True)
        save_frame(
            self.folder / file,
            f"{self.name}, step {step:,}\n{said}",
            truth.window,
            truth.density,
            (view.density, view.origin),
            view.samples,
            self.frames,
            max(step, trainer.max_steps),
            None if "kl" in view.numbers else truth.energy_floor,
        )
        self._write("")
        self.console.print(f"playground at step {step:,}: {said}", style="dim", soft_wrap=True, highlight=False)

    def _close(self) -> None:
        found = verdict(self.frames[-1], self.truth.modes)
        save_playground(self.folder, self.name, self.frames, found)
        self._write(found)
        self.console.print(f"playground: {found}: {self.folder / 'playground.html'}", soft_wrap=True, highlight=False)

    def _write(self, found: str) -> None:
        text = json.dumps({"frames": self.frames, "verdict": found}, allow_nan=False)
        with whole_file(self.folder / FRAMES) as file:
            file.write(text.encode())

    def _written(self) -> Sequence[dict[str, Any]]:
        """The frames of a run that is resumed, whose pictures are there."""
        try:
            frames = json.loads((self.folder / FRAMES).read_text())["frames"]
            return [frame for frame in frames if (self.folder / frame["file"]).is_file()]
        except (OSError, ValueError, KeyError, TypeError):
            return []


def of_series(step: int) -> bool:
    """Tell whether a step is 1, 2 or 5 times a power of ten."""
    text = str(step)
    return text[0] in "125" and not text[1:].strip("0")
