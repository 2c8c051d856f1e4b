r"""A perceptron of real numbers whose t-th answer reads the numbers before the t-th alone, by leaving out weights.

A hidden unit of degree m sees x_i for i ≤ m only, and θ_i is read off hidden units of degree < i; the degree −1
carries what the label alone says. `genkit.nn.made.MADE` is the same for tokens.

References:
    MADE: Masked autoencoder for distribution estimation (Germain, Gregor, Murray, Larochelle, 2015), arXiv:1502.03509.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genkit.nn.masked_linear import MaskedLinear
from genkit.nn.mlp import FEW


class MaskedMLP(nn.Module):
    """Residual masked perceptron: (B, D) and labels to θ (B, D, P), θ_i a function of x_1 … x_{i−1} and y.

    Arguments:
        dim: D.
        num_parameters: P.
        num_classes: Number of labels, None for none.
        width: Hidden units; a multiple of D serves every degree alike.
        depth: Residual layers.
        octaves: Frequencies 2⁰, 2¹, … at which the waves of every value stand beside it, where D is at most eight.
    """

    def __init__(
        self, dim: int, num_parameters: int, num_classes: int | None, width: int, depth: int, octaves: int = 0
    ) -> None:
        super().__init__()
        self.octaves = octaves if dim <= FEW else 0
        place, degree = torch.arange(dim), torch.arange(width) % dim - 1
        inner = degree[:, None] >= degree
        self.first = MaskedLinear(degree[:, None] >= place.repeat(1 + 2 * self.octaves))
        self.label = None if num_classes is None else nn.Embedding(num_classes, width)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.SiLU(), MaskedLinear(inner), nn.SiLU(), MaskedLinear(inner)) for _ in range(depth)
        )
        self.last = MaskedLinear((place[:, None] > degree).repeat_interleave(num_parameters, dim=0))
        self.shape = (dim, num_parameters)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        waves = [wave(2.0**k * x) for k in range(self.octaves) for wave in (torch.sin, torch.cos)]
        h = self.first(torch.cat([x, *waves], dim=1))
        if self.label is not None:
            h = h + self.label(y)
        for layer in self.layers:
            h = h + layer(h)
        return self.last(F.silu(h)).unflatten(1, self.shape)
