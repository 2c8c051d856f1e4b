r"""Priors of codes: p(c | y) over sequences of T codes out of K, learned or not.

What makes an autoencoder with a discrete latent a generative model: c ~ p(c | y), x = decode(c). A temperature τ draws
from probabilities raised to 1/τ and renormalised: below 1 nearer to the likeliest codes, towards infinity uniform.
"""

from abc import ABC, abstractmethod
from functools import partial
from math import log
from typing import Annotated, Protocol

import torch
from torch import Tensor, nn

from genkit.component import Component, Depth, Range, Width
from genkit.distributions import draw_categorical
from genkit.errors import ConfigError
from genkit.models.base import Noise
from genkit.nn.attention import HEADS
from genkit.nn.sequence_network import SequenceNetworkFactory, State
from genkit.nn.transformer import CausalTransformer


class CodePrior(nn.Module, Component, ABC):
    """A distribution of codes (B, T). Built with `num_codes` K, `length` T and `num_classes` (None: unlabelled)."""

    @abstractmethod
    def log_prob(self, codes: Tensor, y: Tensor | None = None) -> Tensor:
        """log p(codes | y) in nats, (B, T) int64 to (B,)."""

    @abstractmethod
    def sample(self, n: int, *, y: Tensor | None = None, noise: Noise, temperature: float = 1.0) -> Tensor:
        """n sequences of codes (n, T) int64."""


class SequentialPrior(CodePrior):
    """A prior that tells each code given the ones before it, as an entropy coder needs."""

    @abstractmethod
    def start(self, n: int, y: Tensor | None = None) -> tuple[Tensor, State]:
        """Scores (n, K) of the first code, and the state after nothing."""

    @abstractmethod
    def step(self, codes: Tensor, state: State) -> tuple[Tensor, State]:
        """The next codes (n,) after a state: scores (n, K) of the ones that follow, and the state there."""


class CodePriorFactory(Protocol):
    """The type of a model's `prior` argument, finished with the codes' number and place."""

    def __call__(self, *, num_codes: int, length: int, num_classes: int | None) -> CodePrior: ...


class UniformPrior(SequentialPrior):
    """Uniform prior, p(c) = K⁻ᵀ for every label: that of the first VQ-VAE, and the baseline of a learned one.

    References: van den Oord et al. 2017, 1711.00937.
    """

    def __init__(self, *, num_codes: int, length: int, num_classes: int | None) -> None:
        super().__init__()
        self.num_codes, self.length = num_codes, length

    def log_prob(self, codes: Tensor, y: Tensor | None = None) -> Tensor:
        return torch.full((len(codes),), -self.length * log(self.num_codes), device=codes.device)

    def sample(self, n: int, *, y: Tensor | None = None, noise: Noise, temperature: float = 1.0) -> Tensor:
        u = torch.special.ndtr(noise(self.length))
        return (u * self.num_codes).long().clamp(max=self.num_codes - 1)

    def start(self, n: int, y: Tensor | None = None) -> tuple[Tensor, State]:
        return torch.zeros(n, self.num_codes), None

    def step(self, codes: Tensor, state: State) -> tuple[Tensor, State]:
        return torch.zeros(len(codes), self.num_codes), None


class NetworkPrior(SequentialPrior):
    """p(c | y) = ∏ p(c_t | c_<t, y) by a causal network, the one that an autoregressive model of the codes would have.

    Arguments:
        network: The network; None takes a `CausalTransformer`.

    References: as the PixelCNN of the first VQ-VAE (van den Oord et al. 2017, 1711.00937) and the transformer of
        Jukebox (Dhariwal et al. 2020, 2005.00341).
    """

    def __init__(
        self, *, num_codes: int, length: int, num_classes: int | None, network: SequenceNetworkFactory | None = None
    ) -> None:
        super().__init__()
        self.length = length
        self.net = (network or CausalTransformer)(
            shape=(length,), inputs=num_codes, outputs=num_codes, num_classes=num_classes
        )

    def log_prob(self, codes: Tensor, y: Tensor | None = None) -> Tensor:
        return self.net.token_log_prob(codes, codes, y).sum(1)

    def sample(self, n: int, *, y: Tensor | None = None, noise: Noise, temperature: float = 1.0) -> Tensor:
        u = torch.special.ndtr(noise(self.length))
        scores, state = self.net.start(n, y)
        codes = [draw_categorical(scores / temperature, u[:, 0])]
        for t in range(1, self.length):
            scores, state = self.net.step(codes[-1], state)
            codes.append(draw_categorical(scores / temperature, u[:, t]))
        return torch.stack(codes, dim=1)

    def start(self, n: int, y: Tensor | None = None) -> tuple[Tensor, State]:
        return self.net.start(n, y)

    def step(self, codes: Tensor, state: State) -> tuple[Tensor, State]:
        return self.net.step(codes, state)


class TransformerPrior(NetworkPrior):
    """A prior by a `CausalTransformer`.

    Arguments:
        features: Width, a multiple of `heads`.
        depth: Blocks.
        heads: Attention heads.
        dropout: Share that training drops; it delays learning the training codes by heart.

    Raises:
        ConfigError: the width is no multiple of the heads.
    """

    def __init__(
        self,
        *,
        num_codes: int,
        length: int,
        num_classes: int | None,
        features: Width = 64,
        depth: Depth = 2,
        heads: Depth = HEADS,
        dropout: Annotated[float, Range(0.0, 0.9)] = 0.0,
    ) -> None:
        if features % heads:
            raise ConfigError(f"model.prior.features={features} is no multiple of model.prior.heads={heads}")
        network = partial(CausalTransformer, features=features, depth=depth, heads=heads, dropout=dropout)
        super().__init__(num_codes=num_codes, length=length, num_classes=num_classes, network=network)
