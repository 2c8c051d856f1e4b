r"""Classifier-free guidance of an autoregressive model, on the scores of each token.

.. math:: s_w = s_0 + w\,(s_y - s_0) = (1 + \gamma)\,s_y - \gamma\,s_0, \qquad w = 1 + \gamma,

where s_0 are the scores without a label, draws the next token from p(x_t | x_<t, y)^w p(x_t | x_<t)^(1 − w),
renormalised: w = 1 is the labelled model, w = 0 the one without a label, and above 1 the tokens that the label makes
likelier are drawn more often. Renormalising token by token is not the same power of whole sequences, from which nobody
can draw.

References: Classifier-Free Diffusion Guidance (Ho & Salimans 2022, 2207.12598); Stay on Topic with Classifier-Free
Guidance (Sanchez et al. 2023, 2306.17806).
"""

from __future__ import annotations

import torch
from torch import Tensor

from genkit.nn.sequence_network import SequenceNetwork, State


class LabelGuidance:
    """A causal network step by step, its scores moved away from those of no label.

    Arguments:
        network: Built with one label more than the data has, which means "no label".
        nothing: The number of that label.
        scale: w.
    """

    def __init__(self, network: SequenceNetwork, nothing: int, scale: float) -> None:
        self.network, self.nothing, self.scale = network, nothing, scale

    def start(self, n: int, y: Tensor | None) -> tuple[Tensor, State]:
        """As that of the network; both answers are computed at once, as 2 n examples."""
        assert y is not None  # a model with labels was given some
        scores, state = self.network.start(2 * n, torch.cat((y, torch.full_like(y, self.nothing))))
        return self._guided(scores), state

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """As that of the network, tokens (n,) to scores (n, outputs)."""
        scores, state = self.network.step(tokens.repeat(2), state)
        return self._guided(scores), state

    def _guided(self, scores: Tensor) -> Tensor:
        labelled, unlabelled = scores.chunk(2)
        return unlabelled + self.scale * (labelled - unlabelled)
