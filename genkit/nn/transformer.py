r"""A causal transformer: a probability for each token of a sequence, given the ones before it.

.. math:: p(c_1, …, c_T \mid y) = \prod_t p(c_t \mid c_{<t}, y)

Position t reads c_{t−1}; the first reads a start token, one per label. Blocks normalise before they act (GPT-2, Radford
et al. 2019; Vaswani et al. 2017, 1706.03762). While sampling, the keys and values of earlier positions are kept, so a
token costs one position instead of all of them.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from genkit.nn.attention import HEADS, KeyValue, SelfAttention
from genkit.nn.dropout import Dropout

EXPANSION = 4  # hidden features of a feed-forward network per feature (Vaswani et al. 2017)

Draw = Callable[[Tensor, int], Tensor]


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


class CausalTransformer(nn.Module):
    """Tokens (B, T) to the logits of each token given the ones before it, (B, T, num_tokens).

    Arguments:
        num_tokens: Size of the vocabulary.
        length: T.
        num_classes: Number of labels, None without labels.
        features: Width, a multiple of `heads`.
        depth: Blocks.
        heads: Attention heads.
        dropout: Share that training drops of embeddings and of the blocks' outputs.
    """

    def __init__(
        self,
        *,
        num_tokens: int,
        length: int,
        num_classes: int | None = None,
        features: int = 64,
        depth: int = 2,
        heads: int = HEADS,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.length = length
        self.start = nn.Embedding(num_classes or 1, features)
        self.tokens = nn.Embedding(num_tokens, features)
        self.position = nn.Parameter(0.02 * torch.randn(length, features))
        self.dropout = Dropout(dropout)
        self.blocks = nn.ModuleList(TransformerBlock(features, heads, True, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(features)
        self.last = nn.Linear(features, num_tokens)
        for table in (self.start, self.tokens):
            nn.init.normal_(table.weight, std=0.02)

    def forward(self, tokens: Tensor, y: Tensor | None = None) -> Tensor:
        before = torch.cat((self._start(len(tokens), y)[:, None], self.tokens(tokens[:, :-1])), dim=1)
        h = self.dropout(before + self.position)
        for block in self.blocks:
            h = block(h)
        return self.last(self.norm(h))

    def sample(self, n: int, draw: Draw, y: Tensor | None = None) -> Tensor:
        """Sequences (n, T), token by token: `draw(logits (n, num_tokens), t)` chooses the t-th, (n,) int64."""
        past: list[KeyValue | None] = [None] * len(self.blocks)
        h, tokens = self._start(n, y), []
        for t in range(self.length):
            h = (h + self.position[t])[:, None]
            for i, block in enumerate(self.blocks):
                h, past[i] = block.step(h, past[i])  # type: ignore[operator]
            tokens.append(draw(self.last(self.norm(h[:, 0])), t))
            h = self.tokens(tokens[-1])
        return torch.stack(tokens, dim=1)

    def _start(self, n: int, y: Tensor | None) -> Tensor:
        """The input of the first position, (n, features). Raises ValueError where the network needs labels."""
        if y is None and self.start.num_embeddings > 1:
            raise ValueError("this network was built with labels: it needs y")
        return self.start(self.position.new_zeros(n, dtype=torch.int64) if y is None else y)
