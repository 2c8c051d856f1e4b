r"""The abilities that an entropy coder asks of a model: probabilities of the symbols of an example, one by one.

Two abilities, for two ways of coding:

* `Codes`: P(x) = ∏ P(s_k | s_<k) over symbols that tell x, each conditional at hand when the ones before it are known.
  A range coder spends −log₂ P(x) bits. The model walks through its symbols once, in `code`, and asks for each; encoder
  and decoder differ in who answers alone, so that both evaluate the same networks on the same batches.
* `CodesLatent`: a latent with a normal posterior, and symbols that are independent given the latent, coded by
  bits-back at the price of the evidence lower bound.

A class that has an ability may have instances that cannot use it, such as one of continuous data; they say why.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from genkit.data.kinds import Quantised
from genkit.data.spec import DataSpec
from genkit.models.likelihood import Likelihood

# scores (n, V) of a symbol, and which of the n examples have one (n,) -> the symbols (n,); any number where none is
NextSymbol = Callable[[Tensor, Tensor], Tensor]


class Codes(ABC):
    """Ability: the sequential conditionals of the symbols of an example."""

    def uncodable(self) -> str | None:
        """Reason that this instance cannot code its data, None where it can."""
        return None

    @abstractmethod
    def symbols_of(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Model values (B, *shape) to all symbols (B, K) int64 in the order of `code`; −1 where an example has none."""

    @abstractmethod
    def code(self, n: int, y: Tensor | None, next_symbol: NextSymbol) -> Tensor:
        """Ask for all symbols of n examples with labels y (n,), in K calls; returns the model values (n, *shape)."""


class CodesLatent(ABC):
    """Ability: a normal posterior q(z | x), a standard normal prior, and symbols that are independent given z.

    Attributes:
        latent_dim: D.
    """

    latent_dim: int

    def uncodable(self) -> str | None:
        """Reason that this instance cannot code its data, None where it can."""
        return None

    @abstractmethod
    def coded_posterior(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Model values (B, *shape) to mean and log-deviation of q(z | x), (B, D) each."""

    @abstractmethod
    def coded_scores(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Latents (B, D) to the log-probability (B, K, levels) of every level of each of the K values."""


def level_scores(likelihood: Likelihood, out: Tensor) -> Tensor:
    """log-probabilities of every level of each value: a decoder's output (B, *shape) to (B, K, levels)."""
    spec = likelihood.spec
    centres = spec.scale(torch.arange(spec.levels or 0, device=out.device)).to(out)
    each = likelihood.log_density(centres.view(-1, *(1,) * out.ndim), out[None].expand(len(centres), *out.shape))
    return each.flatten(2).permute(1, 2, 0) + math.log(spec.bin_width)


def without_levels(spec: DataSpec, likelihood: Likelihood) -> str | None:
    """Reason that a likelihood gives no level of the data a mass, None where it gives each one."""
    if isinstance(spec.kind, Quantised) and likelihood.dequantisation == "none":
        return None
    return "its likelihood gives no value of the data a probability: it takes data with levels"


def values_of_symbols(symbols: Tensor, spec: DataSpec) -> Tensor:
    """Levels (B, K) of every value to model values (B, *shape)."""
    return spec.scale(symbols.unflatten(1, spec.shape))
