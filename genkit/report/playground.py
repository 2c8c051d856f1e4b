"""The playground of one run as a folder: a picture of each frame, their numbers, and a page and an animation of all.

A frame is a model at one step (`genkit.evaluation.planar_view`). Whether it comes from a training or from a checkpoint
makes no difference to it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from genkit.evaluation.planar_view import PlanarTruth, PlanarView, caption, planar_view, verdict
from genkit.models.base import GenerativeModel
from genkit.report.playground_layout import PANELS, inner, shares
from genkit.report.playground_page import FRAMES, NAME, save_playground
from genkit.storage.atomic import whole_file


class PlaygroundFrames:
    """The frames of a run, in a folder of its own.

    Arguments:
        folder: Where they lie; made with the first one.
        title: Model and data: "flow on toy".
        truth: What is learned.
        n: Samples in a frame.
        seed: Of all noise.

    Attributes:
        frames: "step", "file", "caption" and the numbers of each, by step.
    """

    def __init__(self, folder: Path, title: str, truth: PlanarTruth, n: int, seed: int) -> None:
        self.folder, self.title, self.truth, self.n, self.seed = folder, title, truth, n, seed
        self.frames: list[dict[str, Any]] = []

    @property
    def page(self) -> Path:
        """Path of the page of all frames."""
        return self.folder / f"{NAME}.html"

    def take_up(self, last: int) -> None:
        """Go on from the frames of steps up to `last` that are there, with their pictures."""
        self.frames = sorted((frame for frame in self._written() if frame["step"] <= last), key=_step)

    def draw(self, model: GenerativeModel, step: int, last_step: int, whole: bool) -> str:
        """Draw the frame of a model, prepared for sampling and in eval mode, at a step; returns its caption.

        Args:
            model: The model.
            step: Of its training.
            last_step: At which the training ends, for an axis that stays.
            whole: Whether a costly density is asked about all test points, as at the end.

        Raises:
            StorageError: it cannot be written.
        """
        from genkit.report.playground_frame import save_frame  # matplotlib costs half a second

        view = planar_view(self.truth, model, step, self.n, self.seed, whole)
        said = caption(view.numbers, view.bound, self.truth.modes)
        file = f"frame-{step:08d}.png"
        floor = None if "kl" in view.numbers else self.truth.energy_floor
        frame = {"step": step, "file": file, "caption": said, **view.numbers, **self._shown(view, floor)}
        self.frames = sorted([*(old for old in self.frames if old["step"] != step), frame], key=_step)
        self.folder.mkdir(parents=True, exist_ok=True)
        save_frame(
            self.folder / file,
            f"{self.title}, step {step:,}\n{said}",
            self.truth.window,
            (self.truth.density, self.truth.name),
            (view.density, view.origin),
            view.samples,
            [old for old in self.frames if old["step"] <= step],
            max(step, last_step),
            floor,
        )
        self._write("")
        return said

    def close(self) -> str:
        """Write the page and the animation of all frames; returns what became of the model."""
        found = verdict(self.frames[-1], self.truth.modes)
        save_playground(self.folder, self.title, self.frames, found, NAME)
        self._write(found)
        return found

    def _shown(self, view: PlanarView, floor: float | None) -> dict[str, Any]:
        """Entries of a frame by which a page shows its parts apart."""
        words = [f"truth: {self.truth.name}", f"model: {view.origin}", f"{len(view.samples):,} samples"]
        panels = [{"words": said, "box": shares(inner(box))} for said, box in zip(words, PANELS, strict=True)]
        return {"panels": panels, **({} if floor is None else {"floor": floor})}

    def _write(self, found: str) -> None:
        text = json.dumps({"frames": self.frames, "verdict": found}, allow_nan=False)
        with whole_file(self.folder / FRAMES) as file:
            file.write(text.encode())

    def _written(self) -> Sequence[dict[str, Any]]:
        try:
            frames = json.loads((self.folder / FRAMES).read_text())["frames"]
            return [frame for frame in frames if (self.folder / frame["file"]).is_file() and type(_step(frame)) is int]
        except (OSError, ValueError, KeyError, TypeError):
            return []


def _step(frame: dict[str, Any]) -> Any:
    return frame["step"]
