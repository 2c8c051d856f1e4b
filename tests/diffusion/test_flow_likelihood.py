"""Likelihoods of exact denoisers: entropies, densities, bounds, and errors that are as large as they say."""

import math

import pytest
import torch
from diffusion_cases import SCHEDULES, GaussianDenoiser, mixture
from torch import Tensor
from torch.distributions import MultivariateNormal

from genkit.data.spec import DataSpec
from genkit.diffusion.denoiser import MixtureDenoiser
from genkit.diffusion.likelihood import FlowLikelihood, VariationalBound
from genkit.noise import generator_of

PLANE = DataSpec(shape=(2,), modality="vector")
MEAN = torch.tensor([0.5, -1.0, 0.2], dtype=torch.float64)
ROOT = torch.tensor([[1.0, 0.0, 0.0], [0.6, 0.7, 0.0], [-0.3, 0.2, 0.5]], dtype=torch.float64)
NORMAL = MultivariateNormal(MEAN, scale_tril=ROOT)
# six points whose mean and covariance are exactly the normal's: their mean log-density is minus its entropy
POINTS = MEAN + 3**0.5 * torch.cat((ROOT.T, -ROOT.T))
SPACE = DataSpec(shape=(3,), modality="vector")


def gaussian(name: str) -> GaussianDenoiser:
    return GaussianDenoiser(MEAN, ROOT @ ROOT.T, SCHEDULES[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["karras", "linear", "cosine"])
def test_the_mean_likelihood_of_a_normal_is_its_entropy(name):
    got = -FlowLikelihood(steps=400)(gaussian(name), POINTS, SPACE).mean()
    # the data carries the schedule's least noise
    least = SCHEDULES[name].level(torch.zeros((), dtype=torch.float64)) ** 2
    smoothed = MultivariateNormal(MEAN, ROOT @ ROOT.T + least * torch.eye(3))
    assert -smoothed.log_prob(POINTS).mean().item() == pytest.approx(NORMAL.entropy().item(), abs=1e-4)
    assert got.item() == pytest.approx(NORMAL.entropy().item(), abs=1e-4)


@pytest.mark.parametrize("name", ["karras", "ve", "linear", "rectified"])
def test_the_density_of_a_mixture_point_by_point(name):
    denoiser = mixture(SCHEDULES[name])
    x = 1.5 * torch.randn(20, 2, generator=generator_of(0, "x"), dtype=torch.float64)
    distance = (x[:, None] - denoiser.means).square().sum(2)
    log_p = denoiser.log_weights - distance / (2 * denoiser.stds**2) - (2 * math.pi * denoiser.stds**2).log()
    near = distance.min(1).values < 1  # where there is data
    got = FlowLikelihood(steps=150)(denoiser, x, PLANE)
    torch.testing.assert_close(got[near], log_p.logsumexp(1)[near], rtol=0, atol=0.03)


@pytest.mark.parametrize("probes", [1, 4])
def test_probes_are_right_within_their_own_error(probes):
    x = MEAN + torch.randn(100, 3, generator=generator_of(0, "x")).double() @ ROOT.T
    exact = FlowLikelihood(steps=40)(gaussian("karras"), x, SPACE)
    error = FlowLikelihood(steps=40, exact_dim=0, probes=probes)(gaussian("karras"), x, SPACE) - exact
    assert error.std() > 0.1 / probes**0.5
    assert error.mean().abs() < 3 * error.std() / 10


@pytest.mark.parametrize("likelihood", [FlowLikelihood(steps=9, exact_dim=0), VariationalBound(steps=9)])
def test_a_value_is_a_function_of_its_example(likelihood):
    whole = likelihood(gaussian("karras"), POINTS, SPACE)
    alone = torch.cat([likelihood(gaussian("karras"), POINTS[i : i + 1], SPACE) for i in range(6)])
    torch.testing.assert_close(alone, whole)


def test_the_bound_is_below_and_rises_with_the_steps():
    values = [VariationalBound(steps=steps)(gaussian("linear"), POINTS, SPACE).mean() for steps in (20, 80, 320)]
    exact = -NORMAL.entropy()
    assert values[0] < values[1] < exact
    assert values[1] < values[2]
    x = MEAN + torch.randn(300, 3, generator=generator_of(0, "x")).double() @ ROOT.T
    bound = VariationalBound(steps=400)(gaussian("linear"), x, SPACE) - NORMAL.log_prob(x)
    assert bound.mean() < 3 * bound.std() / 300**0.5
    assert bound.mean() > -0.7


SHARES = torch.tensor([0.1, 0.4, 0.2, 0.25, 0.05], dtype=torch.float64)


def excess_of_levels(seeds: int, moved: float = 0.0) -> Tensor:
    """−log P of the bound minus that of the truth in nats, 5 levels with known shares, (seeds, 5)."""
    spec = DataSpec(shape=(1,), modality="vector", value_range=(-1.0, 1.0), levels=5)
    centres = spec.scale(torch.arange(5.0)).double()[:, None]
    exact = MixtureDenoiser(centres, torch.zeros(5).double(), SHARES, SCHEDULES["cosine"])
    bound, x = VariationalBound(steps=200), centres + moved * spec.bin_width
    log_mass = [bound(exact, x, spec, seed=seed) + math.log(spec.bin_width) for seed in range(seeds)]
    return SHARES.log() - torch.stack(log_mass)


def test_the_bound_of_levels_is_near_their_entropy_and_not_below():
    excess, entropy = excess_of_levels(16), -(SHARES * SHARES.log()).sum()
    error = (SHARES.square() * excess.var(0) / len(excess)).sum().sqrt()
    mean = (SHARES * excess.mean(0)).sum()
    assert -3 * error < mean < 0.1 * entropy + 3 * error


def test_the_bound_of_levels_is_that_of_the_bin_wherever_in_it():
    assert torch.equal(excess_of_levels(1, 0.3), excess_of_levels(1))


def test_seeds_draw_anew_and_the_first_is_no_seed():
    for likelihood in (FlowLikelihood(steps=9, exact_dim=0), VariationalBound(steps=9)):
        none, zero, one = (likelihood(gaussian("karras"), POINTS, SPACE, **s) for s in ({}, {"seed": 0}, {"seed": 1}))
        assert torch.equal(none, zero)
        assert not torch.allclose(zero, one)


def test_the_flows_gradient_is_that_of_the_density():
    """Of a normal, whose score is known; the data carries the schedule's least noise, 0.002."""
    x = POINTS.clone().requires_grad_()
    (score,) = torch.autograd.grad(FlowLikelihood(steps=60)(gaussian("karras"), x, SPACE).sum(), x)
    torch.testing.assert_close(score, torch.linalg.solve(ROOT @ ROOT.T, (MEAN - POINTS).T).T, rtol=0.02, atol=0.05)
