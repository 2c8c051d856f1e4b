"""The contract of every causal network: the scores of each token of a sequence, given the ones before it.

    f(tokens, y): (B, T) int64 -> (B, T, outputs), where [:, t] depends on tokens[:, :t] and y alone

A model asks for a network by the shape of the data and the number of tokens, and never names a class. What samples
token by token calls `start` and then `step`: the state that they hand on is what a network would otherwise compute
again, such as keys and values.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genkit.component import Component

State = Any  # a network's own
SPREAD = 0.3  # of what is not linear in the level, in the first embeddings
FEATURES = 128  # width, where minutes are what there is


class SequenceNetwork(nn.Module, Component, ABC):
    """A causal network over T tokens.

    Subclasses take the keyword arguments `shape` (of an example: (T,), (D,) or (C, H, W), whose values come row by row,
    the channels of a pixel together), `inputs` and `outputs` (tokens that it reads, and of those the first ones that it
    gives scores to) and `num_classes` (None: unlabelled), and their own widths and depths from the configuration.

    Attributes:
        endless: Whether `forward` and `step` take more than T tokens, as where all that is kept is a state of one size.
    """

    endless: ClassVar[bool] = False

    @abstractmethod
    def forward(self, tokens: Tensor, y: Tensor | None = None) -> Tensor:
        """Tokens (B, T) and labels (B,) to scores (B, T, outputs) of each token given the ones before it."""

    def token_log_prob(self, tokens: Tensor, targets: Tensor, y: Tensor | None = None) -> Tensor:
        """log P of each target given the tokens before it, (B, T) in nats.

        A network that need not know all scores for it may do it otherwise.

        Args:
            tokens: (B, T).
            targets: (B, T), numbers among the scores; −1 costs nothing.
            y: Labels (B,).
        """
        return log_prob_of(self(tokens, y), targets)

    def packed_log_prob(self, tokens: Tensor, targets: Tensor, part: Tensor, y: Tensor | None = None) -> Tensor:
        """`token_log_prob` of rows of several sequences, each of which knows nothing of the others.

        A network that cannot keep them apart in a row gives each a row of its own, at the cost of as many rows.

        Args:
            tokens, targets, y: See `token_log_prob`.
            part: (B, T) int64, the number of a token's sequence in its row, from 0 on.
        """
        begins = F.pad(part[:, 1:] != part[:, :-1], (1, 0), value=True)
        rows = begins.flatten().cumsum(0) - 1
        places = torch.arange(tokens.numel(), device=tokens.device)
        places = places - places[begins.flatten()][rows]
        width = int(places.max()) + 1 if self.endless else tokens.shape[1]
        apart = tokens.new_zeros(int(rows[-1]) + 1, width)
        wanted = torch.full_like(apart, -1)
        apart[rows, places], wanted[rows, places] = tokens.flatten(), targets.flatten()
        labels = None if y is None else y.repeat_interleave(begins.sum(1))
        return self.token_log_prob(apart, wanted, labels)[rows, places].view(tokens.shape)

    @abstractmethod
    def start(self, n: int, y: Tensor | None = None) -> tuple[Tensor, State]:
        """Scores (n, outputs) of the first token, and the state after nothing."""

    @abstractmethod
    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """The next tokens (n,) after a state: scores (n, outputs) of the ones that follow, and the state there.

        The state that is handed in is used up.
        """


def log_prob_of(scores: Tensor, targets: Tensor) -> Tensor:
    """log P of targets (B, T) by scores (B, T, K), in nats; a target of −1 costs nothing."""
    return -F.cross_entropy(scores.transpose(1, 2), targets, reduction="none", ignore_index=-1)


class SequenceNetworkFactory(Protocol):
    """A model's `network` argument: a causal network of which all but the data is chosen."""

    def __call__(
        self, *, shape: tuple[int, ...], inputs: int, outputs: int, num_classes: int | None
    ) -> SequenceNetwork: ...


class StartTokens(nn.Module):
    """The first input, (n, features): one for each label, or one for all.

    Arguments:
        features: Width.
        num_classes: Number of labels, None without labels.
    """

    def __init__(self, features: int, num_classes: int | None) -> None:
        super().__init__()
        self.labelled = num_classes is not None
        self.table = nn.Embedding(num_classes or 1, features)
        nn.init.normal_(self.table.weight)

    def forward(self, n: int, y: Tensor | None) -> Tensor:
        """Raises ValueError where the network was built with labels and gets none."""
        if self.labelled and y is None:
            raise ValueError("this network was built with labels: it needs y")
        index = self.table.weight.new_zeros(n).long() if y is None else y
        return self.table(index)


@torch.no_grad()
def start_linear(table: nn.Embedding, inputs: int) -> None:
    """Let embeddings begin nearly linear in the level, so that levels are met in their order.

    Args:
        table: Rows of the levels, those of one channel after those of another.
        inputs: Levels of a channel.
    """
    linear = torch.linspace(-1.0, 1.0, inputs).repeat(table.num_embeddings // inputs)[:, None]
    table.weight.mul_(SPREAD).add_(linear * torch.randn(table.embedding_dim))
