"""Translations whose result is known: between Gaussians, at no noise and at all of it, through latents."""

import math
from functools import partial

import pytest
import torch
from torch import Tensor

from genkit.diffusion.denoiser import Denoiser, MixtureDenoiser
from genkit.diffusion.sampler import EulerSampler, HeunSampler
from genkit.diffusion.schedule import KarrasSchedule, RectifiedSchedule, VESchedule
from genkit.diffusion.stochastic import AncestralSampler
from genkit.diffusion.variance_preserving import CosineSchedule
from genkit.noise import SampleNoise
from genkit.translation.diffusion_bridge import DiffusionBridge
from genkit.translation.latent_bridge import LatentBridge
from genkit.translation.likeliest_label import likeliest_label
from genkit.translation.sdedit import SDEdit

SCHEDULES = (KarrasSchedule(), VESchedule(), CosineSchedule(), RectifiedSchedule())
MEANS = torch.tensor([[1.0, 0.0], [-1.0, 0.5], [0.0, -1.5]])
N = 64
SOLVERS = [partial(solver, steps=12) for solver in (HeunSampler, EulerSampler, AncestralSampler)]


def gaussian(mean: tuple[float, float], std: float, schedule=SCHEDULES[0]) -> MixtureDenoiser:
    return MixtureDenoiser(torch.tensor([mean]), torch.tensor([std]), torch.ones(1), schedule)


def mixture(schedule=SCHEDULES[0], shift: float = 0.0) -> MixtureDenoiser:
    return MixtureDenoiser(MEANS + shift, torch.full((3,), 0.2), torch.full((3,), 1 / 3), schedule)


def noise(n: int = N, seed: int = 0) -> SampleNoise:
    return SampleNoise(seed, range(n))


def examples(n: int = N) -> Tensor:
    return MEANS[torch.arange(n) % 3] + 0.2 * noise(n, 7)(2)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: type(schedule).__name__)
def test_a_bridge_between_gaussians_is_the_closed_form(schedule) -> None:
    """Between schedules too: the source's is Karras'."""
    a, b = (torch.tensor([1.0, -2.0]), 0.5), (torch.tensor([-0.5, 0.3]), 0.8)
    x = a[0] + a[1] * noise()(2)
    bridge = DiffusionBridge(
        denoiser=gaussian(tuple(b[0]), b[1], schedule), source=gaussian(tuple(a[0]), a[1]), steps=200
    )
    low, high = (float(end) for end in bridge.levels()[[0, -1]])
    noisy = a[0] + (x - a[0]) * math.sqrt((a[1] ** 2 + high**2) / (a[1] ** 2 + low**2))
    expected = b[0] + (noisy - b[0]) * math.sqrt((b[1] ** 2 + low**2) / (b[1] ** 2 + high**2))
    assert (bridge(x, noise()) - expected).abs().max() < 2e-3


def test_there_and_back_is_the_input_to_second_order() -> None:
    one, other, x = mixture(), mixture(shift=0.5), examples()
    errors = []
    for steps in (40, 80):
        there = DiffusionBridge(denoiser=other, source=one, steps=steps)(x, noise())
        back = DiffusionBridge(denoiser=one, source=other, steps=steps)(there, noise())
        errors.append(float((back - x).norm(dim=1).mean()))
        assert (there - x).norm(dim=1).mean() > 0.3
    assert errors[0] < 3e-3
    assert errors[1] < errors[0] / 4


def test_a_bridge_ends_in_the_target() -> None:
    out = DiffusionBridge(denoiser=mixture(shift=1.0), source=mixture(), steps=40)(examples(300), noise(300))
    assert torch.cdist(out, MEANS + 1.0).amin(1).quantile(0.9) < 0.6  # three standard deviations


@pytest.mark.parametrize("solver", SOLVERS, ids=lambda solver: solver.func.__name__)
@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: type(schedule).__name__)
def test_no_noise_is_the_input_and_all_of_it_a_sample(schedule, solver) -> None:
    denoiser, x = mixture(schedule), examples()
    assert torch.equal(SDEdit(denoiser=denoiser, sampler=solver, strength=0.0)(x, noise()), x)
    slight = SDEdit(denoiser=denoiser, sampler=solver, strength=0.001)(x, noise())
    assert (slight - x).abs().max() < 0.2  # the schedules' own least noise
    source = noise()
    _, sigma = schedule(torch.ones(()))
    sample = solver(denoiser=denoiser)(sigma * source(2), source)
    for other in (x, torch.zeros_like(x)):
        assert torch.equal(SDEdit(denoiser=denoiser, sampler=solver, strength=1.0)(other, noise()), sample)


def test_more_noise_is_further_from_the_input() -> None:
    x = examples(300)
    far = [
        float((SDEdit(denoiser=mixture(shift=0.5), strength=strength)(x, noise(300)) - x).norm(dim=1).mean())
        for strength in (0.1, 0.3, 0.6, 0.9)
    ]
    assert far == sorted(far)


def test_the_noise_at_a_strength_is_the_same_on_every_schedule() -> None:
    levels = []
    for schedule in SCHEDULES:
        edit = SDEdit(denoiser=mixture(schedule), strength=0.4)
        levels.append(float(schedule.level(edit.times(HeunSampler(denoiser=edit.denoiser), examples())[0])))
    assert levels == pytest.approx([math.tan(0.2 * math.pi)] * len(SCHEDULES), rel=1e-3)


class Scaled:
    def __init__(self, by: float) -> None:
        self.by = by

    def to_latent(self, x: Tensor) -> Tensor:
        return x / self.by

    def from_latent(self, z: Tensor) -> Tensor:
        return z * self.by


def test_a_latent_bridge_keeps_the_latent() -> None:
    x, one, other = examples(), Scaled(2.0), Scaled(0.5)
    out = LatentBridge(bijection=other, source=one)(x, noise())
    assert torch.equal(out, x / 4)
    assert torch.equal(LatentBridge(bijection=one, source=other)(out, noise()), x)


def test_the_likeliest_label_is_that_of_the_nearest_mode() -> None:
    def make(y: Tensor) -> Denoiser:
        return gaussian(tuple(MEANS[int(y[0])]), 0.2)

    found = likeliest_label(make, 3, examples(90), noise(90))
    assert (found == torch.arange(90) % 3).double().mean() > 0.97
