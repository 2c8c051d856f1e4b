"""Penalties of autoencoders against values computed by hand and Jacobians by autograd."""

import pytest
import torch
from model_cases import DIGITS, Affine
from torch import Tensor, nn

from genkit.models.autoencoder.jacobian import squared_jacobian_norm
from genkit.models.autoencoder.penalty import (
    Contraction,
    DecoderGradient,
    KLSparsity,
    LatentNorm,
    Sparsity,
    WeightNorm,
)
from genkit.nn.mlp import MLP
from genkit.noise import generator_of

Z = torch.tensor([[1.0, -2.0], [0.0, 3.0]])
X = torch.zeros(2, 2)
KL = KLSparsity(weight=1.0, activity=0.2)


def kl_by_hand(z: Tensor, rho: float) -> float:
    on = torch.sigmoid(z.double()).mean(0)
    return (rho * torch.log(rho / on) + (1 - rho) * torch.log((1 - rho) / (1 - on))).sum().item()


@pytest.mark.parametrize(
    ("penalty", "expected"),
    [
        (Sparsity(weight=1.0), (3 + 3) / 2),
        (LatentNorm(weight=1.0), (5 / 2 + 9 / 2) / 2),
        (KL, kl_by_hand(Z, 0.2)),
    ],
    ids=["sparsity", "norm", "kl"],
)
def test_a_latents_penalty_is_what_is_computed_by_hand(penalty, expected):
    assert penalty(X, Z).item() == pytest.approx(expected, rel=1e-6)


def test_the_kl_sparsity_is_zero_where_the_activity_is_right_and_finite_where_it_is_nothing():
    at = torch.logit(torch.tensor(0.2))
    assert KL(X, at.expand(7, 3)).item() == pytest.approx(0, abs=1e-6)
    z = torch.full((4, 3), 300.0, requires_grad=True)
    loss = KL(torch.zeros(4, 2), z) + KL(torch.zeros(4, 2), -z)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(z.grad).all()


def test_the_weight_norm_is_half_the_sum_of_the_decoders_squares():
    decoder = Affine(in_shape=(2,), out_shape=(2,))
    decoder.set(torch.tensor([[1.0, 2.0], [0.0, -1.0]]), torch.tensor([3.0, 1.0]))
    assert WeightNorm(weight=1.0)(decoder, Z, decoder(Z)).item() == pytest.approx((1 + 4 + 1 + 9 + 1) / 2)


def network(in_shape: tuple[int, ...], out_shape: tuple[int, ...]) -> nn.Module:
    torch.manual_seed(0)
    return MLP(in_shape=in_shape, out_shape=out_shape, width=8, depth=1).double()


def jacobian_norms(f: nn.Module, x: Tensor) -> Tensor:
    """‖J‖_F² of every example, one by one."""
    rows = [torch.autograd.functional.jacobian(f, x[i : i + 1]) for i in range(len(x))]
    return torch.stack([row.square().sum() for row in rows])


def test_the_exact_contraction_is_the_encoders_jacobian():
    encoder = network(DIGITS.shape, (3,))
    x = torch.randn(4, *DIGITS.shape, generator=generator_of(0, "x")).double().requires_grad_()
    found = Contraction(weight=1.0)(x, encoder(x))
    torch.testing.assert_close(found, jacobian_norms(encoder, x).mean())


def test_the_exact_decoder_gradient_is_the_decoders_jacobian():
    decoder = network((3,), DIGITS.shape)
    z = torch.randn(4, 3, generator=generator_of(0, "z")).double().requires_grad_()
    found = DecoderGradient(weight=1.0, draws=None)(decoder, z, decoder(z))
    torch.testing.assert_close(found, jacobian_norms(decoder, z).mean())


def test_the_estimate_is_unbiased_and_more_draws_are_nearer():
    encoder = network((5,), (3,))
    x = torch.randn(1, 5, generator=generator_of(0, "x")).double().requires_grad_()
    truth = squared_jacobian_norm(encoder(x), x, None).item()
    torch.manual_seed(0)
    many = x.detach().expand(20_000, 5).clone().requires_grad_()
    estimates = {draws: squared_jacobian_norm(encoder(many), many, draws) for draws in (1, 4)}
    for draws, found in estimates.items():
        error = found.std().item() / len(found) ** 0.5
        assert found.mean().item() == pytest.approx(truth, abs=5 * error), draws
    assert estimates[4].var() < 0.5 * estimates[1].var()


@pytest.mark.parametrize("draws", [None, 2])
def test_the_contractions_gradient_is_that_of_finite_differences(draws):
    encoder = network((3,), (2,))
    x = torch.randn(6, 3, generator=generator_of(0, "x")).double()

    def penalty() -> Tensor:
        torch.manual_seed(1)  # the same random signs
        point = x.clone().requires_grad_()
        return Contraction(weight=1.0, draws=draws)(point, encoder(point))

    weight = encoder.first.weight
    (gradient,) = torch.autograd.grad(penalty(), weight)
    with torch.no_grad():
        step = 1e-6
        weight[0, 0] += step
        above = penalty_value(penalty)
        weight[0, 0] -= 2 * step
        below = penalty_value(penalty)
    assert gradient[0, 0].item() == pytest.approx((above - below) / (2 * step), rel=1e-5)


def penalty_value(penalty) -> float:
    with torch.enable_grad():
        return penalty().item()
