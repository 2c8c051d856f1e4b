"""Samplers on exact denoisers: the law of the data, the order of the error, the count of evaluations."""

import math
from functools import cache

import pytest
import torch
from diffusion_cases import SCHEDULES, GaussianDenoiser, mixture, ring
from torch import Tensor

from genkit.diffusion.denoiser import Denoiser
from genkit.diffusion.dpm_solver import DPMSolverSampler
from genkit.diffusion.sampler import EulerSampler, HeunSampler
from genkit.diffusion.schedule import Schedule
from genkit.diffusion.stochastic import DDIMSampler
from genkit.diffusion.time_grid import KarrasGrid, LogSNRGrid
from genkit.noise import generator_of

over_schedules = pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
ORDERS = [(EulerSampler, 1), (DDIMSampler, 1), (HeunSampler, 2), (DPMSolverSampler, 2)]
over_samplers = pytest.mark.parametrize(("sampler", "order"), ORDERS)
MEAN = torch.tensor([0.5, -1.0, 0.2], dtype=torch.float64)
ROOT = torch.tensor([[1.0, 0.0, 0.0], [0.6, 0.4, 0.0], [-0.3, 0.2, 0.1]], dtype=torch.float64)
COVARIANCE = ROOT @ ROOT.T


def at_one(schedule: Schedule) -> tuple[Tensor, Tensor]:
    return schedule(torch.ones((), dtype=torch.float64))


def affine_map(sampler) -> tuple[Tensor, Tensor]:
    """The matrix A and offset b of a sampler on a linear denoiser, x = A x₁ + b."""
    points = torch.cat((torch.zeros(1, 3), torch.eye(3))).double()
    out = sampler(points)
    return (out[1:] - out[0]).T, out[0]


def exact_map(schedule: Schedule) -> tuple[Tensor, Tensor]:
    """The same in closed form: x̄ − μ scales with (C + σ²)^½ along the ODE; the last step is the posterior mean."""
    (alpha, sigma), (alpha_0, sigma_0) = at_one(schedule), schedule(torch.zeros((), dtype=torch.float64))
    values, vectors = torch.linalg.eigh(COVARIANCE)
    high, low = values + (sigma / alpha) ** 2, values + (sigma_0 / alpha_0) ** 2
    scale = (low / high).sqrt() * values / low
    slope = vectors @ torch.diag(scale) @ vectors.T
    return slope / alpha, MEAN - slope @ MEAN


@over_schedules
def test_the_map_of_a_gaussian_is_the_closed_form(schedule):
    A, b = affine_map(HeunSampler(denoiser=GaussianDenoiser(MEAN, COVARIANCE, schedule), steps=400))
    exact_A, exact_b = exact_map(schedule)
    scale = exact_A.abs().max()
    torch.testing.assert_close(A / scale, exact_A / scale, rtol=0, atol=1e-3)
    torch.testing.assert_close(b, exact_b, rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", ["karras", "rectified"])
def test_noise_becomes_the_mean_and_covariance_of_the_data(name):
    schedule = SCHEDULES[name]
    A, b = affine_map(HeunSampler(denoiser=GaussianDenoiser(MEAN, COVARIANCE, schedule), steps=100))
    sigma = at_one(schedule)[1]
    torch.testing.assert_close(b, MEAN, rtol=0, atol=0.02)
    torch.testing.assert_close(sigma**2 * A @ A.T, COVARIANCE, rtol=0, atol=0.01)


@cache
def start_and_end(name: str) -> tuple[Tensor, Tensor]:
    """Noise at t = 1, and where the ODE takes it to."""
    sigma = at_one(SCHEDULES[name])[1]
    x_1 = sigma * torch.randn(32, 2, generator=generator_of(0, "x_1"), dtype=torch.float64)
    return x_1, HeunSampler(denoiser=mixture(SCHEDULES[name]), steps=2049, grid=LogSNRGrid())(x_1)


def measured_order(sampler, name: str, intervals: tuple[int, int], grid) -> float:
    x_1, exact = start_and_end(name)
    few, many = (sampler(denoiser=mixture(SCHEDULES[name]), steps=n + 1, grid=grid)(x_1) - exact for n in intervals)
    return math.log(few.norm() / many.norm()) / math.log(intervals[1] / intervals[0])


@pytest.mark.parametrize(
    ("sampler", "order", "name"),
    [  # the exact end of a schedule takes the longest
        pytest.param(*each, name, marks=() if name in ("karras", "rectified-short", "cosine") else pytest.mark.slow)
        for each in ORDERS
        for name in SCHEDULES
    ],
)
def test_the_error_falls_with_the_samplers_order(sampler, order, name):
    assert measured_order(sampler, name, (64, 256), LogSNRGrid()) == pytest.approx(order, abs=0.3)


@over_samplers
@pytest.mark.parametrize(
    "name", ["karras", *(pytest.param(name, marks=pytest.mark.slow) for name in ("rectified-short", "linear"))]
)
def test_so_it_does_on_the_schedules_own_grid(sampler, order, name):
    assert measured_order(sampler, name, (128, 512), None) == pytest.approx(order, abs=0.3)


class Counting(Denoiser):
    """Answers zero and counts how often it is asked."""

    schedule = SCHEDULES["karras"]
    calls = 0

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        self.calls += 1
        assert t.shape == (len(x_t),)
        return torch.zeros_like(x_t)


@pytest.mark.parametrize("sampler", [sampler for sampler, _ in ORDERS])
@pytest.mark.parametrize("steps", [1, 2, 18])
def test_evaluations_of_the_denoiser(sampler, steps):
    counting = Counting()
    sampler(denoiser=counting, steps=steps)(torch.ones(3, 2))
    assert counting.calls == (2 if sampler is HeunSampler else 1) * (steps - 1) + 1


@over_samplers
@over_schedules
def test_a_single_point_of_data_is_reached_exactly_in_any_number_of_steps(sampler, order, schedule):
    point = torch.tensor([0.3, -0.7, 0.1], dtype=torch.float64)
    denoiser = GaussianDenoiser(point, torch.zeros(3, 3, dtype=torch.float64), schedule)
    x_1 = torch.randn(4, 3, generator=generator_of(0, "x_1"), dtype=torch.float64)
    for steps in (1, 2, 5):
        torch.testing.assert_close(sampler(denoiser=denoiser, steps=steps)(x_1), point.expand(4, 3))


def test_euler_on_the_straight_path_is_its_own_velocity_field():
    # with x_t = (1 − t) x + t ε, DDIM's step is x_s = x_t + (s − t) v, v = (x_t − D) / t
    schedule = SCHEDULES["rectified"]
    denoiser, x_t = mixture(schedule), torch.randn(5, 2, generator=generator_of(0, "x"), dtype=torch.float64)
    t, s = torch.tensor([0.6, 0.45], dtype=torch.float64)
    sigma_t, sigma_s = schedule(t)[1], schedule(s)[1]
    velocity = (x_t - denoiser(x_t, t.expand(5))) / sigma_t
    got = EulerSampler(denoiser=denoiser, steps=2).step(x_t, t, s)
    torch.testing.assert_close(got, x_t + (sigma_s - sigma_t) * velocity)


@pytest.mark.parametrize("name", ["karras", "rectified"])
def test_all_modes_of_a_ring_are_hit_with_their_weights(name):
    weights = torch.tensor([1, 2, 3, 4, 4, 3, 2, 1.0]) / 20
    denoiser, n = ring(SCHEDULES[name], weights), 4000
    sigma = SCHEDULES[name](torch.ones(()))[1]
    grid = KarrasGrid()  # the straight path's own steps are too long near the data
    x = HeunSampler(denoiser=denoiser, steps=20, grid=grid)(
        sigma * torch.randn(n, 2, generator=generator_of(0, "ring"))
    )
    distance, mode = torch.cdist(x, denoiser.means).min(1)
    shares = torch.bincount(mode, minlength=8) / n
    assert ((shares - weights).abs() < 4.5 * (weights * (1 - weights) / n).sqrt() + 0.005).all()
    assert (distance < 3 * 0.2).double().mean() > 0.96
