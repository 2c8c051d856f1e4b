r"""Bits-back coding of examples x by a model with a latent z: about −ELBO bits each, and exactly x again.

No bits are spent on which z the encoder chose. It pops z from the stack by q(z | x), which takes −log q(z | x) bits off
what was written before, and pushes x by p(x | z) and z by p(z):

.. math:: -\log p(x \mid z) - \log p(z) + \log q(z \mid x), \qquad \text{on average over } z \sim q: \; -\mathrm{ELBO}.

The decoder pops z and x, and knowing x pushes z by q(z | x), which brings back the bits that the encoder took. So
examples come back last first. The first one has nothing to take bits from: these *initial bits* are drawn at random
and are part of the file, which they make larger once, whatever the number of examples.

**Discretised latents.** Each of the D values of z is one of 4,096 bins that have the same mass under p(z) = N(0, 1),
and p(x | z) is asked at their medians. So pushing z costs 12 bits a value exactly, and a posterior of deviation 0.1
still has a hundred bins or more.

References: Hinton & van Camp 1993; Townsend, Bird & Barber 2019, 1901.04866 (BB-ANS).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from statistics import NormalDist

import numpy as np

from genkit.coding.ans import ANSStack, random_words
from genkit.coding.frequencies import PRECISION, TOTAL, Floats, Integers, cumulative_frequencies

BITS = 12
BINS = 2**BITS
EACH = TOTAL // BINS  # frequency of a bin under the prior
MEAN_STEPS, DEVIATION_STEPS = 4096, 256  # of a posterior's mean and log-deviation, rounded as scores are
BOTTOM = b"\x80" + bytes(11)  # a stack that holds nothing

Posterior = Callable[[Integers], tuple[Floats, Floats]]  # symbols (K,) of x to mean and log σ of q(z | x), (D,) each
Scores = Callable[[Floats], Floats]  # z (D,) to the scores (K, V) of the symbols of x


@cache
def edges() -> tuple[float, ...]:
    """The 4,097 ends of bins of equal mass of a standard normal, from −∞ to ∞."""
    inverse = NormalDist().inv_cdf
    return (-math.inf, *(inverse(k / BINS) for k in range(1, BINS)), math.inf)


@cache
def medians() -> Floats:
    """The medians (4096,) of these bins."""
    inverse = NormalDist().inv_cdf
    return np.array([inverse((k + 0.5) / BINS) for k in range(BINS)])


def posterior_frequencies(mean: float, log_std: float) -> Callable[[int], int]:
    """The cumulative frequency C_k of the bins under N(mean, exp(log_std)²), a function of k = 0 … 4096."""
    mean = round(mean * MEAN_STEPS) / MEAN_STEPS
    scale = -1 / (math.exp(round(log_std * DEVIATION_STEPS) / DEVIATION_STEPS) * math.sqrt(2))
    ends, erfc, floor, half = edges(), math.erfc, math.floor, (TOTAL - BINS) / 2

    def cumulative(k: int) -> int:
        return floor(half * erfc((ends[k] - mean) * scale)) + k

    return cumulative


def start(seed: int) -> ANSStack:
    """An empty stack that draws its initial bits from a seed."""
    return ANSStack(BOTTOM, random_words(seed))


def is_start(stack: ANSStack, seed: int) -> bool:
    """Tell whether all was popped that was pushed since `start`, so that the initial bits alone are left."""
    fresh = start(seed)
    while len(fresh.words) < len(stack.words):
        fresh.words.insert(0, next(fresh.supply or iter(())))
    return stack.state == fresh.state and stack.words == fresh.words


def push_example(stack: ANSStack, x: Integers, posterior: Posterior, scores: Scores) -> None:
    """Put an example on the stack.

    Args:
        stack: Of the examples before it.
        x: Its symbols, (K,).
        posterior, scores: The model.
    """
    bins = [stack.pop_by(cumulative, BINS) for cumulative in _frequencies(posterior(x))]
    stack.push(cumulative_frequencies(scores(medians()[bins])), x)
    for number in bins:
        stack.push_span(EACH * number, EACH)


def pop_example(stack: ANSStack, posterior: Posterior, scores: Scores, dim: int) -> Integers:
    """Take the last example (K,) off the stack, and give back the bits that it was given; D = `dim`."""
    bins = [stack.pop_by(_prior, BINS) for _ in range(dim)][::-1]
    x = stack.pop(cumulative_frequencies(scores(medians()[bins])))
    for number, cumulative in reversed(list(zip(bins, _frequencies(posterior(x)), strict=True))):
        first = cumulative(number)
        stack.push_span(first, cumulative(number + 1) - first)
    return x


def _prior(k: int) -> int:
    return k << (PRECISION - BITS)


def _frequencies(moments: tuple[Floats, Floats]) -> list[Callable[[int], int]]:
    means, log_stds = moments
    return [posterior_frequencies(m, s) for m, s in zip(means.tolist(), log_stds.tolist(), strict=True)]
