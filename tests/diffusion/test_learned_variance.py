"""A variance of the reverse step that is learned: its bound, what trains it, and who carries it to the sampler."""

import pytest
import torch
from diffusion_cases import SCHEDULES
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from genkit.diffusion.denoiser import Clipped, Labelled
from genkit.diffusion.guidance import ClassifierFreeGuidance
from genkit.diffusion.learned_variance import HybridDenoising, LearnedVarianceDenoiser
from genkit.diffusion.likelihood import divergence
from genkit.diffusion.objective import Denoising, DenoisingObjective
from genkit.diffusion.parametrisation import NetworkDenoiser, NoiseDenoiser
from genkit.diffusion.schedule import Schedule
from genkit.diffusion.stochastic import AncestralSampler
from genkit.diffusion.time_distribution import UniformTimes
from genkit.errors import ConfigError
from genkit.nn.backbone import Backbone
from genkit.noise import SampleNoise, generator_of

STD = 0.6  # of the normal data
COSINE = SCHEDULES["cosine"]


class Answers(Backbone):
    """(a x, v): the noise as a multiple of what is seen, and one v for all."""

    def __init__(self, a: float, v: float) -> None:
        super().__init__()
        self.a, self.v = (torch.nn.Parameter(torch.tensor(value, dtype=torch.float64)) for value in (a, v))

    def forward(self, x: Tensor, t: Tensor | None = None, y: Tensor | None = None) -> Tensor:
        return torch.cat((self.a * x, self.v.expand_as(x)), dim=1)


def learned(v: float, schedule: Schedule = COSINE, a: float = 0.3) -> LearnedVarianceDenoiser:
    return LearnedVarianceDenoiser(backbone=Answers(a, v), schedule=schedule, data_std=torch.tensor(STD).double())


def times(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("widening", [0.0, 0.4, 1.0, 1.3])
@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_the_divergence_is_that_of_two_normals(schedule, widening):
    t, s, error = times(0.7), times(0.55), times(0.37)
    (alpha_t, sigma_t), (alpha_s, sigma_s) = schedule(t), schedule(s)
    ratio = (sigma_s * alpha_t / (alpha_s * sigma_t)) ** 2
    root = (1 - ratio).sqrt()
    posterior = Normal(alpha_s * (1 - ratio) * error.sqrt(), sigma_s * root)
    reverse = Normal(times(0.0), sigma_s ** (1 - widening) * sigma_t**widening * root)
    exact = kl_divergence(posterior, reverse)
    torch.testing.assert_close(divergence(error, times(widening), t, s, schedule), exact, rtol=1e-8, atol=1e-12)


class At(UniformTimes):
    """One time for all."""

    def __init__(self, t: float) -> None:
        super().__init__()
        self.t = t

    def __call__(self, n: int, schedule: Schedule, data_std: Tensor) -> Tensor:
        return times(self.t).expand(n)


@pytest.mark.parametrize("t", [0.2, 0.5, 0.8])
def test_the_bound_finds_the_exact_variance_of_a_step(t):
    steps, s = 10, times(t - 0.1)
    (alpha, sigma), (alpha_s, sigma_s) = COSINE(times(t)), COSINE(s)
    level = sigma / alpha
    a = level / (level**2 + STD**2).sqrt()  # ε of normal data, from an input of unit variance
    denoiser = learned(0.0, a=a.item())
    x = STD * torch.randn(100_000, 1, dtype=torch.float64, generator=generator_of(0, "x"))
    objective = HybridDenoising(At(t), steps=steps, bound_weight=1.0)
    optimizer = torch.optim.LBFGS([denoiser.backbone.v], max_iter=50)

    def closure() -> Tensor:
        torch.manual_seed(0)
        optimizer.zero_grad()
        loss = objective(denoiser, x, None)["loss"]
        loss.backward()
        return loss

    optimizer.step(closure)
    covariance = alpha * alpha_s * STD**2 + alpha / alpha_s * sigma_s**2  # x_t = alpha / alpha_s x_s + noise
    exact = (alpha_s * STD) ** 2 + sigma_s**2 - covariance**2 / ((alpha * STD) ** 2 + sigma**2)
    ratio = (sigma_s * alpha / (alpha_s * sigma)) ** 2
    widening = denoiser.backbone.v.sigmoid()
    found = sigma_s**2 * (sigma / sigma_s) ** (2 * widening) * (1 - ratio)
    torch.testing.assert_close(found, exact, rtol=0.01, atol=0.0)


def test_the_bound_leaves_the_mean_alone():
    x = torch.randn(64, 1, dtype=torch.float64, generator=generator_of(0, "x"))
    gradients = []
    for weight in (0.0, 5.0):
        denoiser = learned(0.2)
        torch.manual_seed(0)
        HybridDenoising(At(0.5), bound_weight=weight)(denoiser, x, None)["loss"].backward()
        gradients.append((denoiser.backbone.a.grad, denoiser.backbone.v.grad))
    (a, v), (a_bound, v_bound) = gradients
    torch.testing.assert_close(a, a_bound)
    assert v == 0
    assert v_bound != 0


def test_its_mean_is_that_of_the_noise_alone():
    x_t, t = torch.randn(5, 2, generator=generator_of(0, "x"), dtype=torch.float64), times(0.5).expand(5)

    class First(Answers):
        def forward(self, x: Tensor, t: Tensor | None = None, y: Tensor | None = None) -> Tensor:
            return super().forward(x, t, y).chunk(2, dim=1)[0]

    plain = NoiseDenoiser(backbone=First(0.3, 0.0), schedule=COSINE, data_std=torch.tensor(STD).double())
    torch.testing.assert_close(learned(0.7)(x_t, t), plain(x_t, t))
    mean, widening = plain.reverse(x_t, t)
    torch.testing.assert_close(mean, plain(x_t, t))
    assert widening == 0


def test_wrappers_carry_it_to_the_sampler():
    denoiser = learned(1.0)
    chains = {
        "bare": denoiser,
        "labelled": Labelled(denoiser, None),
        "clipped": Clipped(denoiser, -1e9, 1e9),
        "guided": ClassifierFreeGuidance(denoiser, denoiser, 3.0),
    }
    x = torch.randn(6, 2, generator=generator_of(0, "x"), dtype=torch.float64)

    def run(chain, widening: float | None) -> Tensor:
        return AncestralSampler(denoiser=chain, steps=6, widening=widening)(x, SampleNoise(0, range(6)))

    fixed = run(denoiser, torch.tensor(1.0).sigmoid().item())
    for name, chain in chains.items():
        torch.testing.assert_close(run(chain, None), fixed, msg=name)
    assert not torch.allclose(run(denoiser, 0.0), fixed)


@pytest.mark.parametrize(
    ("objective", "kind"), [(Denoising(), LearnedVarianceDenoiser), (HybridDenoising(), NoiseDenoiser)]
)
def test_an_objective_refuses_a_denoiser_of_another_kind(objective: DenoisingObjective, kind: type[NetworkDenoiser]):
    denoiser = kind(backbone=Answers(0.0, 0.0), schedule=COSINE, data_std=torch.tensor(STD))
    with pytest.raises(ConfigError, match="go together"):
        objective.check(denoiser)
