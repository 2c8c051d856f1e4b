"""Panels of a sweep over several keys: the score over each key alone, and all keys together as parallel coordinates.

One-factor panels show every job as a point over its value of one key, with a line through the means: how far the key
alone moves the score, against the spread that all others make. In a search, where hardly two jobs have the same value,
there are the points alone. In parallel coordinates (Inselberg 1985, The plane with parallel coordinates) every job is a
line across one vertical axis for each key and one for the score, coloured by the score, so that combinations which go
together are seen as bundles.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import Normalize

from genkit.report.palette import BASELINE, BEST, MODEL

LOGARITHMIC = 20  # largest over smallest value from which an axis is logarithmic
TICKS = 8  # values that are named on one vertical axis
LONGEST = 14  # letters of a value beside an axis
FEW = 1.5  # jobs for each value of a key, from which their means are drawn
APART = 0.035  # of the height of an axis, between values that are written beside it
FADED = 0.7
SPREAD = 0.015  # of the height of parallel coordinates


@dataclass(frozen=True)
class Point:
    """A job with a score.

    Attributes:
        values: The swept keys, short, with this job's values as text.
        score: Its score, finite.
    """

    values: Mapping[str, str]
    score: float


@dataclass(frozen=True)
class KeyScale:
    """The places of a key's values along an axis.

    Attributes:
        places: Value as text -> coordinate: the number, or the rank of a word.
        numeric: Whether all values are numbers.
        logarithmic: Whether the axis should be.
    """

    places: Mapping[str, float]
    numeric: bool
    logarithmic: bool

    @classmethod
    def of(cls, values: Sequence[str]) -> KeyScale:
        """The scale of a key that takes these values; words keep their order."""
        distinct = list(dict.fromkeys(values))
        numbers = [number for number in map(number_of, distinct) if number is not None]
        if len(numbers) < len(distinct):
            return cls({value: float(rank) for rank, value in enumerate(distinct)}, False, False)
        wide = min(numbers) > 0 and max(numbers) > LOGARITHMIC * min(numbers)
        return cls(dict(zip(distinct, numbers, strict=True)), True, wide)

    def share(self, value: str) -> float:
        """The place of a value between the least, 0, and the greatest, 1."""
        bend = math.log if self.logarithmic else float
        places = [bend(place) for place in self.places.values()]
        low, high = min(places), max(places)
        return 0.5 if high == low else (bend(self.places[value]) - low) / (high - low)


def number_of(text: str) -> float | None:
    """The finite number that a text is, None where it is none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def varied_keys(points: Sequence[Point], without: str) -> list[str]:
    """The keys that take two values or more among these jobs, but one."""
    keys = dict.fromkeys(key for point in points for key in point.values if key != without)
    return [key for key in keys if len({point.values.get(key, "") for point in points}) > 1]


def best_of(points: Sequence[Point], mode: str) -> Point:
    """The job with the best score, the first of equal ones."""
    return (min if mode == "min" else max)(points, key=lambda point: point.score)


def draw_factor(axes: Axes, points: Sequence[Point], key: str, mode: str | None) -> None:
    """Draw the scores over one key: a point for each job, a line through the mean of each value."""
    scale = KeyScale.of([point.values.get(key, "") for point in points])
    scores: dict[str, list[float]] = {}
    for point in points:
        scores.setdefault(point.values.get(key, ""), []).append(point.score)
    order = sorted(scores, key=lambda value: scale.places[value])
    x = [scale.places[value] for value in order]
    means = [math.fsum(scores[value]) / len(scores[value]) for value in order]
    every = [(scale.places[value], score) for value in order for score in scores[value]]
    axes.plot(*zip(*every, strict=True), "o", color=MODEL, markersize=4, alpha=FADED, label="job")
    if len(points) >= FEW * len(order):  # of a search hardly any two jobs have the same value
        axes.plot(x, means, "-" if scale.numeric else "_", color=BASELINE, lw=1.5, markersize=18, label="mean")
    if scale.logarithmic:
        axes.set_xscale("log")
    if not scale.numeric:
        axes.set_xticks(x, [_cut(value) for value in order], parse_math=False, rotation=20 if len(x) > 3 else 0)
        axes.set_xlim(min(x) - 0.5, max(x) + 0.5)
    if mode is not None:
        best = best_of(points, mode)
        ring = {
            "color": BEST,
            "markersize": 11,
            "markerfacecolor": "none",
            "markeredgecolor": BEST,
            "markeredgewidth": 1.5,
        }
        axes.plot(scale.places[best.values.get(key, "")], best.score, "o", label="best", **ring)  # type: ignore[arg-type]
    axes.set_xlabel(key, parse_math=False)
    axes.grid(alpha=0.25)


def draw_parallel(axes: Axes, points: Sequence[Point], keys: Sequence[str], score: str, mode: str | None) -> None:
    """Draw every job as a line across an axis for each key and one for the score, at the right."""
    scales = {key: KeyScale.of([point.values.get(key, "") for point in points]) for key in keys}
    low, high = min(point.score for point in points), max(point.score for point in points)
    colours, norm = mpl.colormaps["viridis_r" if mode == "min" else "viridis"], Normalize(low, high)
    best = None if mode is None else best_of(points, mode)
    for rank, point in enumerate(sorted(points, key=lambda point: point.score, reverse=mode == "min")):  # best on top
        aside = SPREAD * (2 * rank / max(1, len(points) - 1) - 1)  # lines between the same values lie side by side
        height = 0.5 if high == low else (point.score - low) / (high - low)
        line = [*(scales[key].share(point.values.get(key, "")) + aside for key in keys), height]
        style = {"color": BEST, "lw": 2.5} if point is best else {"color": colours(norm(point.score)), "lw": 1.2}
        label = "best" if point is best else None
        axes.plot(range(len(line)), line, alpha=1 if point is best else FADED, label=label, **style)  # type: ignore[arg-type]
    for place, key in enumerate(keys):
        axes.axvline(place, color="0.4", lw=1)
        for value in _named(scales[key]):
            axes.annotate(_cut(value), (place, scales[key].share(value)), (-4, 0), **_BESIDE, ha="right")  # type: ignore[arg-type]
    axes.axvline(len(keys), color="0.4", lw=1)
    for share in (0.0, 0.5, 1.0) if high > low else (0.5,):
        axes.annotate(f"{low + share * (high - low):.4g}", (len(keys), share), (4, 0), **_BESIDE, ha="left")  # type: ignore[arg-type]
    axes.set_xticks(range(len(keys) + 1), [*keys, score], parse_math=False)
    axes.set_xlabel("a line for each job", fontsize=8)
    axes.set_xlim(-0.3, len(keys) + 0.3)
    axes.set_ylim(-0.06, 1.06)
    axes.set_yticks([])
    for side in ("left", "right", "top", "bottom"):
        axes.spines[side].set_visible(False)


_PAPER = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1}
_BESIDE = {"textcoords": "offset points", "va": "center", "fontsize": 7, "parse_math": False, "bbox": _PAPER}


def _named(scale: KeyScale) -> list[str]:
    """The values that are written beside an axis: all of a few, else some, the least and the greatest among them."""
    values = sorted(scale.places, key=lambda value: scale.places[value])
    if len(values) <= TICKS:
        return values
    step = (len(values) - 1) / (TICKS - 1)
    some = [values[round(rank * step)] for rank in range(TICKS)]
    apart = [some[0]]
    for value in some[1:-1]:
        if min(scale.share(value) - scale.share(apart[-1]), 1 - scale.share(value)) >= APART:
            apart.append(value)
    return [*apart, some[-1]]


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
