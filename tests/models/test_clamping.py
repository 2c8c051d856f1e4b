"""Completions by chains: those of a correlated normal have its conditional's moments, and keep what is known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from genkit.data.spec import DataSpec
from genkit.models.energy.annealed_langevin import AnnealedLangevin
from genkit.models.energy.base_distribution import CoveringBase
from genkit.models.energy.ebm import EBM
from genkit.models.energy.langevin import MALA, ChainSampler, Langevin
from genkit.nn.backbone import Backbone
from genkit.noise import SampleNoise

RHO = 0.8
PRECISION = torch.linalg.inv(torch.tensor([[1.0, RHO], [RHO, 1.0]]))


class Correlated(Backbone):
    """f(u) = −uᵀ P u / 2, so that u is normal with correlation ρ."""

    def __init__(self, *, in_shape, out_shape, num_classes=None, time=False) -> None:
        super().__init__()
        self.zero = nn.Parameter(torch.zeros(out_shape))

    def forward(self, x: Tensor, t: Tensor | None = None, y: Tensor | None = None) -> Tensor:
        return self.zero - (x @ PRECISION * x).sum(1, keepdim=True) / 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "sampler", [MALA(steps=30, step=0.5, candidates=32), Langevin(steps=200, step=0.15), AnnealedLangevin(20, 0.5, 8)]
)
def test_the_rest_of_a_normal_is_drawn_from_its_conditional(sampler: ChainSampler) -> None:
    model = EBM(spec=DataSpec((2,), "vector"), backbone=Correlated, tail=1000.0, sampler=sampler).eval()
    n, value = 4000, 1.5
    x = torch.tensor([value, math.nan]).expand(n, 2)
    found = model.complete(x, torch.tensor([True, False]), noise=SampleNoise(0, range(n)))
    assert torch.equal(found[:, 0], x[:, 0])
    assert float(found[:, 1].mean()) == pytest.approx(RHO * value, abs=0.04)
    assert float(found[:, 1].std()) == pytest.approx(math.sqrt(1 - RHO**2), abs=0.03)
    again = model.complete(x[:3], torch.tensor([True, False]), noise=SampleNoise(0, range(3)))
    torch.testing.assert_close(again, found[:3], rtol=0, atol=1e-5)


def test_the_base_of_the_rest_is_its_marginal() -> None:
    base, grid = CoveringBase(), torch.linspace(-30, 30, 6001)
    points = torch.stack([torch.full_like(grid, 0.7), grid], 1)
    joint = base.log_prob(points).exp().sum() * (grid[1] - grid[0])
    counted = torch.tensor([True, False]).expand(6001, 2)
    torch.testing.assert_close(base.log_prob(points, counted)[0].exp(), joint, rtol=1e-3, atol=0)
