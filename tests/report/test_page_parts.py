"""Laws of what reports are drawn by: thinned curves, axes, frames."""

from __future__ import annotations

import io
import math
import random
from itertools import pairwise

import pytest
from PIL import Image

from genkit.report.page.axes import Axis, round_numbers, values_axis, written
from genkit.report.page.curves import ChartLine, chart
from genkit.report.page.frames import FilmFrame, chosen, fitting
from genkit.report.page.thinning import thinned

SEEDS = range(8)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_thinned_curve_keeps_ends_extremes_and_order(seed: int) -> None:
    """In every stretch that is a hundredth of the curve or longer, the extremes are nearly kept, too."""
    draw = random.Random(seed)
    points = [(float(i), draw.gauss(0, 1) * draw.choice((1, 1, 1, 50))) for i in range(draw.randrange(600, 9000))]
    kept = thinned(points, 500)
    assert len(kept) <= 500
    assert set(kept) <= set(points)
    assert kept == sorted(kept)
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    assert max(y for _, y in kept) == max(y for _, y in points)
    assert min(y for _, y in kept) == min(y for _, y in points)
    width = len(points) // 100
    for start in range(width, len(points) - 2 * width, width):
        inside = [y for x, y in points if start <= x < start + width]
        around = [y for x, y in kept if start - width <= x < start + 2 * width]
        assert max(around) >= max(inside)
        assert min(around) <= min(inside)


def test_a_short_curve_is_left_alone() -> None:
    points = [(0.0, 1.0), (1.0, 2.0)]
    assert thinned(points) == points
    assert thinned([]) == []


@pytest.mark.parametrize("seed", SEEDS)
def test_marks_are_round_few_and_inside(seed: int) -> None:
    draw = random.Random(seed)
    low = draw.uniform(-1, 1) * 10 ** draw.randrange(-6, 7)
    high = low + 10 ** draw.uniform(-6, 7)
    marks = round_numbers(low, high)
    assert 2 <= len(marks) <= 10
    room = 1e-9 * (high - low)
    assert all(low - room <= mark <= high + room for mark in marks)
    steps = {round((b - a) / (marks[1] - marks[0]), 6) for a, b in pairwise(marks)}
    assert steps == {1.0}
    mantissa = (marks[1] - marks[0]) / 10 ** math.floor(math.log10(marks[1] - marks[0]) + 1e-9)
    assert min(abs(mantissa - m) for m in (1, 2, 5, 10)) < 1e-6


@pytest.mark.parametrize("axis", [Axis(-2.0, 6.0, 100), Axis(1e-3, 1e4, 100, logarithmic=True)])
def test_an_axis_grows_with_its_values(axis: Axis) -> None:
    values = [axis.low + (axis.high - axis.low) * share for share in (0, 0.1, 0.5, 0.9, 1)]
    places = [axis.place(value) for value in values]
    assert places == sorted(places)
    assert (places[0], places[-1]) == (0, 100)
    assert all(axis.low <= mark <= axis.high for mark in axis.marks)
    assert len(axis.marks) > 1


def test_a_steep_start_does_not_flatten_the_rest() -> None:
    curve = [(0.0, 1e6), *((float(i), 5 - 1e-3 * i) for i in range(1, 1000)), (1000.0, -1.0)]
    axis = values_axis([curve], 100)
    assert axis.cut
    assert axis.high < 100
    assert values_axis([curve[1:]], 100).high >= 5
    flat = values_axis([[(0.0, 3.0), (1.0, 3.0)]], 100)
    assert flat.low < 3 < flat.high
    assert values_axis([[(1.0, 1e-3), (1000.0, 1.0)]], 100).logarithmic


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.1, "0.1"), (1234.5, "1,234"), (123456, "1.23e5"), (-2e-7, "-2e-7"), (50, "50"), (1e5, "1e5")],
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert written(value) == text


def test_a_chart_of_nothing_is_none() -> None:
    assert chart("loss", []) == ""
    assert chart("loss", [ChartLine("training", [])]) == ""
    assert "<circle" in chart("loss", [ChartLine("training", [(0.0, 0.0)])])


def noise(width: int) -> bytes:
    file = io.BytesIO()
    Image.frombytes("RGB", (width, width), random.Random(width).randbytes(3 * width * width)).save(file, "PNG")
    return file.getvalue()


def test_frames_keep_to_their_budget_and_their_ends() -> None:
    frames = [FilmFrame(f"step {i}", noise(400 + i)) for i in range(6)]
    assert fitting(frames, 10**8) == frames
    few = fitting(frames, 300_000)
    assert sum(len(frame.data) for frame in few) <= 300_000
    assert few[-1].name == "step 5"
    assert few[0].source.startswith("data:image/webp;base64,")
    assert fitting([FilmFrame("step 1", b"no picture" * 1000)], 10) == [FilmFrame("step 1", b"no picture" * 1000)]
    paths = list(map(str, range(1000)))
    picked = chosen(paths, 40)  # type: ignore[arg-type]
    assert len(picked) == 40
    assert (picked[0], picked[-1]) == ("0", "999")
