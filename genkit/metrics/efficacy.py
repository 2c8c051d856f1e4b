r"""Efficacy: is a model that was trained on generated rows any good on real ones?

Gradient-boosted trees learn to predict the table's target (`data.target=`, else its last column) from the others, on
the generated rows, and are asked about the held-out ones. Of categories the score is the area under the ROC curve, the
mean over the levels, each against all others; of numbers it is R² = 1 − Σ(v − v̂)² / Σ(v − v̄)². The floor is the same
with as many training rows in place of the generated ones. The trees are few and small, as they predict better that way
from a few hundred rows of which much is noise.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from genkit.component import NonNegativeInt
from genkit.errors import ConfigError
from genkit.metrics.boosted_trees import SMALL, auc, boosted_classifier, boosted_regressor
from genkit.metrics.table_metric import Cells, TableMetric, named


class Efficacy(TableMetric):
    """The score on real rows of boosted trees that have learned from generated ones.

    References:
        Train on synthetic, test on real: Real-valued (medical) time series generation (Esteban et al. 2017,
        1706.02633).

    Args:
        seed: Of the trees.
    """

    higher_is_better: ClassVar[bool] = True  # type: ignore[misc]

    def __init__(self, seed: NonNegativeInt = 0) -> None:
        super().__init__()
        self.seed = seed

    def compute(self) -> Tensor:
        """(). Raises ConfigError where there is nothing to predict, or nothing to predict it from."""
        return torch.tensor(self.once(self._learned), dtype=torch.float64)

    def params(self) -> dict[str, Any]:
        return {"learner": "boosted trees", "trees": SMALL.trees, "leaves": SMALL.leaves, "seed": self.seed}

    def findings(self) -> dict[str, Any]:
        target = self.table.columns[self.table.predicted]
        return {"target": target.name, "score": "auc" if named(target) else "r2"}

    def _learned(self, real: Tensor, fake: Tensor) -> float:
        target = self.table.predicted
        others = [i for i in range(len(self.table.columns)) if i != target]
        if not others:
            raise ConfigError("efficacy needs a column beside the one that is predicted")
        (x, y), (known, told) = (self._parted(self.cells(rows), target, others) for rows in (fake, real))
        columns = [self.table.columns[i] for i in others]
        name = self.table.columns[target].name
        if named(self.table.columns[target]):
            return _area(columns, x, y, known, told, self.seed, name)
        return _explained(columns, x, y, known, told, self.seed, name)

    @staticmethod
    def _parted(cells: Cells, target: int, others: list[int]) -> tuple[Cells, Cells]:
        """The known cells and the predicted one of rows whose target is not missing."""
        there = ~np.isnan(cells[:, target])
        return cells[there][:, others], cells[there, target]


def _area(columns: list[Any], x: Cells, y: Cells, known: Cells, told: Cells, seed: int, name: str) -> float:
    levels = [level for level in np.unique(told) if (told != level).any()]
    if not levels:
        raise ConfigError(f"efficacy: the held-out rows have one level of {name} alone: there is nothing to predict")
    if len(np.unique(y)) < 2:
        return 0.5  # who has seen one level alone can tell nothing
    model = boosted_classifier(columns, np.concatenate([x, known]), seed, SMALL).fit(x, y)
    probability = dict(zip(model.classes_, model.predict_proba(known).T, strict=True))
    nothing = np.zeros(len(told))
    areas = {level: auc(probability.get(level, nothing), told == level) for level in levels}
    return float(np.mean(list(areas.values())))


def _explained(columns: list[Any], x: Cells, y: Cells, known: Cells, told: Cells, seed: int, name: str) -> float:
    if len(np.unique(told)) < 2:
        raise ConfigError(f"efficacy: the held-out rows have one value of {name} alone: there is nothing to predict")
    if len(y) < 2:
        raise ConfigError(f"efficacy: no samples have a value of {name}")
    predicted = boosted_regressor(columns, np.concatenate([x, known]), seed, SMALL).fit(x, y).predict(known)
    return 1.0 - float(np.square(told - predicted).sum() / np.square(told - told.mean()).sum())
