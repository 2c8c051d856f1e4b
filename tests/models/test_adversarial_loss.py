"""Adversarial losses in closed form, at their optima and far away."""

import math

import pytest
import torch
from torch.nn.functional import softplus

from genkit.models.gan.adversarial_loss import (
    HingeLoss,
    LeastSquaresLoss,
    NonSaturatingLoss,
    RelativisticLoss,
    WassersteinLoss,
)
from genkit.noise import generator_of

LN_2 = math.log(2)
LOSSES = [NonSaturatingLoss(), LeastSquaresLoss(), HingeLoss(), WassersteinLoss(), RelativisticLoss()]
over_losses = pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
REAL, FAKE = torch.randn(2, 6, generator=generator_of(0, "logits"), dtype=torch.float64)


def test_non_saturating_is_binary_cross_entropy():
    bce = torch.nn.functional.binary_cross_entropy_with_logits
    one, zero = torch.ones_like(REAL), torch.zeros_like(REAL)
    loss = NonSaturatingLoss()
    torch.testing.assert_close(loss.discriminator(REAL, FAKE), bce(REAL, one) + bce(FAKE, zero))
    torch.testing.assert_close(loss.generator(REAL, FAKE), bce(FAKE, one))


def test_relativistic_compares_pairs():
    loss = RelativisticLoss()
    torch.testing.assert_close(loss.discriminator(REAL, FAKE), softplus(FAKE - REAL).mean())
    torch.testing.assert_close(loss.generator(REAL, FAKE), loss.discriminator(FAKE, REAL))
    torch.testing.assert_close(loss.discriminator(REAL + 3, FAKE + 3), loss.discriminator(REAL, FAKE))


@over_losses
def test_a_loss_says_whether_its_generator_reads_real_logits(loss):
    blind = loss.generator(torch.full_like(REAL, math.nan), FAKE)
    assert blind.isnan() == loss.pairs
    assert loss.pairs or torch.equal(blind, loss.generator(REAL, FAKE))


def test_wasserstein_is_a_difference_of_means():
    loss = WassersteinLoss()
    torch.testing.assert_close(loss.discriminator(REAL, FAKE), FAKE.mean() - REAL.mean())
    torch.testing.assert_close(loss.generator(REAL, FAKE), -FAKE.mean())


@pytest.mark.parametrize(
    ("loss", "real", "fake", "of_discriminator", "of_generator"),
    [
        # where real and generated data are alike, the best logit of both is the same, and the value is known
        (NonSaturatingLoss(), 0.0, 0.0, 2 * LN_2, LN_2),
        (LeastSquaresLoss(), 0.5, 0.5, 0.25, 0.125),
        (HingeLoss(), 0.0, 0.0, 2.0, 0.0),
        (WassersteinLoss(), 3.0, 3.0, 0.0, -3.0),
        (RelativisticLoss(), 3.0, 3.0, LN_2, LN_2),
        # and where they are told apart
        (LeastSquaresLoss(), 1.0, 0.0, 0.0, 0.5),
        (HingeLoss(), 1.0, -1.0, 0.0, 1.0),
        (HingeLoss(), 9.0, -9.0, 0.0, 9.0),
        (NonSaturatingLoss(), 40.0, -40.0, 0.0, 40.0),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, float) else None,
)
def test_known_values(loss, real, fake, of_discriminator, of_generator):
    pair = torch.full((4,), real, dtype=torch.float64), torch.full((4,), fake, dtype=torch.float64)
    assert loss.discriminator(*pair).item() == pytest.approx(of_discriminator, abs=1e-12)
    assert loss.generator(*pair).item() == pytest.approx(of_generator, abs=1e-12)


@over_losses
def test_no_common_logit_is_better_than_the_known_one_where_data_are_alike(loss):
    grid = torch.linspace(-3, 3, 121, dtype=torch.float64)
    best = min(loss.discriminator(c[None], c[None]).item() for c in grid)
    at = {NonSaturatingLoss: 0.0, LeastSquaresLoss: 0.5, HingeLoss: 0.0}.get(type(loss), 0.0)
    one = torch.tensor([at], dtype=torch.float64)
    assert loss.discriminator(one, one).item() == pytest.approx(best, abs=1e-9)


@over_losses
def test_players_pull_the_generated_logits_in_opposite_directions(loss):
    fake = (FAKE.tanh() / 4).requires_grad_()  # where no loss is past its margin
    (up,) = torch.autograd.grad(loss.discriminator(REAL, fake + 0.5), fake)
    (down,) = torch.autograd.grad(loss.generator(REAL, fake + 0.5), fake)
    assert (up > 0).all()
    assert (down < 0).all()


@over_losses
@pytest.mark.parametrize("scale", [1e3, 1e18])
def test_extreme_logits_stay_finite(loss, scale):
    for real, fake in ((scale, -scale), (-scale, scale)):
        pair = torch.tensor([real]), torch.tensor([fake])
        assert math.isfinite(loss.discriminator(*pair))
        assert math.isfinite(loss.generator(*pair))
