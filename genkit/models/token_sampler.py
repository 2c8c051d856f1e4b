r"""Controls of drawing a token from its scores: temperature, top-k, top-p and min-p, applied in this order.

.. math:: p_k \propto \exp(s_k / \tau)

then all but the K likeliest are left out; then all but the fewest that have mass p together (nucleus sampling, Holtzman
et al. 2020, 1904.09751); then those less than m times as likely as the likeliest (Nguyen et al. 2024, 2407.01082).
What stays is renormalised, and the likeliest always stays. Each makes samples more typical and less varied than the
model is: a likelihood knows nothing of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from genkit.component import AtSampling, NonNegativeFloat, NonNegativeInt, Probability, Range

Temperature = Annotated[NonNegativeFloat, AtSampling("below 1 draws likelier, less diverse samples")]
TopK = Annotated[NonNegativeInt, AtSampling("draw among so many likeliest tokens; 0: all")]
TopP = Annotated[float, Range(0.0, 1.0, open_low=True), AtSampling("draw among the fewest with this mass; 1: all")]
MinP = Annotated[Probability, AtSampling("draw among those so many times as likely as the likeliest; 0: all")]


@dataclass(frozen=True)
class TokenSampler:
    """Scores of tokens, some left out.

    Attributes:
        temperature: τ; 0 is the likeliest token always.
        top_k: K; 0 leaves all.
        top_p: p; 1 leaves all.
        min_p: m; 0 leaves all.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0

    def __call__(self, scores: Tensor) -> Tensor:
        """Scores (n, K) to those that tokens are drawn from, −∞ where one is left out."""
        if self.temperature == 0:
            return _kept(scores, scores >= scores.amax(1, keepdim=True))
        scores = scores / self.temperature
        if 0 < self.top_k < scores.shape[1]:
            scores = _kept(scores, scores >= scores.topk(self.top_k, dim=1).values[:, -1:])
        if self.top_p < 1:
            ordered, order = scores.sort(dim=1, descending=True, stable=True)
            mass = ordered.softmax(1)
            kept = mass.cumsum(1) - mass < self.top_p
            kept[:, 0] = True
            scores = _kept(scores, torch.zeros_like(kept).scatter(1, order, kept))
        if self.min_p > 0:
            scores = _kept(scores, scores >= scores.amax(1, keepdim=True) + math.log(self.min_p))
        return scores


def _kept(scores: Tensor, kept: Tensor) -> Tensor:
    return scores.masked_fill(~kept, -math.inf)
