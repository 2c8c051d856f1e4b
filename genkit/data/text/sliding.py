r"""Sliding windows: the tokens of a document, each scored once and with as much context as the stride leaves it.

Windows of T tokens begin at 0, s, 2s, … of a document. The first one scores all of its tokens, every other one its last
s, so a token at place p ≥ T is scored in window

.. math:: j = \left\lfloor \frac{p - T}{s} \right\rfloor + 1 \quad \text{at place } p - j s \in [T - s, T),

after at least T − s tokens of its document. With s = T windows lie side by side, and tokens after an edge have hardly
any context. A smaller stride costs T / s times as much. A document of at most T tokens has one window whatever s.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from genkit.data.text.token_rows import Rows, Windows
from genkit.errors import ConfigError


@dataclass(frozen=True, eq=False)
class Sliding:
    """Windows that score the tokens of some examples, each once.

    Attributes:
        document, offset: (W,) the document of each window, and the token of it at which the window begins.
        window, place: (B, T) the window that scores each token of the examples, and the token's place in it.
        inside: (B, T) bool, whether there is a token, not a pad.
    """

    document: Rows
    offset: Rows
    window: Tensor
    place: Tensor
    inside: Tensor

    def of_windows(self, values: Tensor) -> Tensor:
        """Values (W, T) of all tokens of the windows as those of the examples, (B, T), 0 of pads."""
        return values[self.window, self.place].where(self.inside, 0)


def scored_at(position: Rows, length: int, stride: int) -> tuple[Rows, Rows]:
    """The number of the window that scores the token at each position of a document, and its place in that window.

    Args:
        position: Any shape.
        length: T.
        stride: s, 1 … T.
    """
    number = np.where(position < length, 0, (position - length) // stride + 1)
    return number, position - number * stride


def sliding(windows: Windows, index: Tensor, stride: int) -> Sliding:
    """The windows that score the tokens of examples `index` (B,) of windows side by side.

    Raises:
        ConfigError: the stride is not in 1 … T.
    """
    length = windows.length
    if not 1 <= stride <= length:
        raise ConfigError(f"stride={stride}: windows of {length} tokens move by 1 … {length}")
    document, number = windows.places(index)
    position = number[:, None] * length + np.arange(length)
    inside = position < windows.documents.lengths[document][:, None]
    scoring, place = scored_at(position, length, stride)
    which = np.stack([np.broadcast_to(document[:, None], scoring.shape), scoring], -1)[inside]
    found, inverse = np.unique(which, axis=0, return_inverse=True)
    window = np.zeros_like(scoring)
    window[inside] = inverse.reshape(-1)
    return Sliding(
        document=found[:, 0],
        offset=found[:, 1] * stride,
        window=torch.from_numpy(window),
        place=torch.from_numpy(np.where(inside, place, 0)),
        inside=torch.from_numpy(inside),
    )
