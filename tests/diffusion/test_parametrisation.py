"""Parametrisations: each is the posterior mean for the network that predicts what it says."""

import pytest
import torch
from diffusion_cases import SCHEDULES, GaussianDenoiser, Recorder
from torch import Tensor

from genkit.diffusion.denoiser import expand_to
from genkit.diffusion.mean_flow import AverageVelocityDenoiser
from genkit.diffusion.parametrisation import (
    DataDenoiser,
    EDMDenoiser,
    NoiseDenoiser,
    VDenoiser,
    VelocityDenoiser,
)
from genkit.nn.backbone import Backbone
from genkit.nn.unet import UNet
from genkit.noise import generator_of

over_schedules = pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
TIMES = torch.tensor([0.0, 0.2, 0.5, 0.8, 1.0], dtype=torch.float64)
TARGETS = {  # what the network predicts, of x, ε, alpha_t and sigma_t
    DataDenoiser: lambda x, eps, alpha, sigma: x,
    NoiseDenoiser: lambda x, eps, alpha, sigma: eps,
    VDenoiser: lambda x, eps, alpha, sigma: alpha * eps - sigma * x,
    VelocityDenoiser: lambda x, eps, alpha, sigma: eps - x,
    EDMDenoiser: lambda x, eps, alpha, sigma: edm_target(x, eps, sigma / alpha),
}


def edm_target(x: Tensor, eps: Tensor, sigma: Tensor) -> Tensor:
    """The paper's table 1, solved for F, at σ_d = 0.5."""
    total = (sigma**2 + 0.25).sqrt()
    return (x - 0.25 / total**2 * (x + sigma * eps)) * total / (0.5 * sigma)


class Answer(Backbone):
    """Gives a fixed answer."""

    def __init__(self, answer: Tensor) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, x: Tensor, t: Tensor | None = None, y: Tensor | None = None) -> Tensor:
        return self.answer


def noisy(schedule, dtype: torch.dtype = torch.float64) -> tuple[Tensor, ...]:
    """x, ε, alpha, sigma, t of five pairs over all times."""
    x, eps = torch.randn(2, 5, 3, generator=generator_of(0, "pairs"), dtype=torch.float64).to(dtype)
    alpha, sigma = (expand_to(value, x) for value in schedule(TIMES.to(dtype)))
    return x, eps, alpha, sigma, TIMES.to(dtype)


@over_schedules
@pytest.mark.parametrize("cls", TARGETS)
def test_the_right_prediction_gives_back_the_example(cls, schedule):
    x, eps, alpha, sigma, t = noisy(schedule)
    answer = Answer(TARGETS[cls](x, eps, alpha, sigma))
    denoiser = cls(backbone=answer, schedule=schedule, data_std=torch.tensor(0.5, dtype=torch.float64))
    torch.testing.assert_close(denoiser(alpha * x + sigma * eps, t), x, rtol=0, atol=1e-8)


@over_schedules
@pytest.mark.parametrize("cls", TARGETS)
def test_an_error_of_the_network_weighs_the_same_at_every_level(cls, schedule):
    x, eps, alpha, sigma, t = noisy(schedule)
    answer = Answer(TARGETS[cls](x, eps, alpha, sigma) + 0.1)
    denoiser = cls(backbone=answer, schedule=schedule, data_std=torch.tensor(0.5, dtype=torch.float64))
    error = (denoiser(alpha * x + sigma * eps, t) - x).square().mean(1)
    torch.testing.assert_close(denoiser.weight(t) * error, torch.full((5,), 0.01, dtype=torch.float64))


@over_schedules
@pytest.mark.parametrize("cls", TARGETS)
def test_both_ends_are_safe_in_single_precision(cls, schedule):
    x, eps, alpha, sigma, t = noisy(schedule, torch.float32)
    denoiser = cls(backbone=Answer(TARGETS[cls](x, eps, alpha, sigma)), schedule=schedule, data_std=torch.tensor(0.5))
    assert torch.isfinite(denoiser.weight(t)).all()
    torch.testing.assert_close(denoiser(alpha * x + sigma * eps, t), x, rtol=0, atol=2e-3)


@over_schedules
@pytest.mark.parametrize("cls", [*TARGETS, AverageVelocityDenoiser])
def test_every_network_sees_unit_variance(cls, schedule):
    if cls is AverageVelocityDenoiser and "rectified" not in type(schedule).__name__.lower():
        return
    x, eps = torch.randn(2, 40_000, 1, generator=generator_of(0, "wide"), dtype=torch.float64)
    recorder = Recorder()
    for t in (0.0, 0.4, 1.0):
        times = torch.full((len(x),), t, dtype=torch.float64)
        alpha, sigma = (expand_to(value, x) for value in schedule(times))
        denoiser = cls(backbone=recorder, schedule=schedule, data_std=torch.tensor(3.0, dtype=torch.float64))
        denoiser(alpha * 3 * x + sigma * eps, times)
        assert recorder.calls[-1][0].var().item() == pytest.approx(1, abs=0.04)


@over_schedules
@pytest.mark.parametrize("data_std", [0.3, 1.0, 5.0])
def test_the_network_sees_and_is_asked_for_unit_variance(schedule, data_std):
    n, g = 40_000, generator_of(0, "edm")
    x, eps = torch.randn(2, n, 1, generator=g, dtype=torch.float64)
    x = data_std * x
    for t in (0.0, 0.3, 0.7, 1.0):
        times, recorder = torch.full((n,), t, dtype=torch.float64), Recorder()
        alpha, sigma = (expand_to(value, x) for value in schedule(times))
        denoiser = EDMDenoiser(
            backbone=recorder, schedule=schedule, data_std=torch.tensor(data_std, dtype=torch.float64)
        )
        skipped = denoiser(alpha * x + sigma * eps, times)  # the network answered 0, so this is c_skip x̄
        recorder.out = 1.0
        c_out = denoiser(alpha * x + sigma * eps, times) - skipped
        assert recorder.calls[0][0].var().item() == pytest.approx(1, abs=0.04)
        assert ((x - skipped) / c_out).var().item() == pytest.approx(1, abs=0.04)
        torch.testing.assert_close(denoiser.weight(times)[:, None] * c_out**2, torch.ones_like(c_out))
        torch.testing.assert_close(recorder.calls[0][1], (sigma / alpha).flatten().log() / 4)


def test_an_edm_network_may_represent_a_gaussians_denoiser_by_answering_zero():
    schedule, std = SCHEDULES["rectified"], torch.tensor(0.7, dtype=torch.float64)
    exact = GaussianDenoiser(torch.zeros(2).double(), std**2 * torch.eye(2).double(), schedule)
    x_t = torch.randn(5, 2, generator=generator_of(0, "x_t"), dtype=torch.float64)
    torch.testing.assert_close(
        EDMDenoiser(backbone=Recorder(), schedule=schedule, data_std=std)(x_t, TIMES), exact(x_t, TIMES)
    )


def test_a_denoiser_is_measured_in_place_and_its_scale_is_stored():
    net = UNet(in_shape=(1, 8, 8), out_shape=(1, 8, 8), time=True, channels=(8,))
    denoiser = EDMDenoiser(backbone=net, schedule=SCHEDULES["karras"], data_std=torch.tensor(1.0))
    denoiser.data_std.copy_(torch.tensor(0.4))
    assert denoiser.state_dict()["data_std"].item() == pytest.approx(0.4)


@over_schedules
def test_a_network_that_is_all_of_the_mean_is_told_of_no_less_noise_than_it_was_taught(schedule):
    """Where c_skip is 0, what the network makes up for a level that it never saw is the sample itself."""
    std = torch.tensor(0.5, dtype=torch.float64)
    x, _, alpha, sigma, t = noisy(schedule)
    told = {}
    for cls in TARGETS:
        network = Told()
        denoiser = cls(backbone=network, schedule=schedule, data_std=std)
        denoiser(x, t)
        told[cls] = (4 * network.t).exp()
        skip, _ = denoiser.coefficients(alpha, sigma)
        assert (float(told[cls].min()) >= 0.03 * 0.999) or float(skip.abs().min()) > 0
    level = (sigma / alpha).flatten()
    torch.testing.assert_close(told[DataDenoiser], level.clamp(min=0.03))
    torch.testing.assert_close(told[EDMDenoiser], level)


class Told(Backbone):
    """Remembers the noise level that it is told, as ln σ / 4."""

    def forward(self, x: Tensor, t: Tensor | None = None, y: Tensor | None = None) -> Tensor:
        assert t is not None
        self.t = t
        return x
