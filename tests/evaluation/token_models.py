"""Models whose tokens cost what a test says, for scores of single tokens."""

from __future__ import annotations

import torch
from torch import nn

from genkit.data.kinds import Categorical
from genkit.models.base import Density, GenerativeModel, TokenDensity


class Costing(GenerativeModel, Density):
    """A model of tokens with a weight, and nothing to learn; a subclass says what tokens cost."""

    bound = "exact"
    dequantisation = "none"
    modalities = ("sequence",)
    kinds = (Categorical,)

    def __init__(self, spec):
        super().__init__(spec)
        self.weight = nn.Parameter(torch.zeros(1))

    def losses(self, batch, phase):
        return {"loss": self.weight.sum()}

    def draw(self, n, *, y=None, noise):
        return self.spec.kind.examples([b"ab"] * n, self.spec.dim)


class CostingTokens(Costing, TokenDensity):
    """One that says it of single tokens."""

    def log_prob(self, x, y=None):
        return self.token_log_prob(x).sum(1)
