r"""Column shapes: how well each column's own distribution is met, whatever the others do.

.. math:: \frac1C \sum_c 1 - d_c, \qquad d_c = \sup_v |F(v) - G(v)| \text{ for numbers}, \quad
          d_c = \tfrac12 \sum_k |p_k - q_k| \text{ for categories}

the distance of Kolmogorov and Smirnov, and the total variation. A missing cell is a category of its own, and below all
numbers. Values drawn column by column from the training rows reach real data here, and so do its copies: shapes say
nothing of how columns belong together (`pair_trends`) nor of novelty (`privacy`).
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from genkit.metrics.table_metric import Cells, TableMetric, named

LISTED = 20  # columns among the findings, the worst ones


class ColumnShapes(TableMetric):
    """One minus the distance of each column's distributions, averaged over the columns.

    References:
        The Synthetic Data Vault (Patki et al. 2016): complements of both distances.
    """

    higher_is_better: ClassVar[bool] = True  # type: ignore[misc]

    def compute(self) -> Tensor:
        """() in [0, 1]."""
        return torch.tensor(self._scores().mean())

    def findings(self) -> dict[str, Any]:
        """The worst columns and their scores."""
        scores = self._scores()
        return {"worst": {self.table.names[i]: float(scores[i]) for i in np.argsort(scores, kind="stable")[:LISTED]}}

    def _scores(self) -> Cells:
        return self.once(self._compared)

    def _compared(self, real: Tensor, fake: Tensor) -> Cells:
        x, y = self.cells(real), self.cells(fake)
        measures = [total_variation if named(column) else kolmogorov_smirnov for column in self.table.columns]
        return np.array([1.0 - measure(x[:, i], y[:, i]) for i, measure in enumerate(measures)])


def total_variation(real: Cells, fake: Cells) -> float:
    """½ Σ |p − q| over the values of cells (n,) and (m,), missing ones among them."""
    values, place = np.unique(np.concatenate([real, fake]), return_inverse=True)
    p, q = (np.bincount(part, minlength=len(values)) / len(part) for part in np.split(place, [len(real)]))
    return float(np.abs(p - q).sum()) / 2


def kolmogorov_smirnov(real: Cells, fake: Cells) -> float:
    """sup |F − G| of cells (n,) and (m,), missing ones below all others."""
    x, y = (np.sort(np.nan_to_num(cells, nan=-np.inf)) for cells in (real, fake))
    at = np.concatenate([x, y])
    return float(
        np.abs(np.searchsorted(x, at, side="right") / len(x) - np.searchsorted(y, at, side="right") / len(y)).max()
    )
