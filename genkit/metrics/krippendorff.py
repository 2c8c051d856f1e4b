r"""Krippendorff's α of nominal answers: agreement beyond chance, with any number of raters and missing answers.

A unit that m ≥ 2 raters answered adds, for each ordered pair of its answers, 1/(m − 1) to the coincidences o_ck; with
n_c = Σ_k o_ck and n = Σ_c n_c,

.. math:: \alpha = 1 - \frac{D_o}{D_e} = 1 - (n - 1)\,\frac{n - \sum_c o_{cc}}{n^2 - \sum_c n_c^2}.

1 where all agree, about 0 where answers are drawn at random, below 0 where raters contradict each other (Krippendorff
2011, Computing Krippendorff's Alpha-Reliability). Raw agreement would be high wherever one answer is frequent.
"""

from __future__ import annotations

import torch
from torch import Tensor

from genkit.errors import DataError


def nominal_alpha(counts: Tensor) -> float:
    """α from how often each unit was given each answer.

    Args:
        counts: (U, C): units by values; a unit with fewer than two answers says nothing.

    Returns:
        α ≤ 1; NaN where all answers are the same one, since nothing could have disagreed.

    Raises:
        DataError: no unit has two answers.
    """
    counts = counts.to(torch.float64)
    counts = counts[counts.sum(1) > 1]
    if not len(counts):
        raise DataError("Krippendorff's α: nothing was answered by two raters")
    m = counts.sum(1, keepdim=True)
    agreed = float((counts * (counts - 1) / (m - 1)).sum())
    of_value = counts.sum(0)
    n = float(of_value.sum())
    expected = n * n - float(of_value.square().sum())
    return float("nan") if expected == 0 else 1 - (n - 1) * (n - agreed) / expected
