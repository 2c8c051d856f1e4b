"""Errors of scores from neighbour balls: halves counted directly, and intervals against fresh draws."""

import pytest
import torch
from torch import Tensor

from genkit.metrics.manifold import Coverage, ManifoldMetric, NeighbourDensity, Precision, Recall, squared_radii
from genkit.metrics.manifold_error import SPLITS, halves_of_balls, halves_of_points, random_halves


def normal(n: int, d: int, seed: int) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def scored(metric: ManifoldMetric, x: Tensor, y: Tensor) -> ManifoldMetric:
    metric.real, metric.fake = [x], [y]
    return metric


def test_halves_are_scored_as_sets_of_their_own() -> None:
    balls, points, k = normal(120, 2, 0), normal(70, 2, 1) + 0.3, 3
    found, chosen = halves_of_balls(balls, points, k), random_halves(balls)
    filling, fillers = halves_of_points(balls, squared_radii(balls, k), points), random_halves(points)
    for split in (0, SPLITS - 1):
        for half in (0, 1):
            own = balls[chosen[split] == bool(half)]
            precision, density, coverage = (
                float(scored(metric, own, points).compute())
                for metric in (Precision(k), NeighbourDensity(k), Coverage(k))
            )
            assert float(found.points_held[split, half]) == pytest.approx(precision, abs=1e-12)
            assert float(found.density[split, half]) == pytest.approx(density, abs=1e-12)
            assert float(found.balls_filled[split, half]) == pytest.approx(coverage, abs=1e-12)
            part = points[fillers[split] == bool(half)]
            filled = float(scored(Coverage(k), balls, part).compute())
            assert float(filling[split, half]) == pytest.approx(filled, abs=1e-12)


def test_equal_rows_are_neighbours_of_one_another() -> None:
    twice = normal(40, 2, 0).repeat(2, 1)
    found, chosen = halves_of_balls(twice, twice, 1), random_halves(twice)
    own = twice[chosen[0]]
    assert float(found.density[0, 1]) == pytest.approx(
        float(scored(NeighbourDensity(1), own, twice).compute()), abs=1e-12
    )


@pytest.mark.parametrize("kind", [Precision, Recall, NeighbourDensity, Coverage])
@pytest.mark.parametrize(("m", "n", "d", "shift"), [(200, 200, 3, 0.6), (300, 150, 12, 0.0)])
def test_intervals_have_the_width_of_fresh_draws(
    kind: type[ManifoldMetric], m: int, n: int, d: int, shift: float
) -> None:
    drawn = [(normal(m, d, 2 * i), normal(n, d, 2 * i + 1) + shift / d**0.5) for i in range(30)]
    metrics = [scored(kind(), x, y) for x, y in drawn]
    sd = float(torch.stack([metric.compute() for metric in metrics]).std())
    ends = [metric.redrawn_interval(0, 0) for metric in metrics[:10]]
    assert sum(high - low for low, high in ends) / 10 / 3.92 == pytest.approx(sd, rel=0.45)
    for metric, (low, high) in zip(metrics, ends, strict=False):
        near = metric.interval(0, 0)
        assert low <= near[0] <= float(metric.compute()) <= near[1] <= high


def test_nothing_and_all_have_the_interval_of_a_share() -> None:
    x = normal(60, 2, 0)
    for y, share in ((x.clone(), 1.0), (x + 100.0, 0.0)):
        for kind in (Precision, Recall, Coverage):
            low, high = scored(kind(), x, y).redrawn_interval(0, 0)
            assert low <= share <= high
            assert 0.0 < high - low < 0.1
