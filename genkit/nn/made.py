r"""MADE: the scores of all values in one pass of a perceptron, each given the values before it, by leaving out weights.

Every hidden unit has a degree m in 0 … T − 1 and sees the values before place m alone: in the first layer it reads
those, and further on units of degree up to its own. The scores of place t are read off units of degree up to t.

.. math:: W_{kl} \ne 0 \iff m(k) \ge m(l)

Units of degree 0 carry what a label says. A token enters as a learned vector, at first one that is linear in it, so
that levels are met in their order.

Places come in the order in which an autoregressive model draws. Units stand by degree, so that while sampling each unit
is computed once, as soon as what it sees is known: all steps together cost one pass.

References: Germain, Gregor, Murray, Larochelle 2015, 1502.03509.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genkit.component import Depth, Range, Width
from genkit.nn.dropout import Dropout
from genkit.nn.masked_linear import MaskedLinear
from genkit.nn.sequence_network import SequenceNetwork, StartTokens, start_linear


@dataclass
class MADEState:
    """Activations that sampling keeps, of n examples.

    Attributes:
        start: What labels add to the first layer, (n, features).
        x: Embedded tokens so far, (n, T · token_features), zero where none is yet.
        hidden: Of each layer, (n, features), zero where a unit is not computed yet.
        place: Of the token that comes next.
    """

    start: Tensor
    x: Tensor
    hidden: list[Tensor]
    place: int


class MADE(SequenceNetwork):
    """Masked perceptron.

    Arguments:
        shape, inputs, outputs, num_classes: See `SequenceNetwork`.
        features: Hidden units of a layer; at least T of them give every degree one.
        depth: Hidden layers.
        token_features: Size of an embedded token.
        dropout: Share of each layer's units that training drops.
    """

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        inputs: int,
        outputs: int,
        num_classes: int | None,
        features: Width = 512,
        depth: Depth = 2,
        token_features: Width = 8,
        dropout: Annotated[float, Range(0.0, 0.9)] = 0.0,
    ) -> None:
        super().__init__()
        length = torch.Size(shape).numel()
        self.length, self.outputs, self.size = length, outputs, token_features
        self.levels = nn.Embedding(inputs, token_features)
        self.begin = StartTokens(features, num_classes)
        place, degree = torch.arange(length), torch.arange(features) * length // features
        seen = degree[:, None] > place.repeat_interleave(token_features)
        inner = degree[:, None] >= degree
        self.layers = nn.ModuleList(MaskedLinear(inner if k else seen) for k in range(depth))
        self.last = MaskedLinear((place[:, None] >= degree).repeat_interleave(outputs, dim=0))
        self.dropout = Dropout(dropout)
        self.edges = [-(-m * features // length) for m in range(length + 1)]  # of degrees, among units
        start_linear(self.levels, inputs)
        with torch.no_grad():
            nn.init.zeros_(self.last.weight)
            nn.init.zeros_(self.last.bias)

    def forward(self, tokens: Tensor, y: Tensor | None = None) -> Tensor:
        h, start = self.levels(tokens).flatten(1), self.begin(len(tokens), y)
        for k, layer in enumerate(self.layers):
            a = layer(h) if k else layer(h) + start
            h = self.dropout(F.relu(a))
        return self.last(h).unflatten(1, (self.length, self.outputs))

    def start(self, n: int, y: Tensor | None = None) -> tuple[Tensor, MADEState]:
        start = self.begin(n, y)
        x = start.new_zeros(n, self.length * self.size)
        state = MADEState(start, x, [torch.zeros_like(start) for _ in self.layers], 0)
        return self._scores(state), state

    def step(self, tokens: Tensor, state: MADEState) -> tuple[Tensor, MADEState]:
        state.x[:, self.size * state.place : self.size * (state.place + 1)] = self.levels(tokens)
        state.place += 1
        return self._scores(state), state

    def _scores(self, state: MADEState) -> Tensor:
        """Scores of the place that comes next, by the units that have all they see by now; they are filled in."""
        first, end = self.edges[state.place], self.edges[state.place + 1]
        seen, below = state.x, self.size * state.place
        for k, (layer, hidden) in enumerate(zip(self.layers, state.hidden, strict=True)):
            assert isinstance(layer, MaskedLinear)
            a = _rows(layer, seen[:, :below], first, end)
            hidden[:, first:end] = F.relu(a if k else a + state.start[:, first:end])
            seen, below = hidden, end
        return _rows(self.last, seen[:, :end], self.outputs * state.place, self.outputs * (state.place + 1))


def _rows(layer: MaskedLinear, x: Tensor, first: int, end: int) -> Tensor:
    """Outputs first … end − 1 of a layer by its first inputs x (n, I); they see no other."""
    return F.linear(x, layer.weight[first:end, : x.shape[1]], layer.bias[first:end])
