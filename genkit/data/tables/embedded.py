"""The tables that scikit-learn carries, as texts: no download."""

from __future__ import annotations

from functools import cache
from typing import Literal

import numpy as np

from genkit.data.tables.text_table import TextColumn, TextTable

EmbeddedTable = Literal["wine", "breast_cancer"]
CLASS = "class"  # the last column


@cache
def embedded_table(name: EmbeddedTable) -> TextTable:
    """The table of this name: its measurements, and the name of the class."""
    from sklearn.datasets import load_breast_cancer, load_wine

    bunch = {"wine": load_wine, "breast_cancer": load_breast_cancer}[name]()
    names = [str(feature).replace(" ", "_") for feature in bunch.feature_names]
    columns = [
        _column(name, [repr(float(v)) for v in values]) for name, values in zip(names, bunch.data.T, strict=True)
    ]
    classes = _column(CLASS, [str(bunch.target_names[label]) for label in bunch.target])
    return TextTable((*columns, classes), name)


def _column(name: str, cells: list[str]) -> TextColumn:
    texts, codes = np.unique(cells, return_inverse=True)
    return TextColumn(name, tuple(map(str, texts)), codes.astype(np.int64))
