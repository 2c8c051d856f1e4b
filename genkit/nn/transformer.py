r"""A causal transformer: a probability for each token of a sequence, given the ones before it.

.. math:: p(c_1, …, c_T \mid y) = \prod_t p(c_t \mid c_{<t}, y)

Position t reads c_{t−1}; the first reads a start token, one per label. Blocks normalise before they act (GPT-2, Radford
et al. 2019; Vaswani et al. 2017, 1706.03762). While sampling, the keys and values of earlier positions are kept, so a
token costs one position instead of all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from genkit.component import Depth, Range, Width
from genkit.errors import ConfigError
from genkit.nn.attention import HEADS, KeyValue, SelfAttention
from genkit.nn.dropout import Dropout
from genkit.nn.sequence_network import SequenceNetwork
from genkit.upgrade import Upgradable, upgrade_in_loading

EXPANSION = 4  # hidden features of a feed-forward network per feature (Vaswani et al. 2017)
SMALL = 0.02  # deviation of the first embeddings and positions (Radford et al. 2019)


class FeedForward(nn.Sequential):
    """Each position by itself, (…, features) to the same through `expansion` times as many."""

    def __init__(self, features: int, expansion: int = EXPANSION) -> None:
        super().__init__(
            nn.Linear(features, expansion * features), nn.GELU(), nn.Linear(expansion * features, features)
        )


class TransformerBlock(nn.Module):
    """h + attention(norm(h)), then h + feed-forward(norm(h)); (B, T, features) to the same.

    Arguments:
        features: A multiple of `heads`.
        heads: Attention heads.
        causal: Whether a position sees itself and earlier ones alone.
        dropout: Share of both branches' outputs that training drops.
    """

    def __init__(self, features: int, heads: int = HEADS, causal: bool = False, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm_attention, self.norm_forward = nn.LayerNorm(features), nn.LayerNorm(features)
        self.attention = SelfAttention(features, heads, causal)
        self.feed_forward = FeedForward(features)
        self.dropout = Dropout(dropout)

    def forward(self, h: Tensor) -> Tensor:
        h = h + self.dropout(self.attention(self.norm_attention(h)))
        return h + self.dropout(self.feed_forward(self.norm_forward(h)))

    def step(self, h: Tensor, past: KeyValue | None) -> tuple[Tensor, KeyValue]:
        """One more position (B, 1, features) after `past`, and the past with it."""
        attended, past = self.attention.step(self.norm_attention(h), past)
        h = h + self.dropout(attended)
        return h + self.dropout(self.feed_forward(self.norm_forward(h))), past


@dataclass
class TransformerState:
    """Keys and values that sampling keeps.

    Attributes:
        past: Those of each block; None before the first position.
        place: Of the next input.
    """

    past: list[KeyValue | None]
    place: int


class CausalTransformer(SequenceNetwork, Upgradable):
    """A transformer with layer norms, learned positions and biases, as GPT-2 has them.

    Arguments:
        shape, inputs, outputs, num_classes: See `SequenceNetwork`.
        features: Width, a multiple of `heads`.
        depth: Blocks.
        heads: Attention heads.
        dropout: Share that training drops of embeddings and of the blocks' outputs.

    Raises:
        ConfigError: the width is no multiple of the heads.
    """

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        inputs: int,
        outputs: int,
        num_classes: int | None,
        features: Width = 64,
        depth: Depth = 2,
        heads: Depth = HEADS,
        dropout: Annotated[float, Range(0.0, 0.9)] = 0.0,
    ) -> None:
        super().__init__()
        if features % heads:
            raise ConfigError(f"features={features} is no multiple of heads={heads}: choose another one")
        self.length = torch.Size(shape).numel()
        self.begin = nn.Embedding(num_classes or 1, features)  # the first input, by label
        self.tokens = nn.Embedding(inputs, features)
        self.position = nn.Parameter(SMALL * torch.randn(self.length, features))
        self.dropout = Dropout(dropout)
        self.blocks = nn.ModuleList(TransformerBlock(features, heads, True, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(features)
        self.last = nn.Linear(features, outputs)
        for table in (self.begin, self.tokens):
            nn.init.normal_(table.weight, std=SMALL)
        upgrade_in_loading(self)

    def forward(self, tokens: Tensor, y: Tensor | None = None) -> Tensor:
        before = torch.cat((self._first(len(tokens), y)[:, None], self.tokens(tokens[:, :-1])), dim=1)
        h = self.dropout(before + self.position)
        for block in self.blocks:
            h = block(h)
        return self.last(self.norm(h))

    def start(self, n: int, y: Tensor | None = None) -> tuple[Tensor, TransformerState]:
        return self._advance(self._first(n, y), TransformerState([None] * len(self.blocks), 0))

    def step(self, tokens: Tensor, state: TransformerState) -> tuple[Tensor, TransformerState]:
        return self._advance(self.tokens(tokens), state)

    def upgrade(self, state: dict[str, Any], prefix: str) -> None:
        """The first input stood in a table called `start`."""
        if (before := state.pop(f"{prefix}start.weight", None)) is not None:
            state[f"{prefix}begin.weight"] = before

    def _first(self, n: int, y: Tensor | None) -> Tensor:
        """The input of the first position, (n, features). Raises ValueError where the network needs labels."""
        if y is None and self.begin.num_embeddings > 1:
            raise ValueError("this network was built with labels: it needs y")
        return self.begin(self.position.new_zeros(n, dtype=torch.int64) if y is None else y)

    def _advance(self, h: Tensor, state: TransformerState) -> tuple[Tensor, TransformerState]:
        h = (h + self.position[state.place])[:, None]
        for i, block in enumerate(self.blocks):
            h, state.past[i] = block.step(h, state.past[i])  # type: ignore[operator]
        state.place += 1
        return self.last(self.norm(h[:, 0])), state
