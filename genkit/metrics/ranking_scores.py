r"""The separation of two sets by a score: area under the ROC curve, average precision, and their bootstrap intervals.

With scores s of *negatives* (normal examples) and *positives* (what should be found, scores meant to be high),

.. math:: \mathrm{AUROC} = P(s^+ > s^-) + \tfrac12 P(s^+ = s^-), \qquad
          \mathrm{AP} = \sum_k (R_k - R_{k-1}) P_k,

with recall R_k and precision P_k where the threshold is the k-th largest distinct score (Hanley & McNeil 1982; Davis &
Goadrich 2006). A score that knows nothing has an AUROC of 1/2 and an average precision of the share of positives. An
AUROC below 1/2 ranks positives as more normal than normal ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genkit.errors import DataError, NumericalError
from genkit.noise import seed_of

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
COVERED = (2.5, 97.5)  # percentiles


@dataclass(frozen=True)
class Separation:
    """The separation of positives from negatives.

    Attributes:
        auroc, average_precision: The values.
        auroc_ci95, average_precision_ci95: Percentiles of the bootstrap; None without one.
    """

    auroc: float
    average_precision: float
    auroc_ci95: tuple[float, float] | None
    average_precision_ci95: tuple[float, float] | None


def auroc(negatives: Floats, positives: Floats) -> float:
    """P(a positive scores above a negative), ties counted half; scores (n,) and (m,), neither empty."""
    return _auroc(*_by_threshold(negatives, positives))


def average_precision(negatives: Floats, positives: Floats) -> float:
    """Mean precision over the recall of positives, by steps; scores (n,) and (m,), neither empty."""
    return _average_precision(*_by_threshold(negatives, positives))


def separation(negatives: Floats, positives: Floats, *, resamples: int = 200, seed: int = 0) -> Separation:
    """Both scores with their intervals, of draws of n negatives and m positives with replacement.

    Args:
        negatives, positives: (n,) and (m,).
        resamples: Of the bootstrap; 0: no intervals.
        seed: Of the bootstrap.

    Raises:
        DataError: a set is empty.
        NumericalError: a score is NaN.
    """
    below, above = _by_threshold(negatives, positives)
    draw = np.random.default_rng(seed_of(seed, "separation", len(negatives), len(positives)))
    found = [(_auroc(below, above), _average_precision(below, above))]
    for _ in range(resamples):
        n, m = (draw.multinomial(side.sum(), side / side.sum()) for side in (below, above))
        found.append((_auroc(n, m), _average_precision(n, m)))
    values = np.array(found)
    ends = None if not resamples else np.percentile(values[1:], COVERED, axis=0)
    intervals = [None, None] if ends is None else [(float(ends[0, k]), float(ends[1, k])) for k in (0, 1)]
    return Separation(float(values[0, 0]), float(values[0, 1]), intervals[0], intervals[1])


def _by_threshold(negatives: Floats, positives: Floats) -> tuple[Counts, Counts]:
    """Numbers of negatives and of positives at each distinct score, largest first."""
    if not len(negatives) or not len(positives):
        raise DataError("two sets are told apart where both have examples: one of them is empty")
    scores = np.concatenate((negatives, positives)).astype(np.float64)
    if np.isnan(scores).any():
        raise NumericalError("a score is not a number: nothing can be ranked by it")
    distinct, place = np.unique(-scores, return_inverse=True)
    sides = place[: len(negatives)], place[len(negatives) :]
    below, above = (np.bincount(side, minlength=len(distinct)).astype(np.int64) for side in sides)
    return below, above


def _auroc(negatives: Counts, positives: Counts) -> float:
    later = negatives.sum() - negatives.cumsum()  # negatives with a smaller score
    return float((positives * (later + 0.5 * negatives)).sum() / (negatives.sum() * positives.sum()))


def _average_precision(negatives: Counts, positives: Counts) -> float:
    hits, found = positives.cumsum(), (positives + negatives).cumsum()
    precision = hits / np.maximum(found, 1)  # a resample may leave the first thresholds empty
    return float((positives * precision).sum() / positives.sum())
