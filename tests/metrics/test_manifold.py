"""Precision, recall, density and coverage against hand counts and the authors' program."""

import gc
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from genkit.data.spec import DataSpec
from genkit.errors import ConfigError
from genkit.metrics import distances, manifold
from genkit.metrics.base import Probe
from genkit.metrics.manifold import Coverage, ManifoldMetric, NeighbourDensity, Precision, Recall, squared_radii

SPEC = DataSpec((2,), "vector")
ALL: tuple[type[ManifoldMetric], ...] = (Precision, Recall, NeighbourDensity, Coverage)


def probe_of(real: Tensor, fake: Tensor) -> Probe:
    return Probe(SPEC, {"real_features": lambda: real, "fake_features": lambda: fake})


def scores(real: Tensor, fake: Tensor, k: int) -> list[float]:
    """[precision, recall, density, coverage]."""
    probe, values = probe_of(real, fake), []
    for kind in ALL:
        metric = kind(k)
        metric.update(probe)
        values.append(float(metric.compute()))
    return values


def column(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)[:, None]


def lattice(n: int, d: int, shift: float = 0.0) -> Tensor:
    """Rows sin(i √p (1 + shift)) · column number: spread, without a generator; an irrational shift shares no point."""
    primes = torch.tensor([2.0, 3.0, 5.0, 7.0][:d], dtype=torch.float64)
    index = torch.arange(1, n + 1, dtype=torch.float64)[:, None]
    return torch.sin(index * primes.sqrt() * (1 + shift)) * torch.arange(1, d + 1)


def test_counted_by_hand() -> None:
    """Real balls have radius 1. Fake 0.1 is in those of 0 and 1, fake 1.1 in those of 1 and 2, fake 10 in none:
    P = 2/3, D = 4/3; the ball of 3 is empty: C = 3/4; fake balls reach 1, 1 and 8.9: all reals are inside."""
    found = scores(column(0, 1, 2, 3), column(0.1, 1.1, 10), k=1)
    assert found == pytest.approx([2 / 3, 1.0, 4 / 3, 3 / 4], abs=1e-12)


def test_identical_and_disjoint_sets() -> None:
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(100, 3)))
    precision, recall, density, coverage = scores(x, x.clone(), 5)
    assert (precision, recall, coverage) == (1.0, 1.0, 1.0)
    assert density == pytest.approx(1.0, abs=1e-12)
    assert scores(x, x + 1e3, 5) == [0.0, 0.0, 0.0, 0.0]


# Printed by the authors' program, prdc 0.2, whose balls are all open; on these inputs no distance is within 1e-4 of a
# radius, so that the rim plays no part.
@pytest.mark.parametrize("elements", [1000, 2**21])
def test_normal_points_as_in_prdc(elements: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distances, "BLOCK_ELEMENTS", elements)
    real, fake = (torch.from_numpy(np.random.default_rng(seed).normal(size=(500, 8))) for seed in (0, 1))
    assert scores(real, fake, 5) == pytest.approx([0.928, 0.932, 0.986, 0.972], abs=1e-9)


@pytest.mark.parametrize(
    ("k", "wanted"),
    [
        (1, [0.8, 0.8833333333333333, 1.3111111111111111, 0.5166666666666667]),
        (3, [0.9777777777777777, 0.9833333333333333, 1.1777777777777776, 0.9833333333333333]),
        (5, [1.0, 1.0, 1.0044444444444445, 1.0]),
    ],
)
def test_lattices_as_in_prdc(k: int, wanted: list[float]) -> None:
    assert scores(lattice(60, 4), lattice(45, 4, 1 / math.pi), k) == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize("kind", ALL)
def test_equal_counts_take_no_more_of_the_larger_set(kind: type[ManifoldMetric]) -> None:
    """Fresh points score as against as many: coverage 1 − 2⁻ᵏ, where a fifth as many fill half of the balls."""
    draws = np.random.default_rng(0)
    real, fake = (torch.from_numpy(draws.normal(size=(n, 4))) for n in (2000, 400))
    found = []
    for equal in (False, True):
        metric = kind(5, equal)
        metric.update(probe_of(real, fake))
        found.append(float(metric.compute()))
        assert ("counts" in metric.params()) == equal
    ordered = metric.rows()
    some, same = manifold.equally_many(*ordered)
    assert same is ordered[1]
    assert len({tuple(row) for row in some.tolist()} & {tuple(row) for row in real.tolist()}) == 400
    assert found[1] == scores(some, fake, 5)[ALL.index(kind)] != found[0]
    if kind is Coverage:
        assert found[0] < 0.7
        assert found[1] == pytest.approx(1 - 2**-5, abs=0.03)


def test_precision_and_recall_are_each_other_s_mirror() -> None:
    real, fake = lattice(60, 4), 0.5 * lattice(45, 4, 1 / math.pi)
    precision, recall, _, _ = scores(real, fake, 3)
    assert precision > recall + 0.1  # the fakes are a shrunken copy: inside, and not everywhere
    assert scores(fake, real, 3)[:2] == [recall, precision]


def test_a_point_on_the_rim_is_inside() -> None:
    """For density it is outside, so that the balls of points that occur more than k times hold nothing."""
    assert scores(torch.ones(6, 2), torch.ones(6, 2), 3) == [1.0, 1.0, 0.0, 1.0]
    half = torch.cat([torch.ones(10, 4).double(), 9 + lattice(10, 4)])
    assert scores(half, half.clone(), 3) == pytest.approx([1.0, 1.0, 0.5, 1.0])
    offset = 1000 / 3  # the rim survives rounding
    assert scores(column(0, 1, 2) + offset, column(3, 9, 99) + offset, 1)[0] == pytest.approx(1 / 3)


def test_far_and_narrow_points_keep_their_distances() -> None:
    """10⁵ ± 0.01: uncentred products lose d² = 10⁻⁴ in norms of 10¹⁰."""
    real, fake = lattice(60, 4), lattice(45, 4, 1 / math.pi)
    assert scores(1e5 + 0.01 * real, 1e5 + 0.01 * fake, 3) == pytest.approx(scores(real, fake, 3), abs=1e-9)


def test_radii_are_distances_to_the_kth_other_point() -> None:
    x = lattice(30, 3, 0.1)
    wanted = torch.cdist(x, x).sort(1).values
    for k in (1, 2, 7):
        torch.testing.assert_close(squared_radii(x, k).sqrt(), wanted[:, k])


def test_one_outlier_fools_precision_and_not_coverage() -> None:
    real = torch.cat([lattice(60, 4), torch.full((1, 4), 200.0).double()])
    precision, _, _, coverage = scores(real, lattice(45, 4, 1 / math.pi) + 60.0, 1)
    assert precision == 1.0
    assert coverage < 0.05


def test_metrics_with_the_same_batches_share_their_distances(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    membership = manifold.membership
    monkeypatch.setattr(manifold, "membership", lambda *args: calls.append(1) or membership(*args))
    probe = probe_of(lattice(60, 4), lattice(45, 4, 1 / math.pi))
    metrics = [kind(3) for kind in ALL]
    for metric in metrics:
        metric.update(probe)
    values = [float(metric.compute()) for metric in metrics]
    assert all(metric.interval(50, 0) is not None for metric in metrics)
    assert len(calls) == 2  # real balls once, fake balls once
    del metrics, metric
    gc.collect()  # torchmetrics wraps bound methods, so a metric is a cycle
    assert not manifold._SHARED
    assert values == scores(lattice(60, 4), lattice(45, 4, 1 / math.pi), 3)


def test_more_data_makes_the_memory_of_distances_void() -> None:
    real, fake = lattice(60, 4), lattice(45, 4, 1 / math.pi)
    metric = Precision(1)
    metric.update(probe_of(real, fake[:20]))
    metric.compute()
    metric.update(Probe(SPEC, {"fake_features": lambda: fake[20:]}))
    assert float(metric.compute()) == scores(real, fake, 1)[0]


@pytest.mark.parametrize("kind", ALL)
def test_interval_holds_the_value(kind: type[ManifoldMetric]) -> None:
    metric = kind(1)
    metric.update(probe_of(lattice(60, 4), lattice(45, 4, 1 / math.pi)))
    low, high = metric.interval(50, 0) or (0.0, 0.0)
    assert low < float(metric.compute()) < high


@pytest.mark.parametrize("kind", ALL)
def test_more_neighbours_than_points_are_refused(kind: type[ManifoldMetric]) -> None:
    metric = kind(4)
    metric.update(probe_of(column(0, 1, 2, 3), column(0, 1, 2, 3)))
    with pytest.raises(ConfigError, match="k=4 neighbours of 4 points"):
        metric.compute()


@pytest.mark.parametrize(("d", "levels"), [(2, 10), (2, 1000), (64, 17)])
def test_ties_are_those_of_whole_numbers(d: int, levels: int) -> None:
    """Near and far points, in units that no binary fraction holds."""
    real, fake = (torch.randint(levels, (n, d), generator=torch.Generator().manual_seed(n)) for n in (200, 230))
    squares = [(x[:, None] - y).square().sum(2) for x, y in ((real, real), (fake, fake), (fake, real))]
    radii = [table.sort(1).values[:, 3] for table in squares[:2]]
    held, holds = squares[2] <= radii[0], squares[2] <= radii[1][:, None]
    wanted = [held.any(1), holds.any(0), (squares[2] < radii[0]).sum(1) / 3, held.any(0)]
    found = scores(real.double() / 7, fake.double() / 7, 3)
    assert found == pytest.approx([float(values.double().mean()) for values in wanted], abs=1e-7)
