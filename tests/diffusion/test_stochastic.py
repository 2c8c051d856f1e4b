"""Samplers that add noise: the right law for any amount of it, drawn for each sample alone, and none of it at all."""

from functools import partial

import pytest
import torch
from diffusion_cases import SCHEDULES, GaussianDenoiser, mixture, ring

from genkit.diffusion.adaptive import AdaptiveSampler
from genkit.diffusion.dpm_solver import DPMSolverSampler
from genkit.diffusion.sampler import EulerSampler, HeunSampler
from genkit.diffusion.stochastic import AncestralSampler, DDIMSampler, EulerMaruyamaSampler
from genkit.diffusion.time_grid import KarrasGrid
from genkit.errors import ConfigError, NumericalError
from genkit.noise import SampleNoise, generator_of

GRID = KarrasGrid()
STOCHASTIC = {
    "ancestral": partial(AncestralSampler, steps=120, grid=GRID),
    "ancestral-wide": partial(AncestralSampler, steps=250, grid=GRID, widening=1.0),
    "ddim-half": partial(DDIMSampler, steps=80, grid=GRID, eta=0.5),
    "ddim-full": partial(DDIMSampler, steps=120, grid=GRID, eta=1.0),
    "euler-maruyama": partial(EulerMaruyamaSampler, steps=200, grid=GRID),
    "euler-maruyama-little": partial(EulerMaruyamaSampler, steps=250, grid=GRID, noise_scale=0.3),
    "heun-churn": partial(HeunSampler, steps=40, grid=GRID, churn=20.0),
    "dpm-solver-sde": partial(DPMSolverSampler, steps=50, grid=GRID, eta=1.0),
}
ALL = STOCHASTIC | {
    "adaptive": partial(AdaptiveSampler, rtol=1e-3, atol=1e-3),
    "ddim": partial(DDIMSampler, steps=60, grid=GRID),
    "dpm-solver": partial(DPMSolverSampler, steps=25, grid=GRID),
}
over_stochastic = pytest.mark.parametrize("sampler", STOCHASTIC.values(), ids=STOCHASTIC)


def drawn(sampler, denoiser, noise) -> torch.Tensor:
    """Samples as a model makes them."""
    return sampler(denoiser=denoiser)(denoiser.schedule(torch.ones(()))[1] * noise(2), noise)


def quick(n: int):
    """Noise without a stream for each sample, which is slow for many."""
    g = generator_of(0, "quick")
    return lambda *shape: torch.randn(n, *shape, generator=g)


@pytest.mark.parametrize("sampler", ALL.values(), ids=ALL)
@pytest.mark.parametrize("name", ["karras", "linear", "rectified"])
def test_all_modes_are_hit_with_their_weights_and_width(sampler, name):
    weights, n = torch.tensor([1, 2, 3, 4, 4, 3, 2, 1.0]) / 20, 3000
    denoiser = ring(SCHEDULES[name], weights)
    distance, mode = torch.cdist(drawn(sampler, denoiser, quick(n)), denoiser.means).min(1)
    shares = torch.bincount(mode, minlength=8) / n
    assert ((shares - weights).abs() < 4.5 * (weights * (1 - weights) / n).sqrt() + 0.005).all()
    spread = (distance.square().mean() / 2).sqrt().item()
    assert spread == pytest.approx(0.2, rel=0.12)


def variance(sampler, name: str, steps: int) -> float:
    """Of samples of N(0, 0.7²), exactly: steps are linear, so each row sees one of the noises alone."""
    denoiser = GaussianDenoiser(torch.zeros(1).double(), 0.49 * torch.eye(1).double(), SCHEDULES[name])
    x_1, calls = torch.zeros(steps + 1, 1, dtype=torch.float64), iter(range(1, steps + 1))
    x_1[0] = denoiser.schedule(torch.ones((), dtype=torch.float64))[1]

    def one_at_a_time(*shape: int) -> torch.Tensor:
        out = torch.zeros_like(x_1)
        out[next(calls)] = 1
        return out

    return sampler(denoiser=denoiser, steps=steps)(x_1, one_at_a_time).square().sum().item()


@over_stochastic
@pytest.mark.parametrize("name", ["karras", pytest.param("cosine", marks=pytest.mark.slow)])
def test_the_variance_of_a_normal_is_reached_as_steps_shrink(sampler, name):
    if "churn" in sampler.keywords:
        sampler = partial(sampler, churn=4.0)  # of a fixed amount in all, spread over the steps
    few, more, many = (abs(variance(sampler, name, steps) / 0.49 - 1) for steps in (50, 200, 800))
    assert many < 0.05
    assert more < 0.5 * few + 1e-4
    assert many < 0.5 * more + 1e-4


@over_stochastic
def test_a_sample_is_a_function_of_its_own_number(sampler):
    denoiser = mixture(SCHEDULES["karras"], torch.float32)
    whole = drawn(sampler, denoiser, SampleNoise(0, range(5)))
    torch.testing.assert_close(drawn(sampler, denoiser, SampleNoise(0, [3])), whole[3:4], rtol=0, atol=1e-4)


def test_with_an_adaptive_solver_too():
    denoiser = mixture(SCHEDULES["rectified"], torch.float64)
    noise = torch.randn(6, 2, generator=generator_of(0, "x_1"), dtype=torch.float64)
    sampler = AdaptiveSampler(denoiser=denoiser)
    whole = sampler(noise)
    for i in range(6):
        torch.testing.assert_close(sampler(noise[i : i + 1]), whole[i : i + 1], rtol=0, atol=1e-10)


@over_stochastic
def test_without_noise_it_is_refused(sampler):
    with pytest.raises(ConfigError, match="needs noise"):
        sampler(denoiser=mixture(SCHEDULES["karras"]))(torch.ones(2, 2, dtype=torch.float64))


@pytest.mark.parametrize("name", SCHEDULES)
def test_no_noise_at_all_is_euler_and_full_noise_is_ancestral(name):
    denoiser, x_1 = mixture(SCHEDULES[name], torch.float32), torch.randn(5, 2, generator=generator_of(0, "x"))
    ddim = DDIMSampler(denoiser=denoiser, steps=9)(x_1)
    torch.testing.assert_close(ddim, EulerSampler(denoiser=denoiser, steps=9)(x_1), rtol=1e-3, atol=1e-4)
    full = DDIMSampler(denoiser=denoiser, steps=9, eta=1.0)(x_1, SampleNoise(0, range(5)))
    other = AncestralSampler(denoiser=denoiser, steps=9)(x_1, SampleNoise(0, range(5)))
    torch.testing.assert_close(full, other, rtol=1e-3, atol=1e-3)


def test_churn_outside_its_interval_is_none():
    denoiser, x_1 = mixture(SCHEDULES["karras"]), 80 * torch.ones(3, 2, dtype=torch.float64)
    outside = HeunSampler(denoiser=denoiser, churn=30.0, churn_low=100.0)(x_1)
    assert torch.equal(outside, HeunSampler(denoiser=denoiser)(x_1))


@pytest.mark.parametrize("name", ["karras", "ve", "linear", "rectified"])
def test_a_finer_tolerance_is_a_smaller_error(name):
    denoiser, sigma = mixture(SCHEDULES[name]), SCHEDULES[name](torch.ones((), dtype=torch.float64))[1]
    x_1 = sigma * torch.randn(16, 2, generator=generator_of(0, "x_1"), dtype=torch.float64)
    exact = AdaptiveSampler(denoiser=denoiser, rtol=1e-9, atol=1e-9)(x_1)
    errors = [
        (AdaptiveSampler(denoiser=denoiser, rtol=tol, atol=tol)(x_1) - exact).norm() for tol in (1e-2, 1e-4, 1e-6)
    ]
    assert errors[1] < 0.1 * errors[0]
    assert errors[2] < 0.1 * errors[1]
    assert errors[2] < 1e-3


def test_a_tolerance_that_is_not_reached_is_said():
    sampler = AdaptiveSampler(denoiser=mixture(SCHEDULES["karras"]), rtol=1e-12, atol=1e-12, max_steps=5)
    with pytest.raises(NumericalError, match=r"sampler\.rtol"):
        sampler(torch.ones(2, 2, dtype=torch.float64))
