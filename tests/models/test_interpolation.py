"""Paths between latents: their ends, their circle, their speed, and the pairs for which a circle is no formula."""

import pytest
import torch
from torch import Tensor

from genkit.models.interpolation import Lerp, Slerp
from genkit.noise import generator_of

T = torch.linspace(0, 1, 9)
both = pytest.mark.parametrize("path", [Lerp(), Slerp()], ids=["lerp", "slerp"])
E1, E2, E3 = torch.eye(3)


def ends(n: int = 20, dim: int = 5) -> tuple[Tensor, Tensor]:
    a, b = torch.randn(2, n, dim, generator=generator_of(0, "ends"))
    return a, b


def awkward() -> tuple[Tensor, Tensor]:
    """Opposite, nearly opposite, equal, nearly equal, parallel, and pairs with zeros."""
    near, zero = torch.tensor([0.0, 1e-5, 0.0]), torch.zeros(3)
    pairs = [(E1, -E1), (E1, -2 * E1), (E1, near - E1), (E1 + E2, -E1 - E2), (E1, E1), (E1, E1 + near), (E1, 3 * E1)]
    pairs += [(zero, E2), (E2, zero), (zero, zero)]
    return tuple(map(torch.stack, zip(*pairs, strict=True)))


@both
@pytest.mark.parametrize("make", [ends, awkward])
def test_a_path_leads_from_one_end_to_the_other(path, make):
    a, b = make()
    points = path(a, b, T)
    assert (points.shape, points.dtype) == ((len(a), len(T), a.shape[1]), a.dtype)
    assert torch.isfinite(points).all()
    torch.testing.assert_close(points[:, 0], a, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(points[:, -1], b, rtol=1e-5, atol=1e-5)


def test_lerp_is_the_straight_line():
    a, b = ends()
    points = Lerp()(a, b, torch.tensor([0.25]))
    torch.testing.assert_close(points[:, 0], 0.75 * a + 0.25 * b)


def test_slerp_of_unit_vectors_stays_on_their_great_circle_at_constant_speed():
    a, b = (end / end.norm(dim=1, keepdim=True) for end in ends())
    points = Slerp()(a, b, T).double()
    torch.testing.assert_close(points.norm(dim=2), torch.ones(len(a), len(T)).double(), rtol=0, atol=1e-6)
    assert torch.linalg.matrix_rank(torch.cat([points, a[:, None], b[:, None]], 1), tol=1e-5).max() == 2
    steps = (points[:, 1:] * points[:, :-1]).sum(2).clamp(-1, 1).arccos()
    whole = (a * b).double().sum(1).arccos()
    torch.testing.assert_close(steps, (whole / (len(T) - 1))[:, None].expand_as(steps), rtol=0, atol=1e-4)


def test_slerp_of_other_lengths_is_the_formula():
    a, b = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 3.0]])
    points = Slerp()(a, b, torch.tensor([1 / 3]))
    torch.testing.assert_close(points, torch.tensor([[[2 * 3**0.5 / 2, 3 * 0.5]]]))


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_between_opposite_points_slerp_is_half_a_circle(scale):
    points = Slerp()(E1[None], -scale * E1[None], T)[0].double()
    torch.testing.assert_close(points.norm(dim=1), 1 + (scale - 1) * T.double())
    directions = points / points.norm(dim=1, keepdim=True)
    steps = (directions[1:] * directions[:-1]).sum(1).arccos()
    torch.testing.assert_close(steps, torch.full_like(steps, torch.pi / 8), rtol=0, atol=1e-5)
    assert torch.linalg.matrix_rank(points, tol=1e-5) == 2


def test_slerp_is_the_straight_line_between_parallel_points_and_on_a_line():
    torch.testing.assert_close(Slerp()(E1[None], 3 * E1[None], T), Lerp()(E1[None], 3 * E1[None], T))
    a, b = torch.tensor([[1.0]]), torch.tensor([[-2.0]])
    torch.testing.assert_close(Slerp()(a, b, torch.tensor([0.0, 1.0])), torch.tensor([[[1.0], [-2.0]]]))


@both
def test_a_path_is_the_same_whatever_stands_beside_it(path):
    a, b = ends()
    torch.testing.assert_close(path(a[3:4], b[3:4], T)[0], path(a, b, T)[3])
