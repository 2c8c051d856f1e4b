"""The meaning of a column's texts: its kind and its written form, inferred or as the user says.

numeric, integer   all cells are numbers (without leading zeros, not in quotes where others are not)
date               all cells are dates of one pattern
categorical        anything else, and numbers of two values, as 0 and 1 mostly mean no and yes
ordinal            by the user's word alone: numbers by size, or texts in the order that is given
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from genkit.data.tables.codes import MOST_LEVELS, Floats
from genkit.data.tables.forms import EXACT, CellForm, DateForm, LevelForm, NumberForm, is_number
from genkit.data.tables.table_spec import ColumnKind, is_missing
from genkit.data.tables.text_table import TextColumn, listed
from genkit.errors import DataError
from genkit.printing import shown

FEW = 20  # levels that a column may have however few rows there are
MOSTLY = 0.9  # share of distinct texts that are numbers, from which on the others are named

Choice = ColumnKind | tuple[str, ...]  # a kind, or the levels of an ordinal column in their order


@dataclass(frozen=True, eq=False)
class TypedColumn:
    """A column whose meaning is known.

    Attributes:
        name: In the header.
        kind: What its cells are.
        form: How they are written.
        cells: (n,) in numbers, NaN where they are missing.
        missing: The text of its missing cells, the most frequent one; None where none is missing.
    """

    name: str
    kind: ColumnKind
    form: CellForm
    cells: Floats
    missing: str | None


def typed(column: TextColumn, missing: frozenset[str], choice: Choice | None = None) -> TypedColumn:
    """The column with its meaning.

    Args:
        column: The texts.
        missing: Texts of missing cells, in casefolded form.
        choice: What the user says of it, None for nothing.

    Raises:
        DataError: it cannot be what the user says, or has too many different texts for levels.
    """
    absent = [is_missing(text, missing) for text in column.texts]
    present = [text for text, gone in zip(column.texts, absent, strict=True) if not gone]
    kind, form = _inferred(column, present) if choice is None else _chosen(column, present, choice)
    known = np.array(
        [np.nan if gone else form.read(text) for text, gone in zip(column.texts, absent, strict=True)], dtype=np.float64
    )
    counts = np.bincount(column.codes, minlength=len(column.texts)) * np.array(absent, dtype=np.int64)
    token = column.texts[int(counts.argmax())] if any(absent) else None
    return TypedColumn(column.name, kind, form, known[column.codes], token)


def _inferred(column: TextColumn, present: Sequence[str]) -> tuple[ColumnKind, CellForm]:
    numbers = not column.quoted and all(map(is_number, present))
    if numbers and len(present) > 2:
        return ("integer" if _whole(present) else "numeric"), NumberForm.of(present)
    if numbers and len(present) > 0 and not _whole(present):
        return "numeric", NumberForm.of(present)
    if (date := DateForm.of(present)) is not None and len(present) > 2:
        return "date", date
    _check_levels(column, present)
    return "categorical", LevelForm(_in_order(present))


def _chosen(column: TextColumn, present: Sequence[str], choice: Choice) -> tuple[ColumnKind, CellForm]:
    name = shown(column.name)
    if not isinstance(choice, str):
        if unknown := [text for text in present if text not in choice]:
            raise DataError(f"data.columns.{name}: the column also has {listed(unknown)}: name all its levels in order")
        return "ordinal", LevelForm(tuple(choice))
    if choice == "categorical":
        _check_levels(column, present)
        return "categorical", LevelForm(_in_order(present))
    if choice == "date":
        date = DateForm.of(present)
        if date is None:
            raise DataError(
                f"data.columns.{name}=date: no pattern fits all cells, as {shown(present[0])}; 2026-01-31 is one"
            )
        return "date", date
    odd = [text for text in present if not is_number(text)]
    if odd and choice == "ordinal":
        raise DataError(
            f"data.columns.{name}=ordinal: its cells are texts: name them in order (data.columns.{name}=[low,high])"
        )
    if odd:
        raise DataError(
            f"data.columns.{name}={choice}: {shown(odd[0])} is no number; data.missing= says what means missing"
        )
    if choice == "integer" and not _whole(present):
        raise DataError(f"data.columns.{name}=integer: it has numbers that are not whole: choose numeric")
    return choice, NumberForm.of(present)


def _whole(texts: Sequence[str]) -> bool:
    return all(float(text).is_integer() and abs(float(text)) <= EXACT for text in texts)


def _in_order(texts: Sequence[str]) -> tuple[str, ...]:
    """Levels in an order that no order of rows changes: numbers by size, texts by alphabet."""
    return tuple(sorted(texts, key=lambda text: (0, float(text), text) if is_number(text) else (1, 0.0, text)))


def _check_levels(column: TextColumn, present: Sequence[str]) -> None:
    """Raises DataError for a column of texts that hardly repeat: no model can learn their levels."""
    levels, n, name = len(present), len(column), shown(column.name)
    if levels <= FEW or (levels <= MOST_LEVELS and 2 * levels <= n):
        return
    odd = [text for text in present if not is_number(text)]
    if odd and len(odd) <= (1 - MOSTLY) * levels:
        raise DataError(
            f"column {name}: numbers, and {listed(odd, 3)}: what means a missing cell stands in data.missing=; "
            f"data.drop=[{name}] leaves the column out"
        )
    raise DataError(
        f"column {name}: {levels:,} different texts in {n:,} rows, too many for levels: data.drop=[{name}] leaves the "
        "column out"
    )
