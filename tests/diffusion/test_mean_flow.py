"""MeanFlow: its identity, its sampler on exact averages, and what it refuses."""

import pytest
import torch
from diffusion_cases import SCHEDULES, mixture
from torch import Tensor, nn

from genkit.diffusion.denoiser import Labelled
from genkit.diffusion.mean_flow import AverageVelocityDenoiser, MeanFlowObjective, MeanFlowSampler
from genkit.diffusion.parametrisation import VelocityDenoiser
from genkit.diffusion.sampler import HeunSampler
from genkit.diffusion.schedule import RectifiedSchedule
from genkit.diffusion.time_distribution import LogitNormalTimes
from genkit.errors import ConfigError
from genkit.nn.backbone import Backbone
from genkit.nn.dit import DiT
from genkit.nn.mlp import MLP
from genkit.nn.unet import UNet
from genkit.noise import generator_of

STD = 0.7
SCHEDULE = RectifiedSchedule(t_min=1e-4)


def spread(t: Tensor) -> Tensor:
    """The standard deviation of (1 − t) x + t ε for x ~ N(0, STD²)."""
    return ((1 - t) ** 2 * STD**2 + t**2).sqrt()


class ExactAverage(Backbone):
    """u of a normal: z_s = z_t spread(s) / spread(t), and at s = t the derivative."""

    def forward(self, x: Tensor, t: Tensor | None = None, y: Tensor | None = None) -> Tensor:
        now, gap = t[:, :1], t[:, 1:]
        z = x * spread(now)  # undo the scaling to unit variance
        safe = torch.where(gap == 0, torch.ones_like(gap), gap)
        average = (1 - spread(now - gap) / spread(now)) / safe
        slope = (now - (1 - now) * STD**2) / spread(now) ** 2
        return z * torch.where(gap == 0, slope, average)


def exact() -> AverageVelocityDenoiser:
    return AverageVelocityDenoiser(
        backbone=ExactAverage(), schedule=SCHEDULE, data_std=torch.tensor(STD, dtype=torch.float64)
    )


def noise(n: int = 6) -> Tensor:
    return torch.randn(n, 2, generator=generator_of(0, "x"), dtype=torch.float64)


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_any_number_of_steps_is_the_whole_flow(steps):
    x = MeanFlowSampler(denoiser=exact(), steps=steps)(noise())
    torch.testing.assert_close(x, noise() * STD, rtol=1e-3, atol=1e-3)


def test_the_identity_of_the_average_velocity():
    t, s = torch.tensor([0.9, 0.7, 0.5]).double(), torch.tensor([0.1, 0.3, 0.45]).double()
    z = noise(3)
    denoiser = exact()
    velocity = denoiser.average(z, t, t)
    change = MeanFlowObjective._change(denoiser, z, t, s, velocity, None)
    (_, now), (_, then) = SCHEDULE(t), SCHEDULE(s)
    torch.testing.assert_close(denoiser.average(z, t, s), velocity - (now - then)[:, None] * change)


def test_its_velocity_is_a_denoiser_for_any_sampler():
    x = HeunSampler(denoiser=exact(), steps=200)(noise())
    torch.testing.assert_close(x, noise() * STD, rtol=0, atol=5e-3)


class Point(Backbone):
    """u of a single point at 0.3: z = 0.3 + t (ε − 0.3), so u = (z − 0.3) / t everywhere."""

    def forward(self, x: Tensor, t: Tensor | None = None, y: Tensor | None = None) -> Tensor:
        now = t[:, :1]
        return (x * (now**2 + (1 - now) ** 2 * STD**2).sqrt() - 0.3) / now


@pytest.mark.parametrize("own_velocity", [False, True])
def test_an_exact_network_has_no_loss(own_velocity):
    denoiser = AverageVelocityDenoiser(
        backbone=Point(), schedule=SCHEDULE, data_std=torch.tensor(STD, dtype=torch.float64)
    )
    torch.manual_seed(0)
    terms = MeanFlowObjective(own_velocity=own_velocity)(denoiser, torch.full((64, 2), 0.3, dtype=torch.float64), None)
    assert terms["error"] < 1e-10


def test_along_its_own_velocity_an_exact_network_errs_by_nothing_but_the_noise_of_the_data():
    """u + (t − s) du/dt along u(z, t, t) is then the mean velocity at z_t, a plain regression of ε − x: what is left is
    E Var(ε − x | z_t) = E STD² / spread(t)², whatever s."""
    torch.manual_seed(0)
    x = STD * torch.randn(40_000, 2, dtype=torch.float64)
    objective = MeanFlowObjective(share=1.0, power=0.0, own_velocity=True)
    error = float(objective(exact(), x, None)["error"])
    torch.manual_seed(1)
    times = LogitNormalTimes(mean=-0.4)
    ends = torch.stack([times(40_000, SCHEDULE, torch.tensor(STD)) for _ in range(2)])
    _, path = SCHEDULE(ends.amax(0).double())
    least = float((STD / spread(path)).square().mean())
    assert error == pytest.approx(least, rel=0.02)


class Gap(Backbone):
    """u = w (t − s)."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(0.8, dtype=torch.float64))

    def forward(self, x: Tensor, t: Tensor | None = None, y: Tensor | None = None) -> Tensor:
        return self.w * t[:, 1:] + 0 * x


def test_the_target_is_taken_as_it_is():
    """u and target are w (t − s) and v − w (t − s): the error's derivative by w is twice the loss's gradient."""
    denoiser = AverageVelocityDenoiser(backbone=Gap(), schedule=SCHEDULE, data_std=torch.tensor(1.0).double())
    w = denoiser.backbone.w

    def loss(at: float) -> Tensor:
        torch.manual_seed(0)
        w.data.fill_(at)
        return MeanFlowObjective(share=1.0, power=0.0)(denoiser, noise(32), None)["loss"]

    derivative = (loss(0.9) - loss(0.7)).item() / 0.2  # of a parabola, exact
    loss(0.8).backward()
    assert float(w.grad) == pytest.approx(derivative / 2, rel=1e-6)


@pytest.mark.parametrize("net", ["mlp", "unet", "dit"])
def test_networks_can_be_differentiated_forwards(net):
    shape = (2,) if net == "mlp" else (1, 8, 8)
    make = {"mlp": MLP, "unet": UNet, "dit": DiT}[net]
    torch.manual_seed(0)
    backbone = make(in_shape=shape, out_shape=shape, num_classes=3, time=True)
    denoiser = AverageVelocityDenoiser(backbone=backbone, schedule=SCHEDULE, data_std=torch.tensor(1.0))
    loss = MeanFlowObjective()(denoiser, torch.randn(6, *shape), torch.arange(6) % 3)["loss"]
    loss.backward()
    grads = [p.grad for p in denoiser.parameters()]
    assert all(grad is not None and torch.isfinite(grad).all() for grad in grads)


def test_what_it_cannot_work_with_is_refused():
    backbone = ExactAverage()
    options = {"backbone": backbone, "data_std": torch.tensor(1.0)}
    for denoiser in (
        VelocityDenoiser(schedule=SCHEDULE, **options),
        AverageVelocityDenoiser(schedule=SCHEDULES["karras"], **options),
    ):
        with pytest.raises(ConfigError, match="AverageVelocityDenoiser"):
            MeanFlowObjective().check(denoiser)
    MeanFlowSampler(denoiser=Labelled(exact(), None))
    with pytest.raises(ConfigError, match="mean_flow"):
        MeanFlowSampler(denoiser=mixture(SCHEDULES["rectified"]))
