r"""Long short-term memory: a sequence read token by token into a state of fixed size.

.. math:: c_t = f_t \odot c_{t-1} + i_t \odot g_t, \qquad h_t = o_t \odot \tanh c_t

with gates f, i, o and the candidate g computed from x_t and h_{t−1} (Hochreiter & Schmidhuber 1997; Gers et al. 2000).
What lies further back than the gates let through is forgotten, but a token costs the same at any place, and no past is
kept.
"""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genkit.component import Depth, Range, Width
from genkit.nn.dropout import Dropout
from genkit.nn.sequence_network import FEATURES, SequenceNetwork, StartTokens

LSTMState = tuple[Tensor, Tensor]
OPEN = 1.0  # bias of the forget gates at first, so that little is forgotten (Jozefowicz et al. 2015)


class LSTM(SequenceNetwork):
    """A recurrent network whose last state scores the next token by the table that embeds tokens.

    Arguments:
        shape, inputs, outputs, num_classes: See `SequenceNetwork`.
        features: Width.
        depth: Layers.
        dropout: Share that training drops of embeddings and of the last layer's outputs.
    """

    endless = True

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        inputs: int,
        outputs: int,
        num_classes: int | None,
        features: Width = FEATURES,
        depth: Depth = 1,
        dropout: Annotated[float, Range(0.0, 0.9)] = 0.0,
    ) -> None:
        super().__init__()
        self.outputs, self.scale = outputs, features**0.5
        self.tokens = nn.Embedding(inputs, features)
        self.begin = StartTokens(features, num_classes)
        self.layers = nn.LSTM(features, features, depth, batch_first=True)
        self.dropout = Dropout(dropout)
        self.norm = nn.RMSNorm(features)
        nn.init.normal_(self.tokens.weight, std=1 / self.scale)
        nn.init.constant_(self.norm.weight, 1 / self.scale)
        with torch.no_grad():
            for name, bias in self.layers.named_parameters():
                if name.startswith("bias_hh"):
                    bias[features : 2 * features] = OPEN

    def forward(self, tokens: Tensor, y: Tensor | None = None) -> Tensor:
        first = self.begin(len(tokens), y)[:, None]
        h = torch.cat((first, self.scale * self.tokens(tokens[:, :-1])), dim=1)
        return self._scores(self.layers(self.dropout(h))[0])

    def start(self, n: int, y: Tensor | None = None) -> tuple[Tensor, LSTMState]:
        return self._advance(self.begin(n, y), None)

    def step(self, tokens: Tensor, state: LSTMState) -> tuple[Tensor, LSTMState]:
        return self._advance(self.scale * self.tokens(tokens), state)

    def _advance(self, x: Tensor, state: LSTMState | None) -> tuple[Tensor, LSTMState]:
        h, state = self.layers(x[:, None], state)
        return self._scores(h)[:, 0], state

    def _scores(self, h: Tensor) -> Tensor:
        return F.linear(self.norm(self.dropout(h)), self.tokens.weight[: self.outputs])
