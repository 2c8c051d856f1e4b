"""Adversarial losses in closed form; the penalty is the squared gradient."""

import math

import pytest
import torch
from torch.nn.functional import softplus

from genkit.models.adversarial import NonSaturatingLoss, RelativisticLoss, gradient_penalty
from genkit.noise import generator_of

LOSSES = [NonSaturatingLoss(), RelativisticLoss()]
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
def test_a_discriminator_that_knows_nothing_pays_ln_2_per_softplus(loss):
    zero = torch.zeros(4)
    count = 2 if isinstance(loss, NonSaturatingLoss) else 1
    assert loss.discriminator(zero, zero).item() == pytest.approx(count * math.log(2))
    assert loss.generator(zero, zero).item() == pytest.approx(math.log(2))


@over_losses
def test_players_pull_the_generated_logits_in_opposite_directions(loss):
    fake = FAKE.clone().requires_grad_()
    (up,) = torch.autograd.grad(loss.discriminator(REAL, fake), fake)
    (down,) = torch.autograd.grad(loss.generator(REAL, fake), fake)
    assert (up > 0).all()
    assert (down < 0).all()


@over_losses
@pytest.mark.parametrize("scale", [1e3, 1e30])
def test_extreme_logits_stay_finite(loss, scale):
    for real, fake in ((scale, -scale), (-scale, scale)):
        pair = torch.tensor([real]), torch.tensor([fake])
        assert math.isfinite(loss.discriminator(*pair))
        assert math.isfinite(loss.generator(*pair))


def test_the_penalty_of_a_quadratic_and_its_gradient_are_the_closed_form():
    g = generator_of(0, "quadratic")
    A = torch.randn(4, 4, generator=g, dtype=torch.float64)
    A = (A + A.T).requires_grad_()
    b = torch.randn(4, generator=g, dtype=torch.float64).requires_grad_()
    x = torch.randn(7, 2, 2, generator=g, dtype=torch.float64).requires_grad_()
    flat = x.flatten(1)
    penalty = gradient_penalty((flat @ A * flat).sum(1) / 2 + flat @ b, x)
    residual = flat.detach() @ A.detach() + b.detach()
    torch.testing.assert_close(penalty, residual.square().sum(1).mean())
    grad_A, grad_b = torch.autograd.grad(penalty, (A, b))
    torch.testing.assert_close(grad_b, 2 * residual.mean(0))
    # A enters ∇D as (A + Aᵀ)/2
    outer = 2 * (residual[:, :, None] * flat.detach()[:, None]).mean(0)
    torch.testing.assert_close(grad_A, (outer + outer.T) / 2)
