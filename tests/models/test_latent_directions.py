"""Directions of a linear decoder are those of its matrix; means of classes are means."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from genkit.models.latent_directions import mean_of_each, principal_directions, slopes, use

MATRIX = torch.randn(5, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Z = torch.randn(7, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
SPREAD = torch.tensor([1.0, 0.5, 2.0, 0.0, 3.0], dtype=torch.float64)


def linear(z: Tensor) -> Tensor:
    return (z @ MATRIX).unflatten(1, (3, 4))


def test_slopes_of_a_linear_decoder_are_its_matrix() -> None:
    found = slopes(linear, Z, SPREAD)
    torch.testing.assert_close(found, (SPREAD[:, None] * MATRIX).expand(7, -1, -1))
    torch.testing.assert_close(use(found), SPREAD * MATRIX.norm(dim=1))


def test_directions_of_most_change_are_its_singular_vectors() -> None:
    directions, far = principal_directions(slopes(linear, Z, torch.ones(5, dtype=torch.float64)), 3)
    left, values, _ = torch.linalg.svd(MATRIX)
    torch.testing.assert_close(far, values[:3])
    torch.testing.assert_close((directions @ left[:, :3]).abs(), torch.eye(3, dtype=torch.float64))
    assert bool((directions.amax(1) >= -directions.amin(1)).all())


def test_the_difference_of_a_curved_decoder_is_of_second_order() -> None:
    errors = [float((slopes(torch.sin, Z, torch.ones(5).double(), h) - torch.diag_embed(Z.cos())).norm())
              for h in (0.2, 0.1)]  # fmt: skip
    assert math.isclose(errors[0] / errors[1], 4, rel_tol=0.01)


def test_means_of_classes() -> None:
    found = mean_of_each(Z, torch.tensor([0, 0, 2, 2, 2, 0, 0]), 3)
    torch.testing.assert_close(found[0], Z[[0, 1, 5, 6]].mean(0))
    torch.testing.assert_close(found[2], Z[2:5].mean(0))
    assert bool(found[1].isnan().all())
