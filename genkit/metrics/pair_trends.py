r"""Pair trends: how well the joint distribution of every two columns is met.

.. math:: \frac{2}{C(C-1)} \sum_{a < b} 1 - \tfrac12 \sum_{i, j} |p_{ij} - q_{ij}|

over the contingency tables of columns a and b. Categories are cells of their own, numbers fall into at most ten bins
between quantiles of the held-out rows, and missing cells are one more. One rule for all kinds of pairs; correlations
alone would miss what is not monotone.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from genkit.errors import ConfigError
from genkit.metrics.table_metric import Cells, TableMetric, named

BINS = 10
LISTED = 20  # pairs among the findings, the worst ones


class PairTrends(TableMetric):
    """One minus the total variation of every two columns' contingency tables, averaged over the pairs.

    References:
        The Synthetic Data Vault (Patki et al. 2016): the similarity of contingency tables.
    """

    higher_is_better: ClassVar[bool] = True  # type: ignore[misc]

    def compute(self) -> Tensor:
        """() in [0, 1]. Raises ConfigError for a table of one column."""
        scores, pairs = self._scores()
        return torch.tensor(scores[pairs].mean())

    def findings(self) -> dict[str, Any]:
        """The worst pairs and their scores."""
        scores, pairs = self._scores()
        names, order = self.table.names, np.argsort(scores[pairs], kind="stable")[:LISTED]
        chosen = [(int(pairs[0][i]), int(pairs[1][i])) for i in order]
        return {"worst": [[names[a], names[b], float(scores[a, b])] for a, b in chosen]}

    def _scores(self) -> tuple[Cells, tuple[Any, Any]]:
        if len(self.table.columns) < 2:
            raise ConfigError("pair_trends needs two columns, the table has one")
        return self.once(self._compared), np.triu_indices(len(self.table.columns), 1)

    def _compared(self, real: Tensor, fake: Tensor) -> Cells:
        """(C, C)."""
        x, y = self.cells(real), self.cells(fake)
        placed = [binned(x[:, i], y[:, i], named(column)) for i, column in enumerate(self.table.columns)]
        ends = np.cumsum([0, *(count for _, _, count in placed)])
        p, q = (_indicators([each[side] for each in placed], ends) for side in (0, 1))
        out = np.empty((len(placed), len(placed)))
        for i, (low, high) in enumerate(pairwise(ends)):
            difference = np.abs(p[:, low:high].T @ p / len(p) - q[:, low:high].T @ q / len(q))
            out[i] = 1.0 - np.add.reduceat(difference.sum(0), ends[:-1]) / 2
        return out


def binned(real: Cells, fake: Cells, categories: bool) -> tuple[Any, Any, int]:
    """The bins of cells (n,) and (m,), and how many there are."""
    both = np.concatenate([real, fake])
    if not categories:
        present = real[~np.isnan(real)]
        edges = np.unique(np.quantile(present, np.linspace(0, 1, BINS + 1)[1:-1])) if len(present) else np.empty(0)
        both = np.where(np.isnan(both), np.nan, np.searchsorted(edges, both))
    values, place = np.unique(both, return_inverse=True)
    return place[: len(real)], place[len(real) :], len(values)


def _indicators(places: list[Any], ends: Any) -> Cells:
    """(n, bins of all columns): 1 where a row is in a bin."""
    out = np.zeros((len(places[0]), int(ends[-1])))
    for place, low in zip(places, ends[:-1], strict=True):
        out[np.arange(len(place)), place + low] = 1.0
    return out
