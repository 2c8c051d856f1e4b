r"""Log-likelihoods of stored values, for every model that has one.

A model's density speaks of points x in its own units. Data with levels is stored as integers v, and each of them stands
for a bin of width w around its centre c(v). Three ways lead from the one to the other:

* a continuous density is scored at a point of the bin, u uniform in [0, 1) (Theis et al. 2015, 1511.01844),

  .. math:: \log p(c + w (u - \tfrac12)), \qquad E_u \log p + D \log w \le \log P(v),

* the same with a learned place in the bin ("variational"; Ho et al. 2019, 1902.00275),
* a likelihood over levels has the mass P(v) itself. It is handed the centre, and spread evenly over the bin,
  P(v) / w^D, to stand beside the others.

A density at the centre of a bin is none of these. It reads better than the model is, since nothing keeps a density from
peaking there. So what takes stored values draws the place itself: `nll`, `bits_per_dim`, and the bounds of a latent,
each a function of (seed, number of the example). `genkit eval` reports these very numbers.

Categorical data has no bins: `log_prob` of tokens is their log-mass as it stands, and `nll` nats of the whole example.
Bits per dimension are then bits per token, where every place holds one; of padded sequences, whose length is part of
what is said, a mean over places would say little, and it is refused.
"""

from __future__ import annotations

import functools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

from genkit.data.kinds import PAD, Categorical, Quantised, dtype_name
from genkit.data.spec import DataSpec, batch_words, check_values
from genkit.distributions import bits_per_dim
from genkit.errors import ConfigError, DataError
from genkit.noise import dequantisation_noise

Bound = Literal["exact", "lower", "estimate"]
Dequantisation = Literal["uniform", "variational", "none"]

Question = Callable[[Tensor, Tensor | None], Tensor]  # x (B, *shape), y (B,) or None to the answer about each (B, …)

HANDED = ("log_prob", "importance_log_prob")  # what an x is asked about by
LEAST = 16  # examples asked about at once: a matrix product of fewer rows rounds otherwise


def _handed(own: Callable[..., Tensor]) -> Callable[..., Tensor]:
    @functools.wraps(own)
    def asked(self: Density, x: Tensor, *more: Any, **named: Any) -> Tensor:
        return own(self, self.points(x), *more, **named)

    return asked


class Density(ABC):
    """Ability: a (bound on the) log-density, or log-mass where the data is categorical.

    For quantised data the density is over the dequantised values, so that
    bits/dim = −log_prob / (D ln 2) + log2(levels / (hi − lo)) for every family; a model with a discrete likelihood
    spreads each level's mass evenly over its bin.

    Attributes:
        spec: The data.
        bound: What `log_prob` is.
        dequantisation: Where in its level a value is put: "uniform", "variational" (learned), or "none" for a model
            that gives levels their mass.
        costly: Whether it takes hundreds of evaluations per example, and so is scored only where the metric is named.
    """

    spec: DataSpec
    bound: Bound
    dequantisation: Dequantisation = "uniform"
    costly: bool = False

    def __init_subclass__(cls, **more: Any) -> None:
        """Hand every implementation of a density its x by `points`, so that none has to remember it."""
        super().__init_subclass__(**more)
        for name in HANDED:
            if (own := vars(cls).get(name)) is not None and not getattr(own, "__isabstractmethod__", False):
                setattr(cls, name, _handed(own))

    @abstractmethod
    def log_prob(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """log p(x) in nats, higher is better: (B, *shape) to (B,).

        x are model values. Of data with levels they are points in the bins; `spec.scale(v)` are the bins' centres,
        where a continuous density reads too good: `nll` and `bits_per_dim` take stored values v. A density is
        differentiable in x; a mass is constant in its bin and carries no gradient. Tokens x are int64.

        An implementation is handed x as `points` gives it: checked, and where it gives levels their mass, the centres
        of the bins.
        """

    def nll(self, v: Tensor, y: Tensor | None = None, *, seed: int = 0, first: int = 0) -> Tensor:
        """−log p of stored values in nats, as `genkit eval metric=nll` reports it: (B, *shape) to (B,).

        Args:
            v: Stored values, channels first: integers where the data has levels, else float.
            y: Labels (B,) of a conditional model.
            seed: Of the place in the bin and of what an estimate draws.
            first: Number of the first example; those of a batch are numbered on. Place i is a function of (seed, i).

        Raises:
            DataError: v has another shape, is float where the data has levels, or lies outside of them.
        """
        return -self._of_stored(lambda x, y: self._seeded_log_prob(x, y, seed), v, y, seed, first)

    def bits_per_dim(self, v: Tensor, y: Tensor | None = None, *, seed: int = 0, first: int = 0) -> Tensor:
        """`nll` in bits per dimension of the stored values, float64: as `genkit eval metric=bits_per_dim` reports it.

        Raises:
            DataError: as `nll`.
            ConfigError: the data has no levels.
        """
        return stored_bits(self.nll(v, y, seed=seed, first=first), self.spec)

    def points(self, x: Tensor) -> Tensor:
        """x as an implementation of `log_prob` reads it: the centres of its bins where levels have a mass.

        Raises DataError for integers that are stored values of real or quantised data, and for another shape.
        """
        kind = self.spec.kind
        if kind.model_dtype.is_floating_point and not x.is_floating_point():
            raise DataError(
                f"log_prob takes model values, float, not {dtype_name(x)}: give stored values to nll or bits_per_dim"
            )
        check_values(x, self.spec.shape, "log_prob", kind)
        return kind.centre(x) if self.dequantisation == "none" else x

    def _seeded_log_prob(self, x: Tensor, y: Tensor | None, seed: int) -> Tensor:
        return self.log_prob(x, y)

    def _of_stored(
        self,
        question: Question,
        v: Tensor,
        y: Tensor | None,
        seed: int,
        first: int,
    ) -> Tensor:
        """The answer (B,) about the points that stored values v (B, *shape) are scored at."""
        check_stored(v, self.spec)
        x = model_values(v.cpu(), self.spec)
        if self.spec.kind.spreads and self.dequantisation != "none":
            x = self.spec.dequantise(x, dequantisation_noise(seed, range(first, first + len(v)), self.spec.shape))
        return padded(question, x.to(v.device), None if y is None else y.to(v.device))


class TokenDensity(Density):
    """Ability: log P of each token by itself, given the tokens before it; they add up to log P of the sequence."""

    @abstractmethod
    def token_log_prob(self, tokens: Tensor, y: Tensor | None = None) -> Tensor:
        """log P(x_t | x_<t) of tokens (B, T) int64 in nats, (B, T); 0 of what follows the end of a sequence.

        Args:
            tokens: In the order in which they are drawn; those of a sequence are its model values.
            y: Labels (B,) of a conditional model.
        """


class MonteCarlo(Density):
    """Ability: a log-density that is estimated from random draws, which are a function of (seed, x)."""

    @abstractmethod
    def log_prob(self, x: Tensor, y: Tensor | None = None, *, seed: int = 0) -> Tensor:
        """As `Density.log_prob`; another seed gives another draw, which shows the estimate's error."""

    def _seeded_log_prob(self, x: Tensor, y: Tensor | None, seed: int) -> Tensor:
        return self.log_prob(x, y, seed=seed)


class EncodedBound(Density):
    """Ability: a lower bound on log p(x) by an encoder, which has seen the centres of bins and no points in them."""

    bound: Bound = "lower"

    @abstractmethod
    def encoded_log_prob(self, x: Tensor, centre: Tensor, y: Tensor | None) -> Tensor:
        """The bound at points x by an encoding of `centre`, what is stored of x: (B, *shape) both, to (B,)."""

    def log_prob(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The evidence lower bound in nats."""
        return self.encoded_log_prob(x, self.spec.centre(x), y)


class LatentBound(MonteCarlo):
    """Ability: a lower bound on log p(x) that tightens with the draws of a latent; `log_prob` is the ELBO.

    The encoder has seen the centres of bins and no points in them, so it is handed those.

    Attributes:
        elbo_draws: Draws of the latent for each example of `log_prob`.
    """

    bound: Bound = "lower"
    elbo_draws: int = 1

    @abstractmethod
    def drawn_log_weights(self, x: Tensor, centre: Tensor, y: Tensor | None, k: int, seed: int) -> Tensor:
        """log p(x, z) / q(z | centre) of k draws z ~ q for each example, a function of (seed, its values): (k, B).

        x are points (B, *shape), and `centre` what is stored of them, in model units.
        """

    def log_weights(self, x: Tensor, y: Tensor | None, k: int, seed: int = 0) -> Tensor:
        """log p(x, z) / q(z | x) of k draws of each example (B, *shape), see `log_prob` for x: (k, B)."""
        x = self.points(x)
        return self.drawn_log_weights(x, self.spec.centre(x), y, k, seed)

    def log_prob(self, x: Tensor, y: Tensor | None = None, *, seed: int = 0) -> Tensor:
        """The evidence lower bound in nats, averaged over `elbo_draws` draws."""
        return self.log_weights(x, y, self.elbo_draws, seed).mean(0)

    def importance_log_prob(self, x: Tensor, y: Tensor | None = None, *, k: int, seed: int = 0) -> Tensor:
        """log 1/k Σ p(x, z) / q(z | x) over k draws z ~ q, in nats, a function of (seed, x): (B, *shape) to (B,).

        In expectation it grows with k, from the ELBO (k = 1) towards log p(x).
        """
        return importance_bound(self.log_weights(x, y, k, seed))

    def elbo(self, v: Tensor, y: Tensor | None = None, *, seed: int = 0, first: int = 0) -> Tensor:
        """The ELBO of log P(v) in nats, v stored values: (B, *shape) to (B,), as `nll`; `metric=elbo` is −ELBO."""
        return log_mass(-self.nll(v, y, seed=seed, first=first), self.spec)

    def iwae(self, v: Tensor, y: Tensor | None = None, *, k: int = 64, seed: int = 0, first: int = 0) -> Tensor:
        """The bound on log P(v) by k weighted draws in nats, as `elbo`; `metric=iwae` is its negative."""
        return log_mass(-self.importance_nll(v, y, k=k, seed=seed, first=first), self.spec)

    def importance_nll(self, v: Tensor, y: Tensor | None = None, *, k: int, seed: int = 0, first: int = 0) -> Tensor:
        """`nll` by `importance_log_prob` of k draws instead of `log_prob`."""
        return -self._of_stored(lambda x, y: self.importance_log_prob(x, y, k=k, seed=seed), v, y, seed, first)


def padded(question: Question, x: Tensor, y: Tensor | None) -> Tensor:
    """question(x, y) (B, …), asked about at least `LEAST` examples, so that few are rounded as many."""
    rows = torch.arange(max(len(x), LEAST)).clamp(max=len(x) - 1)  # the last example again and again
    return question(x[rows], None if y is None else y[rows])[: len(x)]


def importance_bound(log_weights: Tensor) -> Tensor:
    """log 1/k Σ w of log-weights (k, B): (B,)."""
    return log_weights.logsumexp(0) - math.log(len(log_weights))


def check_stored(v: Tensor, spec: DataSpec) -> None:
    """Raises DataError where v (B, *shape) are no stored values of such data."""
    if tuple(v.shape[1:]) != spec.shape or not len(v):
        raise DataError(f"stored values of shape {tuple(v.shape)}: this model takes {batch_words(spec.shape)}")
    spec.kind.check_dtype(v)
    if spec.kind.count is not None and bool(spec.kind.invalid(v).any()):
        raise DataError(f"stored values in {int(v.min())} … {int(v.max())}: this data has {spec.kind.words}")


def model_values(v: Tensor, spec: DataSpec) -> Tensor:
    """Stored values (B, *shape) as model values; continuous float64 stays float64 where float32 is what is stored."""
    finer = v.dtype == torch.float64 != spec.kind.stored_dtype
    return spec.kind.coordinates(v) if spec.kind.count is None and finer else spec.scale(v)


def log_mass(log_prob: Tensor, spec: DataSpec) -> Tensor:
    """log-density (B,) of model values to log-probability, or log-density, of the stored values."""
    volume = spec.kind.log_volume
    return log_prob.double() + spec.dim * volume if spec.kind.has_mass or volume else log_prob


def stored_bits(nll: Tensor, spec: DataSpec) -> Tensor:
    """−log-density (B,) in nats to bits per dimension (or token) of the stored values, float64.

    Raises ConfigError for continuous data and for sequences that are padded.
    """
    if not spec.kind.has_mass:
        raise ConfigError("bits per dimension are defined for data with discrete levels alone: use nll")
    if isinstance(spec.kind, Categorical) and PAD in spec.kind.specials:
        raise ConfigError("bits per token are not defined where sequences are padded to one length: use nll")
    if isinstance(spec.kind, Quantised):
        return bits_per_dim(nll.double(), spec.dim, spec.kind.levels, spec.kind.range)
    return nll.double() / (spec.dim * math.log(2))
