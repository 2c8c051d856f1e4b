"""The picture of a sweep: which key it is drawn over, which jobs share a line, and which one is ringed."""

from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from genkit.report.forest import columns_of
from genkit.report.palette import BEST
from genkit.report.sweep_curve import lines_over, mark_best, numeric_key, save_sweep
from genkit.report.sweep_panels import KeyScale, Point, draw_factor, draw_parallel

RATES = [Point({"lr": lr, "dim": dim, "seed": seed}, float(lr) + int(dim) + int(seed))
         for lr in ("1e-3", "0.1") for dim in ("4", "8") for seed in ("1", "2")]  # fmt: skip


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ([{"lr": "1"}, {"lr": "2e-3"}], "lr"),
        ([{"model": "vae", "lr": "1"}, {"model": "gan", "lr": "2"}], "lr"),
        ([{"lr": "1"}, {"lr": "1.0"}], None),
        ([{"seed": "1"}, {"seed": "2"}], None),
        ([{"clip": "null"}, {"clip": "2"}], None),
        ([{"clip": "nan"}, {"clip": "2"}], None),
        ([{}, {}], None),
    ],
)
def test_the_score_is_drawn_over_the_first_key_of_numbers(values: list[dict[str, str]], key: str | None) -> None:
    assert numeric_key([Point(each, 1.0) for each in values]) == key


def test_jobs_that_differ_in_their_seed_alone_share_a_place() -> None:
    assert lines_over(RATES, "lr") == {
        "dim=4": {0.001: [5.001, 6.001], 0.1: [5.1, 6.1]},
        "dim=8": {0.001: [9.001, 10.001], 0.1: [9.1, 10.1]},
    }


@pytest.mark.parametrize(("mode", "best"), [("min", [2.0]), ("max", [7.0]), (None, [])])
def test_the_best_is_ringed_where_scores_can_be_ranked(mode: str | None, best: list[float]) -> None:
    axes = Figure().add_subplot()
    mark_best(axes, [(0.0, 4.0), (1.0, 2.0), (2.0, 7.0)], mode)
    assert [float(line.get_ydata()[0]) for line in axes.lines] == best  # type: ignore[index]


def test_every_kind_of_sweep_has_a_picture(tmp_path: Path) -> None:
    many = [Point({"lr": str(i % 2), "name": f"${i}"}, float(i)) for i in range(30)]
    for i, points in enumerate((RATES, many, [Point({"seed": "1"}, 1.0), Point({"seed": "2"}, 1.0)])):
        save_sweep(tmp_path / f"{i}.png", points, "val/loss", "min", "vae on $digits")
        assert (tmp_path / f"{i}.png").stat().st_size > 1000


def test_panels_leave_the_fewest_places_empty() -> None:
    assert [columns_of(panels) for panels in range(1, 8)] == [1, 2, 3, 2, 3, 3, 2]


@pytest.mark.parametrize(
    ("values", "shares"),
    [
        (["1", "2", "3"], [0.0, 0.5, 1.0]),
        (["1e-4", "1e-2", "1e-3"], [0.0, 1.0, 0.5]),  # over more than a factor of 20 an axis is logarithmic
        (["adam", "sgd", "lion"], [0.0, 0.5, 1.0]),
        (["null", "2", "1"], [0.0, 0.5, 1.0]),
        (["7"], [0.5]),
    ],
)
def test_values_share_an_axis_by_number_or_by_rank(values: list[str], shares: list[float]) -> None:
    scale = KeyScale.of(values)
    assert [scale.share(value) for value in values] == pytest.approx(shares)


@pytest.mark.parametrize(("mode", "best"), [("min", 0), ("max", 7)])
def test_every_job_is_a_line_across_all_axes_and_the_best_one_lies_on_top(mode: str, best: int) -> None:
    axes = Figure().add_subplot()
    draw_parallel(axes, RATES, ["lr", "dim"], "val/loss", mode)
    jobs = [line for line in axes.lines if len(line.get_xdata()) == 3]
    assert len(jobs) == len(RATES)
    assert [line.get_color() for line in jobs].index(BEST) == len(jobs) - 1
    low, high = RATES[0].score, RATES[7].score
    assert jobs[-1].get_ydata()[-1] == pytest.approx((RATES[best].score - low) / (high - low))  # type: ignore[index]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["lr", "dim", "val/loss"]


def test_the_mean_over_one_key_is_of_all_jobs_with_its_value() -> None:
    axes = Figure().add_subplot()
    draw_factor(axes, RATES, "lr", "min")
    (mean,) = (line for line in axes.lines if line.get_label() == "mean")
    assert list(mean.get_xdata()) == [0.001, 0.1]
    assert list(mean.get_ydata()) == pytest.approx([7.501, 7.6])
    assert axes.get_xlabel() == "lr"
