"""Penalties against closed forms: of a linear discriminator D = a·x and of a quadratic one."""

import pytest
import torch
from torch import nn

from genkit.models.gan.gradient_penalty import R1, R2, GradientPenalty, Judged, WeightClipping, squared_slope
from genkit.noise import generator_of


def drawn(*shape: int, stream: str) -> torch.Tensor:
    return torch.randn(*shape, generator=generator_of(0, stream), dtype=torch.float64)


def judged(judge, n: int = 7) -> Judged:
    x, fake = drawn(n, 2, 2, stream="real").requires_grad_(), drawn(n, 2, 2, stream="fake").requires_grad_()
    return Judged(x, fake, judge(x), judge(fake), judge)


@pytest.mark.parametrize(
    ("penalty", "of_norm"),
    [(R1(), lambda norm: norm**2), (R2(), lambda norm: norm**2), (GradientPenalty(), lambda norm: (norm - 1) ** 2)],
    ids=["r1", "r2", "gradient_penalty"],
)
def test_of_a_linear_discriminator_and_the_gradient_that_trains_it(penalty, of_norm):
    a = drawn(4, stream="a").requires_grad_()
    value = penalty(judged(lambda x: x.flatten(1) @ a))
    torch.testing.assert_close(value, of_norm(a.norm()))
    (got,) = torch.autograd.grad(value, a)
    (expected,) = torch.autograd.grad(of_norm(a.norm()), a)
    torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("side", ["x", "fake"])
def test_r1_and_r2_of_a_quadratic_look_at_their_own_side(side):
    A, b = drawn(4, 4, stream="A"), drawn(4, stream="b")
    A = (A + A.T).requires_grad_()
    pair = judged(lambda x: (x.flatten(1) @ A * x.flatten(1)).sum(1) / 2 + x.flatten(1) @ b)
    value = {"x": R1(), "fake": R2()}[side](pair)
    flat = getattr(pair, side).detach().flatten(1)
    residual = flat @ A.detach() + b
    torch.testing.assert_close(value, residual.square().sum(1).mean())
    (got,) = torch.autograd.grad(value, A)
    outer = 2 * (residual[:, :, None] * flat[:, None]).mean(0)  # A enters ∇D as (A + Aᵀ)/2
    torch.testing.assert_close(got, (outer + outer.T) / 2)


def test_the_gradient_penalty_looks_between_real_and_generated_examples():
    seen = []

    def judge(x):
        seen.append(x.detach())
        return x.flatten(1).sum(1)

    torch.manual_seed(0)
    pair = judged(judge)
    assert GradientPenalty()(pair).item() == pytest.approx((4**0.5 - 1) ** 2)
    share = (seen[-1] - pair.fake.detach()) / (pair.x - pair.fake).detach()
    assert ((share > 0) & (share < 1)).all()
    share = share.flatten(1)
    torch.testing.assert_close(share, share[:, :1].expand_as(share))  # one place on the line per example
    assert share[:, 0].std() > 0.05


def test_a_flat_discriminator_is_penalised_by_one_and_has_a_finite_gradient():
    a = torch.zeros(4, dtype=torch.float64).requires_grad_()
    value = GradientPenalty()(judged(lambda x: x.flatten(1) @ a))
    assert value.item() == pytest.approx(1, abs=1e-5)
    assert torch.autograd.grad(value, a)[0].isfinite().all()


def test_the_slope_is_one_number_per_example():
    x = drawn(5, 3, stream="x").requires_grad_()
    torch.testing.assert_close(squared_slope((x**2).sum(1), x), 4 * x.detach().square().sum(1))


def test_weights_are_in_the_papers_proportion():
    assert (R1(gamma=0.4).weight, R2(gamma=0.4).weight, GradientPenalty().weight) == (0.2, 0.2, 10)


def test_clipping_moves_what_is_outside_and_nothing_else():
    layer = nn.Linear(8, 8)
    before = layer.weight.detach().clone()
    WeightClipping(0.1)(layer)
    torch.testing.assert_close(layer.weight.detach(), before.clamp(-0.1, 0.1))
    assert before.abs().max() > 0.1
    assert layer.bias.abs().max() <= 0.1
    assert layer.weight.requires_grad
