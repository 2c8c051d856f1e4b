"""One frame of the playground: the truth, the model and its samples side by side, and the distance to the truth so far.

All frames of a run have the same window and the same colours, which the truth fixes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter
from torch import Tensor

from genkit.report.figure import new_figure, save_figure
from genkit.report.palette import MODEL, OTHER
from genkit.report.playground_layout import DISTANCE, HEIGHT, PANELS, WIDTH, axes_box
from genkit.report.scatter import dots

COLOURS = "viridis"
LEAST = 3e-4  # nats, the lower end of the axis


def save_frame(
    path: Path,
    title: str,
    window: tuple[float, float, float, float],
    truth: tuple[Tensor, str],
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
        truth: True density (cells, cells), and its name.
        density: The model's, and what it is.
        samples: (n, 2).
        history: "step" and numbers of each frame up to this one.
        last_step: Of the training, for an axis that stays.
        floor: Below which the distance says nothing; None: ± 2 standard errors of the KL.
    """
    figure = new_figure(WIDTH, HEIGHT, title)
    figure.set_size_inches(WIDTH, HEIGHT)  # of all frames, whatever their titles
    figure.set_layout_engine("none")  # every part has its place, where the page looks for it
    left, middle, right = (figure.add_axes(axes_box(panel)) for panel in PANELS)
    brightest = float(truth[0].max())
    for axes, (image, origin), words in ((left, truth, "truth"), (middle, density, "model")):
        axes.imshow(image.numpy(), origin="lower", extent=window, cmap=COLOURS, vmin=0, vmax=brightest,
                    interpolation="bilinear")  # fmt: skip
        axes.set_title(f"{words}\n({origin})", fontsize=9)
    right.set_title(f"{len(samples):,} samples\n(of the same noise in every frame)", fontsize=9)
    dots(right, samples, MODEL, "")
    right.set(xlim=window[:2], ylim=window[2:], aspect="equal")
    for axes in (left, middle, right):
        axes.set_xticks([])
        axes.set_yticks([])
    draw_distance(figure.add_axes(axes_box(DISTANCE)), history, last_step, floor)
    save_figure(path, figure)


def draw_distance(axes: Axes, history: Sequence[Mapping[str, Any]], last_step: int, floor: float | None) -> None:
    """The distance to the truth by step, both axes logarithmic, with the estimator's noise as a band."""
    name, label = ("kl", "KL(truth ‖ model), nats") if "kl" in history[-1] else ("energy", "energy distance")
    found = [(row["step"], row[name], row.get("kl_se", 0.0)) for row in history if row.get(name) is not None]
    noise = 2 * found[-1][2] if floor is None else floor
    lowest = LEAST if floor is None else floor / 8  # an axis that stays from frame to frame
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
    first = 0.5 if steps[0] < 2 else 0.8 * steps[0]
    axes.set(xscale="log", yscale="log", xlim=(first, max(2, last_step) * 1.2))
    axes.set_xlabel("step (0 on the left)" if steps[0] < 1 else "step")
    tallest = max([*values, *(value for _, value in backward)])
    axes.set_ylim(lowest, max(10 * noise, tallest * 2))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    whole = FuncFormatter(lambda value, _: f"{value:,.0f}")
    axes.xaxis.set_major_formatter(whole)
    axes.xaxis.set_minor_formatter(whole if last_step < 8 * first else NullFormatter())
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8, loc="lower left", ncols=3, framealpha=0.8, edgecolor="none")
