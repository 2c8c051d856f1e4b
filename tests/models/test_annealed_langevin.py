"""Annealed Langevin: the shares of modes that no candidate of the base meets, against a mixture's closed form."""

from __future__ import annotations

import torch
from torch import Tensor

from genkit.models.energy.annealed_langevin import AnnealedLangevin
from genkit.models.energy.base_distribution import CoveringBase
from genkit.models.energy.clamping import completed
from genkit.models.energy.langevin import MALA, ChainSampler
from genkit.noise import SampleNoise

DIM, STD, N = 8, 0.25, 100


def far(x: Tensor, y: Tensor) -> float:
    """Energy distance with the means over all pairs."""
    return float(2 * torch.cdist(x, y).mean() - torch.cdist(x, x).mean() - torch.cdist(y, y).mean())


def test_completions_of_a_mixture_have_the_shares_of_its_modes() -> None:
    generator = torch.Generator().manual_seed(3)
    means, weights = torch.randn(6, DIM, generator=generator), torch.full((6,), 1 / 6)
    known = torch.arange(DIM) < 2
    x = (means[0] + means[1]) / 2  # both of them explain what is known
    of_known = (x - means)[:, known].square().sum(1)
    share = (weights.log() - of_known / (2 * STD**2)).softmax(0)

    def exact(n: int) -> Tensor:
        drawn = means[torch.multinomial(share, n, True, generator=generator)]
        return torch.where(known, x, drawn + STD * torch.randn(n, DIM, generator=generator))

    def log_density(u: Tensor) -> Tensor:
        return torch.logsumexp(weights.log() - (u[:, None] - means).square().sum(-1) / (2 * STD**2), 1)

    def found(sampler: ChainSampler, n: int) -> Tensor:
        masks, base = known.expand(n, DIM), CoveringBase(1.0, 1.5, 1.5)
        return completed(sampler, log_density, base, x.expand(n, DIM).clone(), masks, SampleNoise(0, range(n)))

    reference = exact(2000)
    floor = sum(far(exact(N), reference) for _ in range(5)) / 5
    annealed = found(AnnealedLangevin(), N)
    assert torch.equal(annealed[:, known], x[known].expand(N, 2))
    assert far(annealed, reference) <= 4 * floor
    assert far(found(MALA(), N), reference) > 6 * floor  # of 256 candidates of the base
    torch.testing.assert_close(found(AnnealedLangevin(), 3), annealed[:3], rtol=0, atol=1e-4)
