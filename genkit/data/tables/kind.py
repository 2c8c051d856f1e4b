"""Values of a table as one more kind of value: real vectors that stand for rows of cells.

What a file holds of a model's output are rows of cells; `to_stored` gives their vectors. So samples are scored as the
table that is written of them, and `dequantise` fills the cells' volumes for a density of points.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from genkit.data.kinds import Drawing, Modality, Real
from genkit.data.tables.codes import Floats, NominalCode, OrderedCode
from genkit.data.tables.table_spec import TableSpec

LEAST = 1e-6  # of a probability, whose standard normal quantile is finite


@dataclass(frozen=True, repr=False)
class Tabular(Real):
    """Vectors that encode the rows of a table.

    Stored values are those of `TableSpec.encode`, float64, so that numbers come back as they were.

    Attributes:
        table: The columns.
    """

    table: TableSpec = field(kw_only=True)

    name: ClassVar[str] = "table"
    stored_dtype: ClassVar[torch.dtype] = torch.float64  # type: ignore[misc]
    spreads: ClassVar[bool] = True
    part: ClassVar[str] = "column"

    @property
    def label_names(self) -> tuple[str, ...]:
        form = self.table.labelling
        return () if form is None else form.texts

    @property
    def label_counts(self) -> tuple[int, ...]:
        code = self.table.columns[self.table.predicted].code
        return code.counts if self.label_names and isinstance(code, NominalCode | OrderedCode) else ()

    def labelled(self, v: Tensor, y: Tensor) -> Tensor:
        """The rows with the labels in the column that is to be predicted."""
        if not self.label_names:
            return v
        own = self.table.slices[self.table.predicted]
        level = y.cpu().to(torch.float64).numpy()
        told = torch.from_numpy(self.table.columns[self.table.predicted].code.encode(level)).to(v)
        return torch.cat([v[:, : own.start], told, v[:, own.stop :]], 1)

    def __repr__(self) -> str:
        return f"a table of {len(self.table.columns):,} columns"

    def cells(self, x: Tensor) -> Floats:
        """Any vectors (n, D) to cells (n, columns), see `TableSpec`."""
        return self.table.decode(x.detach().cpu().to(torch.float64).numpy())

    def vectors(self, cells: Floats) -> Tensor:
        """Cells (n, columns) to stored values (n, D), float64."""
        return torch.from_numpy(self.table.encode(cells))

    def to_stored(self, x: Tensor) -> Tensor:
        """The vectors of the cells that x stand for, float64, on x's device."""
        return self.vectors(self.cells(x)).to(x.device)

    def nearest(self, v: Tensor) -> Tensor:
        return self.to_stored(v)

    def centre(self, x: Tensor) -> Tensor:
        return self.to_stored(x).to(x)

    def coordinates(self, v: Tensor) -> Tensor:
        """One-hot blocks divided by √2, so that two different levels are at distance 1; numbers as they are."""
        return v.to(torch.float64) * self._unit.to(v.device)

    @cached_property
    def _unit(self) -> Tensor:
        unit = torch.ones(self.table.width, dtype=torch.float64)
        for own, block in self.table.blocks:
            if block.kind == "one-hot":
                unit[own] = math.sqrt(0.5)
        return unit

    def squash(self, out: Tensor) -> Tensor:
        """Any numbers (B, D), one-hot blocks by a softmax."""
        parts = [out[:, own].softmax(1) if block.kind == "one-hot" else out[:, own] for own, block in self.table.blocks]
        return torch.cat(parts, 1)

    def dequantise(self, x: Tensor, u: Tensor) -> Tensor:
        """Points that fill the cells' volumes.

        One-hot coordinates move by u − ½ inside cubes of volume 1, in which the largest still tells the level; an
        ordered one moves inside its interval so that it is standard normal given uniform u; one that is switched off
        becomes a standard normal number.
        """
        out, on = x.clone(), torch.ones(len(x), dtype=torch.bool, device=x.device)
        for own, block in self.table.blocks:
            if block.kind == "one-hot":
                out[:, own] = x[:, own] + u[:, own] - 0.5
                on = x[:, own].argmax(1) == 0
                continue
            column, noise = x[:, own.start], u[:, own.start]
            if block.kind == "ordered":
                column = _within(column, noise, block.edges)
            out[:, own.start] = torch.where(on, column, _normal(noise)) if block.switched else column
        return out

    def groups(self, dim: int) -> tuple[int, ...]:
        """The columns."""
        return tuple(column.code.width for column in self.table.columns)

    def drawing(self, modality: Modality) -> Drawing:
        return "table"

    @property
    def words(self) -> str:
        return f"rows of {len(self.table.columns):,} columns"

    @property
    def described(self) -> str:
        return f" encoding {self.words}"

    def to_json(self) -> dict[str, Any]:
        return {"kind": {"name": self.name, "table": self.table.to_json()}}

    @classmethod
    def of_json(cls, node: dict[str, Any]) -> Tabular:
        """Raises what its reading raises, or DataError."""
        return cls(table=TableSpec.of_json(node["table"]))


def _normal(p: Tensor) -> Tensor:
    """Standard normal quantiles of probabilities."""
    return torch.special.ndtri(p.clamp(LEAST, 1 - LEAST))


def _within(x: Tensor, u: Tensor, edges: tuple[float, ...]) -> Tensor:
    """Points x (B,) moved inside the intervals between edges: Φ⁻¹ of a uniform place between Φ of the borders."""
    borders = torch.tensor(edges, dtype=x.dtype, device=x.device)
    cumulative = torch.special.ndtr(torch.tensor([-np.inf, *edges, np.inf], dtype=x.dtype, device=x.device))
    place = torch.searchsorted(borders, x.contiguous())
    low, high = cumulative[place], cumulative[place + 1]
    return _normal(low + u * (high - low))
