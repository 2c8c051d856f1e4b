r"""A decoder-only transformer as small language models are built today.

.. math:: h \leftarrow h + \mathrm{attention}(\mathrm{norm}(h)), \qquad
          h \leftarrow h + W_3(\mathrm{silu}(W_1 n) \odot W_2 n), \quad n = \mathrm{norm}(h)

* RMSNorm before each branch and at the end (Zhang & Sennrich 2019, 1910.07467), no biases;
* rotary positions: the pairs of features of q and k turn by angles that grow with the position, so that their product
  depends on the distance (Su et al. 2021, 2104.09864);
* q and k are normalised per head, which keeps large learning rates stable (Dehghani et al. 2023, 2302.05442);
* SwiGLU of 8/3 of the width (Shazeer 2020, 2002.05202);
* one table both embeds a token and scores it (Press & Wolf 2017, 1608.05859);
* the last matrix of each branch starts at zero, so that the network starts as a table of its last token, and the gain
  before the scores is small, so that this table says little;
* hashed n-grams: besides the last token, the last two, three and four are looked up together, in small tables that a
  hash of them points into (after Svenstrup et al. 2017, 1709.03933). They start at zero. What an n-gram says need not
  be learned through attention then, which at the budget of minutes is most of what there is to learn. A small text's
  n-grams are soon learned by heart, unless training leaves some out, each as a whole (word dropout, Iyyer et al. 2015).

While sampling, keys and values of earlier positions are kept, and the last tokens for the n-grams.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genkit.component import Depth, NonNegativeInt, Range, Width
from genkit.errors import ConfigError
from genkit.nn.attention import HEADS
from genkit.nn.dropout import Dropout
from genkit.nn.sequence_network import FEATURES, SequenceNetwork, StartTokens, log_prob_of

BASE = 10_000.0  # of the rotary wavelengths
MULTIPLIER = 1_000_003  # of the hash, a prime
LONGEST = 4  # tokens that are hashed together


@dataclass
class GPTState:
    """Keys, values and last tokens that sampling keeps.

    Attributes:
        past: Keys and values of each block, (2, n, heads, T, d), filled up to `position`.
        recent: (n, LONGEST − 1) int64, the last tokens; `inputs`, the number after the last token, where there is none.
        position: Of the next input.
    """

    past: list[Tensor]
    recent: Tensor
    position: int


class Packing(NamedTuple):
    """The places of several sequences in their rows.

    Attributes:
        positions: (B, 1, T) int64, of each token in its sequence.
        seen: (B, 1, T, T) bool, the places that each one sees: earlier ones of its sequence, and itself.
    """

    positions: Tensor
    seen: Tensor

    @classmethod
    def of(cls, part: Tensor) -> Packing:
        """That of tokens (B, T) by the numbers of their sequences."""
        places = torch.arange(part.shape[1], device=part.device)
        begins = F.pad(part[:, 1:] != part[:, :-1], (1, 0), value=True)
        positions = places - (places * begins).cummax(1).values
        return cls(positions[:, None], (part[:, :, None] == part[:, None, :]).tril()[:, None])


class Rotary(nn.Module):
    """Turn the pairs (i, i + d/2) of features (B, heads, T, d) at positions p … p + T − 1 by p BASE^(−2i/d)."""

    cos: Tensor
    sin: Tensor

    def __init__(self, features: int, length: int) -> None:
        super().__init__()
        rate = BASE ** (-torch.arange(0, features, 2, dtype=torch.float64) / features)
        angle = torch.arange(length, dtype=torch.float64)[:, None] * rate
        self.register_buffer("cos", angle.cos().float(), persistent=False)
        self.register_buffer("sin", angle.sin().float(), persistent=False)

    def forward(self, x: Tensor, position: int | Tensor = 0) -> Tensor:
        """`position`: p, or the positions (B, 1, T) of all."""
        at = slice(position, position + x.shape[2]) if isinstance(position, int) else position
        cos, sin = (t[at].to(x.dtype) for t in (self.cos, self.sin))
        a, b = x.chunk(2, dim=-1)
        return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)


class GPTBlock(nn.Module):
    """Attention, then SwiGLU, each before a residual sum; (B, T, features) to the same.

    Arguments:
        features: Width, an even multiple of `heads`.
        heads: Attention heads.
        length: T at most.
        dropout: Share that training drops of the branches' outputs.
        causal: Whether a place sees itself and earlier ones alone.

    Raises:
        ConfigError: the width is no even multiple of the heads.
    """

    def __init__(self, features: int, heads: int, length: int, dropout: float, causal: bool = True) -> None:
        super().__init__()
        if features % (2 * heads):
            raise ConfigError(f"network.features={features} is no even multiple of network.heads={heads}")
        hidden = 8 * -(-features // 3)  # 8/3 of the width
        self.heads, self.causal = heads, causal
        self.norm_attention, self.norm_forward = nn.RMSNorm(features), nn.RMSNorm(features)
        self.qkv = nn.Linear(features, 3 * features, bias=False)
        self.norm_q, self.norm_k = (nn.RMSNorm(features // heads) for _ in range(2))
        self.out = nn.Linear(features, features, bias=False)
        self.gate, self.up = (nn.Linear(features, hidden, bias=False) for _ in range(2))
        self.down = nn.Linear(hidden, features, bias=False)
        self.rotary = Rotary(features // heads, length)
        self.dropout = Dropout(dropout)
        for last in (self.out, self.down):
            nn.init.zeros_(last.weight)

    def forward(self, h: Tensor, packing: Packing | None = None) -> Tensor:
        if packing is None:
            q, k, v = self._heads(h, 0)
            return self._rest(h, F.scaled_dot_product_attention(q, k, v, is_causal=self.causal))
        q, k, v = self._heads(h, packing.positions)
        return self._rest(h, F.scaled_dot_product_attention(q, k, v, attn_mask=packing.seen))

    def step(self, h: Tensor, past: Tensor, position: int) -> Tensor:
        """One more position (n, 1, features), whose keys and values are written into `past`."""
        q, k, v = self._heads(h, position)
        past[0][:, :, position], past[1][:, :, position] = k[:, :, 0], v[:, :, 0]
        seen = past[:, :, :, : position + 1]
        return self._rest(h, F.scaled_dot_product_attention(q, seen[0], seen[1]))

    def _heads(self, h: Tensor, position: int | Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = self.qkv(self.norm_attention(h)).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.rotary(self.norm_q(q), position), self.rotary(self.norm_k(k), position), v

    def _rest(self, h: Tensor, attended: Tensor) -> Tensor:
        h = h + self.dropout(self.out(attended.transpose(1, 2).flatten(2)))
        n = self.norm_forward(h)
        return h + self.dropout(self.down(F.silu(self.gate(n)) * self.up(n)))


class GPT(SequenceNetwork):
    """A causal transformer.

    In a row of several sequences each place sees its own sequence alone.

    Arguments:
        shape, inputs, outputs, num_classes: See `SequenceNetwork`.
        features: Width, an even multiple of `heads`.
        depth: Blocks.
        heads: Attention heads.
        dropout: Share that training drops of embeddings and of the branches' outputs.
        ngram_rows: Rows of each table of hashed n-grams; 0: none.
        ngram_dropout: Share of the n-grams that training drops, each of a place and a length as a whole.

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
        features: Width = FEATURES,
        depth: Depth = 4,
        heads: Depth = HEADS,
        dropout: Annotated[float, Range(0.0, 0.9)] = 0.0,
        ngram_rows: NonNegativeInt = 4096,
        ngram_dropout: Annotated[float, Range(0.0, 0.9)] = 0.0,
    ) -> None:
        super().__init__()
        length = torch.Size(shape).numel()
        self.inputs, self.outputs, self.length, self.heads = inputs, outputs, length, heads
        self.scale = features**0.5  # rows have norm one, inputs unit variance
        self.tokens = nn.Embedding(inputs, features)
        self.begin = StartTokens(features, num_classes)
        self.ngrams = nn.ModuleList(nn.Embedding(ngram_rows, features) for _ in range(2, LONGEST + 1) if ngram_rows)
        self.dropout, self.ngram_dropout = Dropout(dropout), Dropout(ngram_dropout)
        self.blocks = nn.ModuleList(GPTBlock(features, heads, length, dropout) for _ in range(depth))
        self.norm = nn.RMSNorm(features)
        nn.init.normal_(self.tokens.weight, std=1 / self.scale)
        nn.init.constant_(self.norm.weight, 1 / self.scale)
        for table in self.ngrams:
            assert isinstance(table, nn.Embedding)
            nn.init.zeros_(table.weight)

    def forward(self, tokens: Tensor, y: Tensor | None = None, part: Tensor | None = None) -> Tensor:
        first = self.begin(len(tokens), y)[:, None]
        packing = None if part is None else Packing.of(part)
        if part is None or packing is None:
            h = torch.cat((first, self._embedded(tokens[:, :-1])), dim=1)
        else:
            after = F.pad(self._embedded(tokens[:, :-1], part=part[:, :-1]), (0, 0, 1, 0))
            h = torch.where((packing.positions == 0)[:, 0, :, None], first, after)
        h = self.dropout(h)
        for block in self.blocks:
            h = block(h, packing)
        return self._scores(h)

    def packed_log_prob(self, tokens: Tensor, targets: Tensor, part: Tensor, y: Tensor | None = None) -> Tensor:
        return log_prob_of(self(tokens, y, part), targets)

    def start(self, n: int, y: Tensor | None = None) -> tuple[Tensor, GPTState]:
        h = self.begin(n, y)[:, None]
        d = h.shape[2] // self.heads
        past = [h.new_empty(2, n, self.heads, self.length, d) for _ in self.blocks]
        recent = torch.full((n, LONGEST - 1), self.inputs, device=h.device)
        return self._advance(h, GPTState(past, recent, 0))

    def step(self, tokens: Tensor, state: GPTState) -> tuple[Tensor, GPTState]:
        window = torch.cat((state.recent, tokens[:, None]), dim=1)
        h = self._embedded(window, first=LONGEST - 1)
        state.recent = window[:, 1:]
        return self._advance(h, state)

    def _advance(self, h: Tensor, state: GPTState) -> tuple[Tensor, GPTState]:
        for block, past in zip(self.blocks, state.past, strict=True):
            h = block.step(h, past, state.position)  # type: ignore[operator]
        state.position += 1
        return self._scores(h)[:, 0], state

    def _scores(self, h: Tensor) -> Tensor:
        return F.linear(self.norm(h), self.tokens.weight[: self.outputs])

    def _embedded(self, tokens: Tensor, first: int = 0, part: Tensor | None = None) -> Tensor:
        """The inputs of tokens (B, S) from the place `first` on, (B, S − first, features); nothing comes before them.

        `inputs` stands for no token, in the n-grams that begin before the sequence, or its `part` (B, S), does.
        """
        h = self.scale * self.tokens(tokens[:, first:])
        weights = self.ngram_dropout(h.new_full((*h.shape[:2], len(self.ngrams)), self.scale))
        hashed = tokens
        for back, table in enumerate(self.ngrams, start=1):
            earlier = F.pad(tokens, (back, 0), value=self.inputs)[:, : tokens.shape[1]]
            if part is not None:
                earlier = earlier.where(F.pad(part, (back, 0), value=-1)[:, : part.shape[1]] == part, self.inputs)
            hashed = (hashed * MULTIPLIER + earlier) % 2**31
            assert isinstance(table, nn.Embedding)
            h = h + weights[:, :, back - 1, None] * table(hashed[:, first:] % table.num_embeddings)
        return h
