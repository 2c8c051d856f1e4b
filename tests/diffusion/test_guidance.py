"""Guidance moves along the line through two denoisers, and samplers take it for one."""

import pytest
import torch
from diffusion_cases import SCHEDULES, GaussianDenoiser, ring

from genkit.diffusion.guidance import Autoguidance, ClassifierFreeGuidance
from genkit.diffusion.sampler import HeunSampler
from genkit.noise import generator_of

SCHEDULE = SCHEDULES["karras"]
X_T = torch.randn(4, 2, generator=generator_of(0, "x_t"), dtype=torch.float64)
T = torch.tensor([0.1, 0.4, 0.7, 1.0], dtype=torch.float64)


def normal(mean: float, std: float = 0.5) -> GaussianDenoiser:
    centre = torch.full((2,), mean, dtype=torch.float64)
    return GaussianDenoiser(centre, std**2 * torch.eye(2, dtype=torch.float64), SCHEDULE)


def test_scale_one_is_conditional_and_zero_unconditional():
    positive, negative = normal(1.0), normal(-1.0)
    for scale, expected in ((1.0, positive), (0.0, negative)):
        got = ClassifierFreeGuidance(positive, negative, scale)(X_T, T)
        torch.testing.assert_close(got, expected(X_T, T), rtol=0, atol=1e-12)


@pytest.mark.parametrize("scale", [0.5, 2.0, 7.5])
def test_it_lies_on_the_line_through_both(scale):
    positive, negative = normal(1.0), normal(-1.0, 0.9)
    a, b = positive(X_T, T), negative(X_T, T)
    got = ClassifierFreeGuidance(positive, negative, scale)(X_T, T)
    torch.testing.assert_close(got, scale * a + (1 - scale) * b)


@pytest.mark.parametrize("scale", [0.0, 1.0, 3.0])
def test_two_gaussians_that_differ_in_mean_guide_to_a_shifted_gaussian(scale):
    # D = c x̄ + (1 − c) m is linear in m, so guidance is the exact denoiser of mean m₀ + w (m − m₀)
    guided = ClassifierFreeGuidance(normal(1.0), normal(0.2), scale)
    expected = normal(0.2 + scale * 0.8)
    x_1 = 80 * X_T
    torch.testing.assert_close(
        HeunSampler(denoiser=guided, steps=9)(x_1), HeunSampler(denoiser=expected, steps=9)(x_1), rtol=0, atol=1e-10
    )


def test_guidance_from_all_modes_to_one_finds_that_mode():
    uniform = torch.full((8,), 1 / 8, dtype=torch.float64)
    one = torch.zeros(8, dtype=torch.float64)
    one[3] = 1
    positive, negative = ring(SCHEDULE, one), ring(SCHEDULE, uniform)
    x_1 = 80 * torch.randn(200, 2, generator=generator_of(0, "x_1"), dtype=torch.float64)
    distance = {
        scale: (HeunSampler(denoiser=ClassifierFreeGuidance(positive, negative, scale))(x_1) - positive.means[3]).norm(
            dim=1
        )
        for scale in (0.0, 1.0, 2.0)
    }
    assert (distance[0.0] < 1).double().mean().item() == pytest.approx(1 / 8, abs=0.1)
    assert (distance[1.0] < 1).all()
    assert distance[2.0].median() < distance[0.0].median()


def test_outside_the_interval_the_better_one_answers_and_the_other_is_not_asked():
    class Forbidden(GaussianDenoiser):
        def forward(self, x_t, t, y=None):
            raise AssertionError("it was asked")

    positive, negative = normal(1.0), normal(-1.0)
    level = SCHEDULE.level(T)
    guided = ClassifierFreeGuidance(positive, negative, 3.0, (level[1].item(), level[2].item()))  # both ends in it
    everywhere = ClassifierFreeGuidance(positive, negative, 3.0)(X_T, T)
    got, plain = guided(X_T, T), positive(X_T, T)
    assert torch.equal(got[1:3], everywhere[1:3])
    assert torch.equal(got[[0, 3]], plain[[0, 3]])
    forbidden = Forbidden(negative.mean, negative.covariance, SCHEDULE)
    assert torch.equal(ClassifierFreeGuidance(positive, forbidden, 3.0, (200.0, 300.0))(X_T, T), plain)


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_weaker_model_on_any_schedule_guides_away_from_its_own_spread(name):
    # two normals about one mean, the weak one wider: what is guided is narrower than both
    weak = GaussianDenoiser(torch.zeros(2).double(), torch.eye(2).double(), SCHEDULES[name])
    guided = Autoguidance(normal(0.0), weak, 2.0)
    t = SCHEDULE.time(torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64))
    x_t = torch.ones(3, 2, dtype=torch.float64)
    same = GaussianDenoiser(torch.zeros(2).double(), torch.eye(2).double(), SCHEDULE)
    expected = 2 * normal(0.0)(x_t, t) - same(x_t, t)
    torch.testing.assert_close(guided(x_t, t), expected, rtol=1e-6, atol=1e-6)
    assert (guided(x_t, t) < normal(0.0)(x_t, t)).all()
