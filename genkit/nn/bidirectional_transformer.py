r"""The transformer of `genkit/nn/gpt.py` without its arrow of time: every place sees every other.

What differs from the causal one: a place is told where it stands, since hidden places are alike otherwise, by learned
vectors, of a pixel one for its row, one for its column and one for its channel; and a label is added to every place.

Tokens that are read together, those of a square of pixels, are one place: each has a table of its own, their rows are
summed, and the place gives the scores of all of them. Attention goes over so many times fewer places.
"""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genkit.component import Depth, Range, Width
from genkit.nn.attention import HEADS
from genkit.nn.bidirectional_network import BidirectionalNetwork
from genkit.nn.dropout import Dropout
from genkit.nn.gpt import GPTBlock
from genkit.nn.sequence_network import FEATURES, StartTokens


class BidirectionalTransformer(BidirectionalNetwork):
    """A transformer that sees both sides.

    Arguments:
        shape, inputs, outputs, num_classes, together: See `BidirectionalNetwork`.
        features: Width, an even multiple of `heads`.
        depth: Blocks.
        heads: Attention heads.
        dropout: Share that training drops of embeddings and of the branches' outputs.

    Raises:
        ConfigError: the width is no even multiple of the heads.
    """

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        inputs: int,
        outputs: int,
        num_classes: int | None,
        together: int,
        features: Width = FEATURES,
        depth: Depth = 4,
        heads: Depth = HEADS,
        dropout: Annotated[float, Range(0.0, 0.9)] = 0.0,
    ) -> None:
        super().__init__()
        self.inputs, self.outputs, self.together = inputs, outputs, together
        self.scale = features**0.5  # rows have norm one, inputs unit variance
        self.tokens = nn.Embedding(together * inputs, features)  # the rows of one table after those of another
        self.label = None if num_classes is None else StartTokens(features, num_classes)
        self.sides = (*shape[1:], shape[0] // together)  # in the order of the places
        self.places = nn.ParameterList(
            torch.randn(*(size if one == axis else 1 for one in range(len(self.sides))), features)
            for axis, size in enumerate(self.sides)
        )
        self.dropout = Dropout(dropout)
        length = torch.Size(self.sides).numel()
        self.blocks = nn.ModuleList(GPTBlock(features, heads, length, dropout, causal=False) for _ in range(depth))
        self.norm = nn.RMSNorm(features)
        nn.init.normal_(self.tokens.weight, std=1 / self.scale)
        nn.init.constant_(self.norm.weight, 1 / self.scale)

    def forward(self, tokens: Tensor, y: Tensor | None = None) -> Tensor:
        h = self._embedded(tokens)
        for place in self.places:
            h = h + place.expand(*self.sides, -1).flatten(0, -2)
        if self.label is not None:
            h = h + self.label(len(tokens), y)[:, None]
        h = self.dropout(h)
        for block in self.blocks:
            h = block(h)
        table = self.tokens.weight.unflatten(0, (self.together, self.inputs))[:, : self.outputs]
        scores = F.linear(self.norm(h), table.flatten(0, 1))
        return scores.unflatten(2, (self.together, self.outputs)).flatten(1, 2)

    def _embedded(self, tokens: Tensor) -> Tensor:
        """(B, T) to (B, T / together, features), of unit variance."""
        if self.together == 1:
            return self.scale * self.tokens(tokens)
        first = self.inputs * torch.arange(self.together, device=tokens.device)
        rows = self.tokens(tokens.unflatten(1, (-1, self.together)) + first)
        return (self.scale / self.together**0.5) * rows.sum(2)
