"""Codes of columns, fitted to the rows of a table: values and ranges to all of them, shares to training rows alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from genkit.data.tables.codes import (
    MOST_LEVELS,
    Code,
    ConstantCode,
    ContinuousCode,
    Floats,
    NominalCode,
    OrderedCode,
    SwitchedCode,
)
from genkit.data.tables.inference import TypedColumn
from genkit.data.tables.table_spec import Column
from genkit.errors import DataError
from genkit.printing import shown

Mask = NDArray[np.bool_]

GRID = 0.05  # distinct values as a share of the rows, below which a column of numbers snaps to those it has
FEW = 12  # distinct numbers that are a grid however few rows there are
SPIKE, ABOVE = 0.05, 10  # share of the rows, and times the usual share, from which on a value is one of its own
KNOTS = 65  # of a quantile transform
MOST_KNOTS = 4_096
SAME = 1e-9  # relative, of a number with decimals that comes back


def fitted(column: TypedColumn, train: Mask) -> Column:
    """The column with its code, shares and quantiles by the training rows (n,)."""
    code = code_for(column, train)
    return Column(column.name, column.kind, column.form, code, column.missing)


def code_for(column: TypedColumn, train: Mask) -> Code:
    """The code of cells (n,); see `genkit.data.tables.codes` for which is which."""
    cells = column.cells
    absent = np.isnan(cells)
    values = np.unique(cells[~absent])
    if len(values) <= 1 and not (absent.any() and len(values)):
        return ConstantCode(float(values[0]) if len(values) else None)
    if column.kind == "categorical":
        levels = np.arange(int(values[-1]) + 1, dtype=np.float64)
        if len(levels) == 2 and not absent.any():
            return OrderedCode(tuple(levels.tolist()), counts_of(cells[train], levels))
        gone = (int(absent[train].sum()),) if absent.any() else ()
        return NominalCode((*counts_of(cells[train], levels), *gone), bool(gone))
    return _number(column, train, values)


def _number(column: TypedColumn, train: Mask, values: Floats) -> Code:
    cells, snaps = column.cells, column.kind == "ordinal"
    absent = np.isnan(cells)
    n = len(cells) - int(absent.sum())
    grid = len(values) <= MOST_LEVELS and (snaps or len(values) <= FEW or len(values) < GRID * n)
    spikes = np.empty(0) if grid else _spikes(cells[~absent], values)
    plain = ~absent & ~np.isin(cells, spikes)
    rest = values[~np.isin(values, spikes)]
    number: ConstantCode | OrderedCode | ContinuousCode
    if len(rest) == 1:
        number = ConstantCode(float(rest[0]))
    elif grid or len(rest) <= FEW:
        number = OrderedCode(tuple(rest.tolist()), counts_of(cells[train & plain], rest))
    else:
        knots = _quantiles(cells[plain], cells[train & plain])
        number = _refined(column, *knots, rest)
    if not len(spikes) and not absent.any():
        return number
    gone = (int((absent & train).sum()),) if absent.any() else ()
    counts = (int((plain & train).sum()), *gone, *counts_of(cells[train], spikes))
    return SwitchedCode(number, counts, bool(gone), tuple(spikes.tolist()))


def _spikes(cells: Floats, values: Floats) -> Floats:
    """The values that far more of the cells share than others."""
    counts = np.array(counts_of(cells, values))
    return values[(counts > SPIKE * len(cells)) & (counts > ABOVE * len(cells) / len(values))]


def _quantiles(cells: Floats, train: Floats) -> tuple[Floats, Floats]:
    """Knots at quantiles of the training cells that are equally far apart as standard normal scores."""
    train = train if len(np.unique(train)) > 1 else cells
    reach = float(ndtri(1 - 0.5 / len(train)))
    scores = np.linspace(-reach, reach, KNOTS)
    values, which = np.unique(np.quantile(train, ndtr(scores)), return_inverse=True)
    scores = np.bincount(which, weights=scores) / np.bincount(which)  # of a value that several quantiles have
    low, high, step = cells.min(), cells.max(), 2 * reach / KNOTS
    if low < values[0]:
        values, scores = np.insert(values, 0, low), np.insert(scores, 0, scores[0] - step)
    if high > values[-1]:
        values, scores = np.append(values, high), np.append(scores, scores[-1] + step)
    return values, scores


def _refined(column: TypedColumn, values: Floats, scores: Floats, cells: Floats) -> ContinuousCode:
    """The code through these knots, with more of them where a line would not hold the cells (rising) apart.

    Between 1, 2, 3 and 1e15 it would not: a score has 16 digits. Such an interval is cut at the middle one of its cells
    until all of them come back.
    """
    while len(values) <= MOST_KNOTS:
        code = ContinuousCode(tuple(values.tolist()), tuple(scores.tolist()))
        wrong = _changed(code.decode(code.encode(cells)), cells, whole=column.form.digits == 0)
        if not wrong.any():
            return code
        left = np.unique(np.searchsorted(values, cells[wrong], side="right") - 1)
        left = left[left < len(values) - 1]
        first, last = np.searchsorted(cells, values[left], side="right"), np.searchsorted(cells, values[left + 1])
        middle = (scores[left] + scores[left + 1]) / 2
        cut = (first < last) & (scores[left] < middle) & (middle < scores[left + 1])
        if not cut.any():
            break
        values = np.insert(values, left[cut] + 1, cells[(first + last)[cut] // 2])
        scores = np.insert(scores, left[cut] + 1, middle[cut])
    name = shown(column.name)
    rounded = f"data.columns={{{name}: numeric}} rounds them, " if column.kind == "integer" else ""
    raise DataError(
        f"column {name}: its numbers, from {cells[0]:g} to {cells[-1]:g}, cannot be held apart on one scale: {rounded}"
        f"data.drop=[{name}] leaves the column out"
    )


def _changed(found: Floats, cells: Floats, whole: bool) -> Mask:
    """Mark the cells that did not come back."""
    return np.round(found) != cells if whole else np.abs(found - cells) > SAME * np.abs(cells)


def counts_of(cells: Floats, values: Floats) -> tuple[int, ...]:
    """The number of cells of each of the values, which rise; cells of no value are not counted."""
    place = np.searchsorted(values, cells[np.isin(cells, values)])
    return tuple(np.bincount(place, minlength=len(values)).tolist())
