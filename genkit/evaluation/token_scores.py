"""Costs of single tokens of held-out text: by the context that they have, and one by one in some documents."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from genkit.data.text.kind import Text
from genkit.data.text.token_rows import Windows
from genkit.evaluation.evaluator import Evaluator
from genkit.evaluation.source import Source

WINDOWS = 1_000  # side by side, evenly spaced, of which costs over the context are a mean
DOCUMENTS, TOKENS = 4, 1_024  # that are shown token by token, and tokens of each


@dataclass(frozen=True, eq=False)
class Excerpt:
    """The first tokens of a document and what each costs.

    Attributes:
        document: Its number in the split.
        tokens: (n,) int64, perhaps with the end.
        bits: (n,) float64.
    """

    document: int
    tokens: Tensor
    bits: Tensor


def bits_by_context(evaluator: Evaluator, source: Source) -> Tensor | None:
    """(n, T) bits of the tokens of windows, of which token t has t others as context; NaN of pads.

    None where the data is no text or the source says nothing of single tokens.
    """
    windows = _windows(evaluator, source)
    if windows is None:
        return None
    every = -(-len(windows) // WINDOWS)
    index = torch.arange(0, len(windows), every)
    found = evaluator.prober.token_log_prob(source, windows, index, windows.length)
    return (found / -math.log(2.0)).masked_fill(windows.take(index).x == windows.pad, math.nan)


def excerpts(evaluator: Evaluator, source: Source) -> list[Excerpt]:
    """The beginnings of the first documents, scored by windows that slide by half of their length; none as above."""
    windows = _windows(evaluator, source)
    if windows is None:
        return []
    found = []
    for number in range(min(DOCUMENTS, len(windows.documents))):
        first = int(windows.until[number - 1]) if number else 0
        tokens = windows.documents.head(number, TOKENS)
        index = torch.arange(first, first + -(-len(tokens) // windows.length))
        scored = evaluator.prober.token_log_prob(source, windows, index, max(1, windows.length // 2))
        found.append(Excerpt(number, tokens, scored.flatten()[: len(tokens)] / -math.log(2.0)))
    return found


def _windows(evaluator: Evaluator, source: Source) -> Windows | None:
    data = evaluator.reference.data
    fits = isinstance(evaluator.spec.kind, Text) and source.scores_tokens
    return data if fits and isinstance(data, Windows) else None
