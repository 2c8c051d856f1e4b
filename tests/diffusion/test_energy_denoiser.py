"""A denoiser that is a gradient: its field has no curl, its energy the closed form of a Gaussian."""

import pytest
import torch
from torch import Tensor

from genkit.diffusion.denoiser import expand_to
from genkit.diffusion.energy_denoiser import EnergyDenoiser
from genkit.diffusion.parametrisation import EDMDenoiser
from genkit.diffusion.schedule import KarrasSchedule, RectifiedSchedule, Schedule
from genkit.diffusion.variance_preserving import CosineSchedule
from genkit.nn.mlp import MLP

LEVELS = torch.tensor([0.05, 0.5, 1.0, 5.0], dtype=torch.float64)


def denoiser(kind=EnergyDenoiser, schedule: Schedule | None = None, data_std: float = 0.7):
    torch.manual_seed(0)
    net = MLP(in_shape=(3,), out_shape=(3,), time=True, width=16, depth=1)
    made = kind(backbone=net, schedule=schedule or KarrasSchedule(), data_std=torch.tensor(data_std))
    return made.double()


def points(schedule: Schedule) -> tuple[Tensor, Tensor]:
    return torch.randn(4, 3, dtype=torch.float64), schedule.time(LEVELS)


def jacobians(made, x: Tensor, t: Tensor) -> Tensor:
    whole = torch.autograd.functional.jacobian(lambda x: made(x, t), x)
    return torch.stack([whole[i, :, i] for i in range(len(x))])


def test_its_jacobian_is_symmetric_and_that_of_a_plain_denoiser_is_not() -> None:
    curls = []
    for kind in (EnergyDenoiser, EDMDenoiser):
        made = denoiser(kind)
        jacobian = jacobians(made, *points(made.schedule))
        curls.append(float((jacobian - jacobian.transpose(1, 2)).abs().max()))
    assert curls[0] < 1e-6 < 1e-3 < curls[1]


SCHEDULES = [KarrasSchedule(), RectifiedSchedule(), CosineSchedule()]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: type(schedule).__name__)
def test_the_score_is_the_gradient_of_its_energy_on_any_schedule(schedule: Schedule) -> None:
    made = denoiser(schedule=schedule)
    x_t, t = points(schedule)
    alpha, sigma = (expand_to(value, x_t) for value in schedule(t))
    clean = (x_t / alpha).requires_grad_()
    (slope,) = torch.autograd.grad(made.energy(alpha * clean, t).sum(), clean)
    torch.testing.assert_close(-slope, (made(x_t, t) - x_t / alpha) / (sigma / alpha) ** 2, rtol=1e-8, atol=1e-8)


def test_without_a_scalar_it_is_a_gaussian_in_closed_form() -> None:
    made = denoiser()
    for parameter in made.backbone.last.parameters():
        torch.nn.init.zeros_(parameter)
    x, t = points(made.schedule)
    variance = LEVELS**2 + made.data_std**2
    torch.testing.assert_close(made.energy(x, t), x.square().sum(1) / (2 * variance))
    torch.testing.assert_close(made(x, t), x * (made.data_std**2 / variance)[:, None])


def test_it_denoises_without_gradients_too_and_trains_with_them() -> None:
    made = denoiser()
    x, t = points(made.schedule)
    with torch.no_grad():
        silent = made(x, t)
    assert not silent.requires_grad
    assert torch.equal(silent, made(x, t).detach())
    (made(x, t) - x).square().mean().backward()
    assert all(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in made.backbone.parameters())
