r"""Constraints that the visible tokens of a document put on its hidden ones, where documents end and are padded.

A row of T places is a document if ordinary tokens come first, then at most one end ("eos"), then pads to the last
place. Let a be the last place where an ordinary token is seen and b the first one where an end or a pad is. Of a hidden
place i, for certain,

* i > b is a pad;
* i < a is an ordinary token, and i < b is one too where b is the end;
* i > a may be the end; a pad only where i > a + 1, since the end has to fit in between;
* i = b − 1 is no ordinary token where b is a pad: the end is there or before.

Scores of all else are −∞. So a token drawn at one place at a time leaves a row that some document still fits, and
probabilities of documents, and of rows that have not ended, add up to one. Length is thus no number of its own: it
shows as soon as an end, a pad or a late token does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class DocumentRows:
    """Rows (B, T) of tokens below `ordinary`, of the specials `end` and `pad`, and of `mask` where hidden."""

    ordinary: int
    end: int
    pad: int
    mask: int

    def allowed(self, scores: Tensor, tokens: Tensor) -> Tensor:
        """Scores (B, T, K) of the tokens at hidden places, −∞ of those that no document has there."""
        place = torch.arange(tokens.shape[1], device=tokens.device)
        last, first, ended = (each[:, None] for each in self._seen(tokens))
        hidden = tokens == self.mask
        after, before = place > first, place < first
        word = before & ((place != first - 1) | ended | (first == tokens.shape[1]))
        stop = before & ~ended & (place > last)
        rest = after | (before & ~ended & (place > last + 1))
        columns = torch.arange(scores.shape[2], device=scores.device)
        kept = torch.where(columns == self.end, stop[:, :, None], word[:, :, None])
        kept = torch.where(columns == self.pad, rest[:, :, None], kept)
        return scores.masked_fill(~kept & hidden[:, :, None], -math.inf)

    def closed(self, tokens: Tensor) -> Tensor:
        """Rows with pads at the hidden places that are certain to hold them."""
        _, first, _ = self._seen(tokens)
        place = torch.arange(tokens.shape[1], device=tokens.device)
        return torch.where((tokens == self.mask) & (place > first[:, None]), self.pad, tokens)

    def settled(self, tokens: Tensor, drawn: Tensor) -> Tensor:
        """Rows in which the tokens `drawn` (B, T) at once, each as if alone, agree: the first special is the end."""
        _, first, _ = self._seen(tokens)
        place = torch.arange(tokens.shape[1], device=tokens.device)
        tokens = torch.where(drawn & (place == first[:, None]), self.end, tokens)
        return torch.where(place > first[:, None], self.pad, tokens)

    def possible(self, tokens: Tensor) -> Tensor:
        """Tell of rows, hidden places among them, which are part of a document or of one that has not ended, (B,)."""
        last, first, ended = self._seen(tokens)
        place = torch.arange(tokens.shape[1], device=tokens.device)
        more_ends = ((tokens == self.end) & (place > first[:, None])).any(1)
        return (last < first) & ~more_ends & (ended | (last + 1 < first) | (first == tokens.shape[1]))

    def _seen(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Last ordinary place or −1, first special place or T, and whether an end is there: (B,) each."""
        length = tokens.shape[1]
        place = torch.arange(length, device=tokens.device)
        last = torch.where(tokens < self.ordinary, place, -1).amax(1)
        special = (tokens == self.end) | (tokens == self.pad)
        first = torch.where(special, place, length).amin(1)
        at = tokens.gather(1, first.clamp(max=length - 1)[:, None])[:, 0]
        return last, first, (first < length) & (at == self.end)
