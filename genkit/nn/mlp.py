r"""A residual multilayer perceptron, for data without spatial structure and as the plainest choice for any other.

.. math:: h_0 = W x, \quad h_{k+1} = h_k + V_k\, s(U_k\, s(h_k) + E_k e), \quad f = W' s(h_K)

with s = SiLU and e the embedding of time and label. Everything is flattened on the way in and shaped on the way out.

A few coordinates may be given together with their sines and cosines, (x, sin 2ᵏx, cos 2ᵏx), without which an MLP learns
the fine structure of the plane last (Tancik et al. 2020, 2006.10739): a GAN sees a ring instead of eight modes.
"""

from math import prod
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genkit.component import Depth, Range, Width
from genkit.nn.backbone import Backbone
from genkit.nn.embedding import condition_embedding

FEW = 8  # values of an input that waves are added to: more carry their structure in their number


class ResidualLayer(nn.Module):
    """h + V s(U s(h) + E e), (B, width) to (B, width)."""

    def __init__(self, width: int, condition: int | None) -> None:
        super().__init__()
        self.first = nn.Linear(width, width)
        self.second = nn.Linear(width, width)
        self.condition = nn.Linear(condition, width) if condition else None

    def forward(self, h: Tensor, e: Tensor | None) -> Tensor:
        inner = self.first(F.silu(h))
        if self.condition is not None:
            inner = inner + self.condition(e)
        return h + self.second(F.silu(inner))


class MLP(Backbone):
    """Residual multilayer perceptron between any two shapes.

    Arguments:
        in_shape, out_shape: Shapes of one example in and out.
        num_classes: Number of labels, None without labels.
        time: Whether a time is given.
        width: Hidden features.
        depth: Residual layers.
        octaves: Frequencies 2⁰, 2¹, … at which sines and cosines of the input are added to it, where it has at most
            eight values.
    """

    def __init__(
        self,
        *,
        in_shape: tuple[int, ...],
        out_shape: tuple[int, ...],
        num_classes: int | None = None,
        time: bool = False,
        width: Width = 128,
        depth: Depth = 3,
        octaves: Annotated[int, Range(0, 16)] = 0,
    ) -> None:
        super().__init__()
        self.out_shape = out_shape
        self.octaves = octaves if prod(in_shape) <= FEW else 0
        self.embedding = condition_embedding(width, num_classes, time)
        condition = width if self.embedding is not None else None
        self.first = nn.Linear(prod(in_shape) * (1 + 2 * self.octaves), width)
        self.layers = nn.ModuleList(ResidualLayer(width, condition) for _ in range(depth))
        self.last = nn.Linear(width, prod(out_shape))

    def forward(self, x: Tensor, t: Tensor | None = None, y: Tensor | None = None) -> Tensor:
        e = self.embedding(t, y) if self.embedding is not None else None
        h = self.first(self._with_waves(x.flatten(1)))
        for layer in self.layers:
            h = layer(h, e)
        return self.last(F.silu(h)).unflatten(1, self.out_shape)

    def _with_waves(self, x: Tensor) -> Tensor:
        """(B, D) to (B, D (1 + 2 octaves)): x and its sines and cosines."""
        waves = [wave(2.0**k * x) for k in range(self.octaves) for wave in (torch.sin, torch.cos)]
        return torch.cat([x, *waves], dim=1)
