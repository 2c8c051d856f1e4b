r"""Scores of symbols to the integer frequencies that entropy coders share out their range by.

Encoder and decoder must agree on every frequency to the last unit: one that differs destroys all that follows. So
both call one function, and it takes two precautions. Scores are rounded to multiples of 1/256 nats before anything is
computed from them. A network evaluated in float64 with another batch size or number of threads differs by some 1e-14,
which moves a rounded score with a chance of about 1e-12. And the cumulative frequencies, not the frequencies, are
rounded:

.. math:: C_k = \lfloor F_k (2^{24} - V) \rfloor + k, \qquad F_k = \sum_{j<k} p_j,

so that the sum is exactly 2²⁴, and each of the V symbols has a frequency :math:`C_{k+1} - C_k \ge \lfloor p_k (2^{24} -
V) \rfloor + 1 > p_k (2^{24} - V)`.

**What both cost.** Frequencies: at most :math:`-\log_2(1 - V 2^{-24}) \approx 1.44\, V\, 2^{-24}` bits a symbol,
whatever its probability. Rounded scores: errors d, uniform within ± 1/512, cost Var(d) / 2 = 6.4e-7 nats a symbol at
most, on average over symbols drawn from p.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from genkit.errors import NumericalError

PRECISION = 24  # bits
TOTAL = 2**PRECISION
STEPS = 256  # of a score, in a nat

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def cumulative_frequencies(scores: Floats) -> Integers:
    """Scores (n, V), log-probabilities up to a constant, to cumulative frequencies (n, V + 1) from 0 to 2²⁴.

    Symbol k of a row has the frequency C[k + 1] − C[k], which is 1 or more; −∞ is the score of what never occurs.

    Args:
        scores: 1 ≤ V ≤ 2²².

    Raises:
        NumericalError: a row holds NaN or +∞, or −∞ alone.
    """
    n, count = scores.shape
    if not 1 <= count <= TOTAL // 4:
        raise ValueError(f"{count} symbols: an alphabet has 1 … {TOTAL // 4:,}")
    highest = scores.max(1, initial=-np.inf)
    if not np.isfinite(highest).all():
        raise NumericalError("a model's scores are not finite: nothing can be coded with it")
    rounded = np.rint(scores * STEPS)
    mass = np.exp((rounded - rounded.max(1, keepdims=True)) / STEPS)
    below = mass.cumsum(1)
    share = below[:, :-1] / below[:, -1:]
    table = np.zeros((n, count + 1), dtype=np.int64)
    table[:, 1:-1] = np.floor(share * (TOTAL - count)).astype(np.int64) + np.arange(1, count)
    table[:, -1] = TOTAL
    return table


def spans(table: Integers, symbols: Integers) -> tuple[list[int], list[int]]:
    """First number and frequency of each row's symbol, symbols (n,) of cumulative frequencies (n, V + 1).

    Raises ValueError for a symbol that is none of the alphabet.
    """
    if len(symbols) and not 0 <= symbols.min() <= symbols.max() < table.shape[1] - 1:
        raise ValueError(f"symbols in {symbols.min()} … {symbols.max()} of an alphabet of {table.shape[1] - 1}")
    rows = np.arange(len(symbols))
    first, end = table[rows, symbols], table[rows, symbols + 1]
    return first.tolist(), (end - first).tolist()
