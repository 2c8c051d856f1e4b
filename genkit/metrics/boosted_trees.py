"""Gradient-boosted trees on the cells of a table (scikit-learn's histogram trees, after LightGBM).

They take numbers, categories and missing cells as they are and see interactions of columns: what a tabular task is
learned with in practice. Ke et al. 2017, LightGBM.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from genkit.data.tables.table_spec import Column
from genkit.metrics.table_metric import Cells, named

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

MOST_CATEGORIES = 255  # that the trees take; more are read as numbers


@dataclass(frozen=True)
class Growth:
    """Number and size of the trees.

    Attributes:
        trees: One after the other.
        leaves: Of each, at most.
        shrinkage: Added to a leaf's rows, which pulls its value to 0.
    """

    trees: int = 100
    leaves: int = 31
    shrinkage: float = 0.0


LARGE = Growth()  # finds small differences, and learns noise too
SMALL = Growth(50, 8, 1.0)  # predicts better from a few hundred rows


def boosted_classifier(
    columns: list[Column], x: Cells, seed: int, growth: Growth = LARGE
) -> HistGradientBoostingClassifier:
    """A classifier of rows x of these columns, not yet fitted."""
    from sklearn.ensemble import HistGradientBoostingClassifier  # takes half a second to import

    return HistGradientBoostingClassifier(
        categorical_features=_categories(columns, x),
        early_stopping=False,
        random_state=seed,
        max_iter=growth.trees,
        max_leaf_nodes=growth.leaves,
        l2_regularization=growth.shrinkage,
    )


def boosted_regressor(
    columns: list[Column], x: Cells, seed: int, growth: Growth = LARGE
) -> HistGradientBoostingRegressor:
    """A regression on rows x of these columns, not yet fitted."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(
        categorical_features=_categories(columns, x),
        early_stopping=False,
        random_state=seed,
        max_iter=growth.trees,
        max_leaf_nodes=growth.leaves,
        l2_regularization=growth.shrinkage,
    )


def auc(scores: Cells, positive: Cells) -> float:
    """P(score of a positive row > that of a negative one), ties half: the area under the ROC curve.

    Both classes must occur.
    """
    from scipy.stats import rankdata  # as above

    ranks, n = rankdata(scores), int(positive.sum())
    m = len(positive) - n
    return float((ranks[positive.astype(bool)].sum() - n * (n + 1) / 2) / (n * m))


def _categories(columns: list[Column], x: Cells) -> list[bool]:
    return [
        named(column) and float(np.nanmax(x[:, i], initial=0)) < MOST_CATEGORIES for i, column in enumerate(columns)
    ]
