r"""Quantisers: a continuous map of features becomes a map of codes, each out of a finite set.

Features z (B, C, *S), T = ∏S places, become values q of the same shape and codes (B, T) in 0 … num_codes − 1.
Rounding has no gradient, so the values carry the features' own (straight-through, Bengio et al. 2013, 1308.3432):

.. math:: z + \mathrm{sg}(q - z), \qquad \partial q / \partial z := I.

* `VectorQuantizer`: q is the nearest row e_k of a learned table; the table follows the features as running means.
* `FiniteScalarQuantizer`: q is z, bounded and rounded per channel; nothing is learned and nothing can die.
"""

from abc import ABC, abstractmethod
from itertools import accumulate
from math import prod
from typing import Annotated, NamedTuple

import torch
from torch import Tensor, nn

from genkit.batch_noise import permutation
from genkit.component import Component, NonNegativeFloat, Probability, Range, Width
from genkit.errors import ConfigError
from genkit.ranks import rows_of_all, summed, world
from genkit.upgrade import RetiredBuffers, upgrade_in_loading

MOST = 65536  # codes
Levels = tuple[Annotated[int, Range(2, 4096)], ...]


class Quantized(NamedTuple):
    """The result of a quantiser for features (B, C, *S).

    Attributes:
        values: (B, C, *S), with the features' gradient.
        codes: (B, T) int64.
        terms: What it adds to the loss, by name, each of shape ().
    """

    values: Tensor
    codes: Tensor
    terms: dict[str, Tensor]


class Quantizer(nn.Module, Component, ABC):
    """Features to codes and back.

    Attributes:
        num_codes: Size of the set of codes.
        channels: C, the features that one code stands for.
    """

    num_codes: int
    channels: int

    @abstractmethod
    def forward(self, z: Tensor) -> Quantized:
        """Features (B, channels, *S) to values, codes and loss terms."""

    def initialise(self, z: Tensor) -> None:
        """Fit to the features (B, channels, *S) of the first training batch; default nothing."""

    @abstractmethod
    def decode_codes(self, codes: Tensor) -> Tensor:
        """Codes (B, T) to their values (B, channels, T)."""


def straight_through(z: Tensor, q: Tensor) -> Tensor:
    """q with the gradient of z."""
    return z + (q - z).detach()


def code_usage(codes: Tensor, num_codes: int) -> tuple[Tensor, Tensor]:
    """Perplexity exp H of how often each code occurs in `codes`, and the share of all codes that occur; shapes ()."""
    share = torch.bincount(codes.flatten(), minlength=num_codes) / codes.numel()
    return torch.special.entr(share).sum().exp(), (share > 0).float().mean()


class VectorQuantizer(Quantizer, RetiredBuffers):
    r"""The nearest of K vectors, which are running means of the features that chose them.

    .. math:: u_k \leftarrow d u_k + (1 - d) n_k / N, \quad m_k \leftarrow d m_k + (1 - d) \sum_{z \to k} z / N,
              \quad e_k = m_k / u_k

    for N features in a batch of which n_k chose k. A code with a usage u_k below `restart` / K is dead: it moves to a
    feature of the batch. To begin with, every code is put on a feature of the first batch.

    References: Neural Discrete Representation Learning (van den Oord et al. 2017, 1711.00937); restarts: Jukebox
    (Dhariwal et al. 2020, 2005.00341).

    Arguments:
        num_codes: K.
        channels: C.
        commitment: Weight of ‖z − sg(q)‖², summed over dimensions, which keeps the features near their codes.
        decay: d.
        restart: Share of the mean usage 1/K below which a code is dead; 0 restarts none.
    """

    usage: Tensor
    sums: Tensor
    retired = ("initialised",)

    def __init__(
        self,
        num_codes: Annotated[int, Range(2, MOST)] = 64,
        channels: Width = 8,
        commitment: NonNegativeFloat = 0.25,
        decay: Probability = 0.99,
        restart: Probability = 0.1,
    ) -> None:
        super().__init__()
        self.num_codes, self.channels = num_codes, channels
        self.commitment, self.decay, self.restart = commitment, decay, restart
        self.register_buffer("usage", torch.full((num_codes,), 1 / num_codes))
        self.register_buffer("sums", torch.randn(num_codes, channels) / num_codes)
        upgrade_in_loading(self)

    @property
    def codebook(self) -> Tensor:
        """The vectors e_k, (K, C)."""
        return self.sums / self.usage.clamp_min(torch.finfo(self.usage.dtype).tiny)[:, None]

    def forward(self, z: Tensor) -> Quantized:
        rows = z.flatten(2).transpose(1, 2)  # (B, C, *S) -> (B, T, C)
        flat = self._features(z)
        if self.training:
            self._restart(flat, self.usage < self.restart / self.num_codes)
        codes = self.nearest(flat)
        q = self.decode_codes(codes.view(rows.shape[:2])).to(z.dtype).view_as(z)
        if self.training:  # after the values were read: they are what this batch chose from
            self._follow(flat, codes)
        commitment = self.commitment * (z - q).square().flatten(1).sum(1).mean()
        return Quantized(straight_through(z, q), codes.view(rows.shape[:2]), {"commitment": commitment})

    def decode_codes(self, codes: Tensor) -> Tensor:
        return self.codebook[codes].transpose(1, 2).contiguous()

    def nearest(self, z: Tensor) -> Tensor:
        """The code of the nearest vector, (N, C) to (N,)."""
        e = self.codebook
        return (e.square().sum(1) - 2 * z @ e.T).argmin(1)  # ‖z − e‖² without the ‖z‖² common to all codes

    def initialise(self, z: Tensor) -> None:
        """Every code on a feature of its own."""
        self._restart(self._features(z), torch.ones_like(self.usage, dtype=torch.bool))

    def _features(self, z: Tensor) -> Tensor:
        """The features of all places of z (B, C, *S), (B T, C), without their gradient."""
        return z.detach().flatten(2).transpose(1, 2).flatten(0, 1).to(self.sums.dtype)

    @torch.no_grad()
    def _restart(self, z: Tensor, dead: Tensor) -> None:
        """Puts every dead code (K,) on a feature of its own, as far as the features (N, C) of all processes reach."""
        z = rows_of_all(z)
        places = torch.arange(self.num_codes, device=z.device) % len(z)
        drawn = z[permutation(len(z), z.device)[places]]
        self.usage.copy_(self.usage.where(~dead, 1 / self.num_codes))
        self.sums.copy_(self.sums.where(~dead[:, None], drawn / self.num_codes))

    @torch.no_grad()
    def _follow(self, z: Tensor, codes: Tensor) -> None:
        """Moves the running means by one batch of features (N, C), of all processes together."""
        n = len(z) * world()
        counts = summed(torch.bincount(codes, minlength=self.num_codes).to(self.usage))
        self.usage.lerp_(counts / n, 1 - self.decay)
        self.sums.lerp_(summed(torch.zeros_like(self.sums).index_add_(0, codes, z)) / n, 1 - self.decay)


class FiniteScalarQuantizer(Quantizer):
    r"""Each channel rounded to one of L_c values evenly spaced in [−1, 1]; a code is the tuple of all channels' levels.

    .. math:: q_c = \mathrm{round}(b(z_c)) / \lfloor L_c / 2 \rfloor, \quad
              b(z) = h \tanh(z + \operatorname{artanh}(s / h)) - s, \quad h = (L_c - 1)(1 + \epsilon) / 2

    with s = 1/2 for an even number of levels, else 0: b rounds to exactly L_c integers and b(0) = 0. No table, no loss
    term. Codes number the tuples with the first channel running fastest.

    References: Finite Scalar Quantization: VQ-VAE Made Simple (Mentzer et al. 2023, 2309.15505).

    Arguments:
        levels: L_1, …, L_C.

    Raises:
        ConfigError: no levels, or more than 65,536 codes.
    """

    levels: Tensor
    strides: Tensor

    def __init__(self, levels: Levels = (5, 4, 3)) -> None:
        super().__init__()
        self.channels, self.num_codes = len(levels), prod(levels)
        if not 1 < self.num_codes <= MOST:
            raise ConfigError(f"model.quantizer.levels={list(levels)}: makes {self.num_codes} codes, not 2 … {MOST}")
        self.register_buffer("levels", torch.tensor(levels), persistent=False)
        self.register_buffer("strides", torch.tensor([1, *accumulate(levels[:-1], lambda a, b: a * b)]), False)

    def bound(self, z: Tensor) -> Tensor:
        """Features (B, C, T) to numbers that round to −⌊L/2⌋ … ⌈L/2⌉ − 1."""
        levels = self.levels[:, None]
        half_range = (levels - 1) * (1 + 1e-3) / 2
        offset = torch.where(levels % 2 == 0, 0.5, 0.0)
        return half_range * torch.tanh(z + torch.atanh(offset / half_range)) - offset

    def forward(self, z: Tensor) -> Quantized:
        half = (self.levels // 2)[:, None]
        bounded = self.bound(z.flatten(2))
        rounded = bounded.round()
        codes = ((rounded.long() + half) * self.strides[:, None]).sum(1)
        values = straight_through(bounded, rounded) / half
        return Quantized(values.view_as(z), codes, {})

    def decode_codes(self, codes: Tensor) -> Tensor:
        half = (self.levels // 2)[:, None]
        digits = (codes[:, None] // self.strides[:, None]) % self.levels[:, None]
        return (digits - half) / half
