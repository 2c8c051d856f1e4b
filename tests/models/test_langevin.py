"""Chains end in the density that they walk in: exactly with Metropolis' rule, up to a known error without."""

import math

import pytest
import torch
from torch import Tensor

from genkit.models.energy.base_distribution import CoveringBase
from genkit.models.energy.langevin import MALA, ChainSampler, Langevin, drift, slope
from genkit.noise import SampleNoise

N = 2000
BASE = CoveringBase()


def standard_normal(u: Tensor) -> Tensor:
    return -u.flatten(1).square().sum(1) / 2


def two_modes(u: Tensor) -> Tensor:
    """0.8 N(−2, 0.2²) + 0.2 N(2, 0.2²), which no short walk joins, in one dimension."""
    places, weights = torch.tensor([-2.0, 2.0]), torch.tensor([0.8, 0.2])
    return torch.logsumexp(weights.log() - (u - places).square() / (2 * 0.2**2), 1)


def drawn(sampler: ChainSampler, log_density=standard_normal, shape=(1,), n=N, seed=0) -> Tensor:
    return sampler(log_density, BASE, shape, SampleNoise(seed, range(n)))


@pytest.mark.parametrize("temperature", [1.0, 0.25])
def test_the_adjusted_walk_has_the_density_itself_at_any_step(temperature: float) -> None:
    for step in (0.5, 1.5):
        u = drawn(MALA(steps=60, step=step * temperature**0.5, temperature=temperature, candidates=1))
        assert float(u.var()) == pytest.approx(temperature, rel=5 * math.sqrt(2 / N))
        assert abs(float(u.mean())) < 5 * math.sqrt(temperature / N)


@pytest.mark.parametrize(("step", "temperature"), [(0.5, 1.0), (1.2, 1.0), (0.5, 0.25)])
def test_the_plain_walk_is_too_wide_by_what_its_step_says(step: float, temperature: float) -> None:
    """u' = (1 − ε²/2T) u + ε z on a standard normal: its variance is T / (1 − ε²/4T)."""
    u = drawn(Langevin(steps=80, step=step, temperature=temperature))
    assert float(u.var()) == pytest.approx(temperature / (1 - step**2 / (4 * temperature)), rel=5 * math.sqrt(2 / N))


def test_candidates_give_modes_that_lie_apart_their_shares() -> None:
    shares = [float((drawn(MALA(steps=5, candidates=k), two_modes) < 0).double().mean()) for k in (1, 256)]
    assert shares[1] == pytest.approx(0.8, abs=5 * math.sqrt(0.16 / N) + 0.01)
    assert shares[0] < 0.7  # a walk alone leaves them as the base has them


def test_evaluations_are_what_a_sample_asks() -> None:
    for sampler in (Langevin(steps=7), MALA(steps=7, candidates=1), MALA(steps=7, candidates=5)):
        asked = 0

        def counted(u: Tensor) -> Tensor:
            nonlocal asked
            asked += len(u)
            return standard_normal(u)

        drawn(sampler, counted, n=3)
        assert asked == 3 * sampler.evaluations


def test_no_coordinate_moves_further_along_the_gradient_than_the_limit() -> None:
    gradient = torch.tensor([[1e6, -1e6, 1.0]])
    torch.testing.assert_close(drift(gradient, 0.1, 1.0, limit=0.1), torch.tensor([[0.1, -0.1, 0.005]]))
    steep = drawn(Langevin(steps=5, step=0.1, gradient_limit=0.1), lambda u: -1e6 * u.flatten(1).square().sum(1), n=9)
    assert bool(torch.isfinite(steep).all())


def test_a_slope_is_the_gradient_and_leaves_no_graph() -> None:
    u = torch.randn(3, 2, 2)
    value, gradient = slope(standard_normal, u)
    torch.testing.assert_close(gradient, -u)
    torch.testing.assert_close(value, standard_normal(u))
    assert not any(each.requires_grad for each in (value, gradient, u))


def test_the_base_distribution_is_one_and_covers_what_it_draws() -> None:
    axis = torch.linspace(-24.025, 24.025, 962)  # no point on an edge of the box
    cell = float(axis[1] - axis[0]) ** 2
    assert float(BASE.log_prob(torch.cartesian_prod(axis, axis)).exp().sum() * cell) == pytest.approx(1, abs=1e-3)
    torch.manual_seed(0)
    kinds = BASE.in_training(N, (2,), torch.device("cpu")), BASE.from_noise(1, (2,), SampleNoise(0, range(N)))[:, 0]
    for points in kinds:  # E_q[1 / q] over a set is its area: of the box and of one beside it
        for low, high in ((-3.0, 3.0), (0.0, 6.0)):
            inside = ((points > low) & (points < high)).all(1)
            area = (-BASE.log_prob(points)).exp()[inside].sum() / N
            assert float(area) == pytest.approx((high - low) ** 2, rel=0.25)
