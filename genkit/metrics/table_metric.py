"""The part that metrics of tables share: real and generated rows as cells, column by column."""

from __future__ import annotations

from abc import ABC
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from genkit.data.kinds import Modality, ValueKind
from genkit.data.tables.forms import LevelForm
from genkit.data.tables.kind import Tabular
from genkit.data.tables.table_spec import Column, TableSpec
from genkit.errors import ConfigError
from genkit.metrics.base import Probe
from genkit.metrics.pair_metric import PairMetric

Cells = NDArray[np.float64]


class TableMetric(PairMetric, ABC):
    """A metric of the rows of a table, real and generated.

    Rows are kept as vectors and decoded where cells are asked for.
    """

    sources: ClassVar[tuple[str, str]] = ("real", "fake")
    modalities: ClassVar[tuple[Modality, ...]] = ("vector",)
    kinds: ClassVar[tuple[type[ValueKind], ...]] = (Tabular,)
    uses_features: ClassVar[bool] = False
    divergence: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()
        self._kind: Tabular | None = None

    def update(self, probe: Probe) -> None:
        """Keep the rows of one batch, of the sides that it has, and what they mean."""
        assert isinstance(probe.spec.kind, Tabular)
        self._kind = probe.spec.kind
        super().update(probe)

    @property
    def kind(self) -> Tabular:
        """The kind of the values. Raises ConfigError before anything was seen."""
        if self._kind is None:
            raise ConfigError(f"{type(self).__name__} has seen no rows of a table")
        return self._kind

    @property
    def table(self) -> TableSpec:
        """The columns."""
        return self.kind.table

    def cells(self, rows: Tensor) -> Cells:
        """(n, columns) of rows (n, D), NaN where a cell is missing."""
        return self.kind.cells(rows)


def named(column: Column) -> bool:
    """Tell whether the cells of a column are names without an order."""
    return column.kind == "categorical" and isinstance(column.form, LevelForm)
