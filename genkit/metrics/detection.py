r"""Detection: can gradient-boosted trees tell generated rows from real ones?

The classifier two-sample test (Lopez-Paz & Oquab 2017) with a learner that is good at tables: equal numbers of
held-out and of generated rows, cross-validated, scored by the area under the ROC curve. 0.5 is best and 1 worst; an
area below a half tells as much as one above, so max(a, 1 − a) is given. Every column counts, and every way in which
columns belong together; one wrong decimal in each row is enough to tell all of them.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from genkit.component import NonNegativeInt, Range
from genkit.metrics.boosted_trees import auc, boosted_classifier
from genkit.metrics.table_metric import TableMetric
from genkit.noise import generator_of


class Detection(TableMetric):
    """Cross-validated area under the ROC curve of boosted trees that tell generated rows from held-out ones.

    References:
        Revisiting Classifier Two-Sample Tests (Lopez-Paz & Oquab, 2017), 1610.06545.

    Args:
        folds: Of the cross-validation.
        seed: Of the folds.
    """

    least: ClassVar[int] = 60  # with fewer the trees, whose leaves hold 20 rows, can tell nothing

    def __init__(self, folds: Annotated[int, Range(2, 20)] = 3, seed: NonNegativeInt = 0) -> None:
        super().__init__()
        self.folds, self.seed = folds, seed

    def compute(self) -> Tensor:
        """() in [0.5, 1]. Raises as `rows`."""
        area = self.once(self._area)
        return torch.tensor(max(area, 1.0 - area), dtype=torch.float64)

    def params(self) -> dict[str, Any]:
        return {"classifier": "boosted trees", "folds": self.folds, "seed": self.seed}

    def findings(self) -> dict[str, Any]:
        return {"rows": 2 * min(map(len, self.rows()))}

    def _area(self, real: Tensor, fake: Tensor) -> float:
        n = min(len(real), len(fake))
        x = self.cells(torch.cat([self._drawn(real, "real", n), self._drawn(fake, "fake", n)]))
        y = np.arange(2 * n) // n
        fold = np.arange(2 * n) % n % self.folds
        return float(np.mean([self._told(x, y, fold == held) for held in range(self.folds)]))

    def _told(self, x: Any, y: Any, held: Any) -> float:
        columns = list(self.table.columns)
        model = boosted_classifier(columns, x, self.seed).fit(x[~held], y[~held])
        return auc(model.predict_proba(x[held])[:, 1], y[held])

    def _drawn(self, rows: Tensor, side: str, n: int) -> Tensor:
        return rows[torch.randperm(len(rows), generator=generator_of(self.seed, "two sample", side))][:n]
