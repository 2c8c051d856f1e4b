"""One frame of the playground: the truth, the model and its samples side by side, and the distance to the truth so far.

All frames of a run have the same window and the same colours, which the truth fixes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from torch import Tensor

from genkit.report.figure import new_figure, save_figure
from genkit.report.palette import MODEL, OTHER
from genkit.report.scatter import dots

COLOURS = "viridis"
WIDTH, HEIGHT = 9.6, 5.4  # inches


def save_frame(
    path: Path,
    title: str,
    window: tuple[float, float, float, float],
    truth: Tensor,
    density: tuple[Tensor, str],
    samples: Tensor,
    history: Sequence[Mapping[str, Any]],
    last_step: int,
    floor: float | None,
) -> None:
    """Draw a frame; raises StorageError.

    Args:
        path: Of the PNG.
        title: Model, data and step.
        window: Left, right, bottom, top of the plane.
        truth: True density (cells, cells).
        density: The model's, and what it is.
        samples: (n, 2).
        history: "step" and numbers of each frame up to this one.
        last_step: Of the training, for an axis that stays.
        floor: Below which the distance says nothing; None: ± 2 standard errors of the KL.
    """
    figure = new_figure(WIDTH, HEIGHT, title)
    figure.set_size_inches(WIDTH, HEIGHT)  # of all frames, whatever their titles
    grid = figure.add_gridspec(2, 3, height_ratios=[1.9, 1])
    left, middle, right = (figure.add_subplot(grid[0, i]) for i in range(3))
    brightest = float(truth.max())
    for axes, image, words in ((left, truth, "truth"), (middle, density[0], f"model\n({density[1]})")):
        axes.imshow(image.numpy(), origin="lower", extent=window, cmap=COLOURS, vmin=0, vmax=brightest,
                    interpolation="bilinear")  # fmt: skip
        axes.set_title(words, fontsize=9)
    right.set_title(f"{len(samples):,} samples, the same noise in each frame", fontsize=9)
    dots(right, samples, MODEL, "")
    right.set(xlim=window[:2], ylim=window[2:], aspect="equal")
    for axes in (left, middle, right):
        axes.set_xticks([])
        axes.set_yticks([])
    draw_distance(figure.add_subplot(grid[1, :]), history, last_step, floor)
    save_figure(path, figure)


def draw_distance(axes: Axes, history: Sequence[Mapping[str, Any]], last_step: int, floor: float | None) -> None:
    """The distance to the truth by step, both axes logarithmic, with the estimator's noise as a band."""
    name, label = ("kl", "KL(truth ‖ model), nats") if "kl" in history[-1] else ("energy", "energy distance")
    found = [(row["step"], row[name], row.get("kl_se", 0.0)) for row in history if row.get(name) is not None]
    noise = 2 * found[-1][2] if floor is None else floor
    lowest = 1e-3 if floor is None else floor / 8  # an axis that stays from frame to frame
    noise = max(noise, 2 * lowest)
    steps = [0.6 if step == 0 else step for step, _, _ in found]
    values = [max(value, lowest) for _, value, _ in found]
    axes.axhspan(lowest, noise, color="0.85", lw=0, label="cannot be told from 0" if floor is None else "real points")
    axes.fill_between(
        steps,
        [max(value - 2 * error, lowest) for value, (_, _, error) in zip(values, found, strict=True)],
        [value + 2 * error for value, (_, _, error) in zip(values, found, strict=True)],
        color=MODEL,
        alpha=0.25,
        lw=0,
    )
    axes.plot(steps, values, "o-", color=MODEL, ms=4, label=label)
    backward = [(row["step"] or 0.6, row["reverse_kl"]) for row in history if (row.get("reverse_kl") or 0) > 0]
    if backward:
        axes.plot(*zip(*backward, strict=True), "s--", color=OTHER, ms=3, lw=1, label="KL(model ‖ truth)")
    axes.set(xscale="log", yscale="log", xlim=(0.5, max(2, last_step) * 1.2), xlabel="step (0 on the left)")
    tallest = max([*values, *(value for _, value in backward)])
    axes.set_ylim(lowest, max(10 * noise, tallest * 2))
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8, loc="lower left", ncols=3, framealpha=0.8, edgecolor="none")
