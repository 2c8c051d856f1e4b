"""Denoisers are posterior means: against integrals, closed forms, and the law that nothing beats them."""

import pytest
import torch
from diffusion_cases import SCHEDULES, GaussianDenoiser, Recorder, mixture
from torch import Tensor
from torch.distributions import Normal

from genkit.diffusion.denoiser import Clipped, Labelled, MixtureDenoiser, Rescheduled, expand_to, unlabelled
from genkit.diffusion.parametrisation import EDMDenoiser
from genkit.noise import generator_of

over_schedules = pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
TIMES = torch.tensor([0.0, 0.2, 0.5, 0.8, 1.0], dtype=torch.float64)


@over_schedules
def test_the_mixtures_denoiser_is_bayes_rule_integrated(schedule):
    means, stds, weights = torch.tensor([[-1.0, 0.4, 2.0], [0.3, 0.1, 0.7], [0.2, 0.5, 0.3]], dtype=torch.float64)
    denoiser = MixtureDenoiser(means[:, None], stds, weights, schedule)
    x = torch.linspace(-6, 8, 40_001, dtype=torch.float64)
    prior = (Normal(means, stds).log_prob(x[:, None]).exp() * weights).sum(1)
    for t in TIMES:
        alpha, sigma = schedule(t)
        x_t = alpha * torch.tensor([-1.3, 0.0, 0.5, 2.4], dtype=torch.float64) + sigma * 0.3
        joint = prior * Normal(alpha * x, sigma).log_prob(x_t[:, None]).exp()
        expected = (joint * x).sum(1) / joint.sum(1)
        got = denoiser(x_t[:, None], t.expand(4))[:, 0]
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-6)


@over_schedules
def test_one_component_is_the_gaussians_conditional_mean(schedule):
    mean, std = torch.tensor([0.5, -1.0], dtype=torch.float64), torch.tensor([0.7], dtype=torch.float64)
    one = MixtureDenoiser(mean[None], std, torch.ones(1, dtype=torch.float64), schedule)
    other = GaussianDenoiser(mean, std.square() * torch.eye(2, dtype=torch.float64), schedule)
    x_t = torch.randn(5, 2, generator=generator_of(0, "x_t"), dtype=torch.float64)
    torch.testing.assert_close(one(x_t, TIMES), other(x_t, TIMES))


@pytest.mark.parametrize("a", SCHEDULES)
@pytest.mark.parametrize("b", SCHEDULES)
def test_the_posterior_is_that_of_the_noise_level_whatever_the_schedule(a, b):
    first, second = SCHEDULES[a], SCHEDULES[b]
    log_sigma = torch.linspace(-2.9, 2.2, 7, dtype=torch.float64)  # within the range of all
    t, s = first.inverse(-2 * log_sigma), second.inverse(-2 * log_sigma)
    x = torch.randn(7, 2, generator=generator_of(0, "x"), dtype=torch.float64)  # in data units
    at_a, at_b = (
        mixture(schedule)(x * schedule(time)[0][:, None], time) for schedule, time in ((first, t), (second, s))
    )
    torch.testing.assert_close(at_a, at_b, rtol=1e-7, atol=1e-7)


def pairs(n: int, schedule, t: float) -> tuple[Tensor, Tensor, Tensor]:
    """x of the mixture, x_t and t."""
    denoiser, g = mixture(schedule), generator_of(0, "pairs")
    k = torch.multinomial(denoiser.log_weights.exp(), n, replacement=True, generator=g)
    eps, noise = torch.randn(2, n, 2, generator=g, dtype=torch.float64)
    x, times = denoiser.means[k] + denoiser.stds[k, None] * eps, torch.full((n,), t, dtype=torch.float64)
    alpha, sigma = (expand_to(value, x) for value in schedule(times))
    return x, alpha * x + sigma * noise, times


@over_schedules
@pytest.mark.parametrize("t", [0.3, 0.6])
def test_no_change_of_the_exact_denoiser_lowers_the_loss(schedule, t):
    x, x_t, times = pairs(20_000, schedule, t)
    exact = mixture(schedule)(x_t, times)
    residual = x - exact
    alpha = schedule(times)[0][:, None]
    changes = [torch.ones_like(x), x_t / alpha, exact, (x_t / alpha).tanh(), exact * exact]
    for change in changes:
        change = change / change.square().mean().sqrt()
        product = residual * change  # the residual of a conditional mean is orthogonal to every function of x_t
        assert product.mean().abs() < 5 * product.std() / product.numel() ** 0.5
        for step in (-0.3, 0.3):
            assert (residual - step * change).square().mean() > residual.square().mean()


def test_fixed_labels_reach_the_network_and_no_label_is_the_index_after_the_last():
    recorder = Recorder()
    denoiser = EDMDenoiser(backbone=recorder, schedule=SCHEDULES["karras"], data_std=torch.tensor(1.0))
    y, x_t, t = torch.tensor([2, 0]), torch.zeros(2, 3), torch.ones(2)
    Labelled(denoiser, y)(x_t, t)
    unlabelled(denoiser, 3, 2, x_t.device)(x_t, t)
    Labelled(denoiser, None)(x_t, t)
    labels = [call[2] for call in recorder.calls]
    assert [label if label is None else label.tolist() for label in labels] == [[2, 0], [3, 3], None]
    assert labels[1].dtype == torch.int64


@pytest.mark.parametrize("a", SCHEDULES)
@pytest.mark.parametrize("b", SCHEDULES)
def test_a_denoiser_answers_on_another_schedule_as_that_ones_own(a, b):
    own, other = SCHEDULES[a], SCHEDULES[b]
    t = other.time(torch.logspace(-1.2, 0.9, 5, dtype=torch.float64))
    x_t = torch.randn(5, 2, generator=generator_of(0, "x_t"), dtype=torch.float64)
    torch.testing.assert_close(Rescheduled(mixture(own), other)(x_t, t), mixture(other)(x_t, t), rtol=1e-6, atol=1e-6)


def test_clipping_moves_what_is_outside_alone():
    inner = mixture(SCHEDULES["karras"])
    x_t = torch.tensor([[-9.0, 0.1], [0.2, 7.0]], dtype=torch.float64)
    t = torch.zeros(2, dtype=torch.float64)
    free, clipped = inner(x_t, t), Clipped(inner, -1.0, 1.0)(x_t, t)
    assert torch.equal(clipped, free.clamp(-1, 1))
    assert (clipped != free).any()
