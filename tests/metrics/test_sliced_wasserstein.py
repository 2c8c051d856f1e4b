"""The sliced Wasserstein distance against exact transport in one dimension and laws of shifts."""

import math

import pytest
import torch
from torch import Tensor

from genkit.data.spec import DataSpec
from genkit.errors import ConfigError
from genkit.metrics import distances
from genkit.metrics.base import Probe
from genkit.metrics.interval import resamples
from genkit.metrics.sliced_wasserstein import (
    SlicedWasserstein,
    SortedPairs,
    bootstrap_distances,
    directions,
    sliced_wasserstein,
)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def line(n: int, shift: float = 0.0) -> Tensor:
    return torch.sin(torch.arange(1, n + 1, dtype=torch.float64) * math.sqrt(2.0) * (1 + shift))


def metric_of(real: Tensor, fake: Tensor, **arguments: int) -> SlicedWasserstein:
    metric = SlicedWasserstein(**arguments)
    metric.update(Probe(DataSpec((real.shape[1],), "vector"), {"real": lambda: real, "fake": lambda: fake}))
    return metric


# W₂² printed by POT 0.9.7 (ot.emd2_1d)
@pytest.mark.parametrize(
    ("n", "m", "wanted"), [(9, 7, 2.999338429881789), (9, 9, 2.953274939531658), (6, 4, 4.550595496271281)]
)
def test_one_dimension_is_exact_transport(n: int, m: int, wanted: float) -> None:
    x, y = (3 * line(9) + 1)[:n], line(max(m, 7), 1 / math.pi)[:m]
    value = float(metric_of(x[:, None], y[:, None], projections=5).compute())
    assert value**2 == pytest.approx(wanted, abs=1e-10)


@pytest.mark.parametrize(("n", "m"), [(6, 4), (5, 5), (1, 3), (12, 18)])
def test_coupling_is_that_of_points_repeated_to_a_common_number(n: int, m: int) -> None:
    common = math.lcm(n, m)
    x, y = line(n).sort().values, line(m, 0.3).sort().values
    wanted = (x.repeat_interleave(common // n) - y.repeat_interleave(common // m)).square().mean()
    coupling = SortedPairs.between(n, m)
    assert float(coupling.cost(x[None], y[None])) == pytest.approx(float(wanted), abs=1e-12)
    torch.testing.assert_close(torch.bincount(coupling.i, coupling.mass), torch.full((n,), 1 / n).double())
    torch.testing.assert_close(torch.bincount(coupling.j, coupling.mass), torch.full((m,), 1 / m).double())


def test_shift_costs_its_length_over_the_root_of_the_dimension() -> None:
    x, v = normal(40, 3), torch.tensor([3.0, 0.0, -4.0], dtype=torch.float64)
    assert float(metric_of(x, x + v, projections=2000).compute()) ** 2 == pytest.approx(25 / 3, rel=0.04)


def test_blocks_and_order_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = normal(50, 3), 2.0 * normal(33, 3, seed=1)
    whole = float(metric_of(x, y).compute())
    monkeypatch.setattr(distances, "BLOCK_ELEMENTS", 200)
    assert float(metric_of(x.flip(0), y.roll(5, 0)).compute()) == pytest.approx(whole, rel=1e-12)


def test_identical_sets_are_at_zero() -> None:
    assert float(metric_of(normal(30, 2), normal(30, 2).flip(0)).compute()) == pytest.approx(0.0, abs=1e-12)


def test_directions_are_fixed_and_uniform() -> None:
    thetas = directions(4000, 3, 0)
    assert torch.equal(directions(4000, 3, 0), thetas)
    torch.testing.assert_close(thetas.T @ thetas / 4000, torch.eye(3).double() / 3, atol=0.02, rtol=0)
    assert not torch.equal(directions(4000, 3, 1), thetas)


def test_bootstrap_replicate_is_the_distance_of_the_resampled_rows() -> None:
    x, y, thetas = normal(30, 2), normal(25, 2, seed=1) + 1.0, directions(20, 2, 0)
    for counts, got in zip(resamples(25, 3, 5), bootstrap_distances(x, y, thetas, 3, 5), strict=True):
        wanted = sliced_wasserstein(x, y.repeat_interleave(counts, 0), thetas)
        assert float(got) == pytest.approx(float(wanted), rel=1e-12)


def test_interval_holds_the_value_and_the_spread_of_fresh_samples() -> None:
    x = normal(400, 2)
    metric = metric_of(x, normal(200, 2, seed=99) + 1.0, projections=100)
    low, high = metric.interval(50, 0) or (0.0, 0.0)
    fresh = [metric_of(x, normal(200, 2, seed=i) + 1.0, projections=100).compute() for i in range(1, 41)]
    assert low < float(metric.compute()) < high
    assert (high - low) / (2 * 1.96) == pytest.approx(float(torch.stack(fresh).std()), rel=0.5)


def test_too_few_samples_are_refused() -> None:
    with pytest.raises(ConfigError, match="at least 2 real samples, got 1"):
        metric_of(normal(1, 2), normal(5, 2)).compute()
