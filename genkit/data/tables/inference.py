"""The meaning of a column's texts: its kind and its written form, inferred or as the user says.

numeric, integer   all cells are numbers (without leading zeros, not in quotes where others are not, no whole ones that
                   a float64 would round)
date               all cells are dates of one pattern
categorical        anything else, and numbers of two values, as 0 and 1 mostly mean no and yes
ordinal            by the user's word alone: numbers by size, or texts in the order that is given
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from genkit.data.tables.codes import MOST_LEVELS, Floats
from genkit.data.tables.forms import EXACT, CellForm, DateForm, LevelForm, NumberForm, is_number, is_rounded
from genkit.data.tables.table_spec import ColumnKind, is_missing
from genkit.data.tables.text_table import TextColumn, listed
from genkit.errors import DataError
from genkit.printing import shown

INFINITE = re.compile(r"[+-]?(inf(inity)?|[0-9.]+e\+?[0-9]+)", re.IGNORECASE)
LIKE_NUMBER = re.compile(r"[^\w]*[0-9]+([.,' _\u00a0\u202f][0-9]+)*[^\w]*")
LIKE_DATE = re.compile(r"[0-9]{1,4}([-/.])[0-9]{1,2}\1[0-9]{1,4}([ T][0-9:.]+ *(Z|[+-][0-9:]+)?)?")
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
    named = () if choice is None or isinstance(choice, str) else choice  # what is said to be a level is not missing
    absent = [is_missing(text, missing) and text not in named for text in column.texts]
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
    exact = not any(map(is_rounded, present)) if numbers else False
    if exact and len(present) > 2:
        return ("integer" if _whole(present) else "numeric"), NumberForm.of(present)
    if exact and len(present) > 0 and not _whole(present):
        return "numeric", NumberForm.of(present)
    if (date := DateForm.of(present)) is not None and len(present) > 2:
        return "date", date
    _check_numbers(column, present)
    _check_levels(column, present)
    return "categorical", LevelForm(_in_order(present))


def _chosen(column: TextColumn, present: Sequence[str], choice: Choice) -> tuple[ColumnKind, CellForm]:
    if not isinstance(choice, str):
        return "ordinal", _ordered(column, present, choice)
    if choice == "categorical":
        _check_levels(column, present)
        return "categorical", LevelForm(_in_order(present))
    said = f"data.columns: {shown(column.name)} is no {choice} column"
    if choice == "date":
        date = DateForm.of(present)
        if date is None:
            raise DataError(f"{said}: no pattern fits all cells, as {shown(present[0])}; 2026-01-31 is one")
        return "date", date
    odd = [text for text in present if not is_number(text)]
    if odd and choice == "ordinal":
        raise DataError(f"{said}: its cells are texts: name them in order ({_saying(column, '[low,high]')})")
    if odd:
        raise DataError(f"{said}: {_named(odd[0])} is no number; data.missing= says what means missing")
    if choice == "integer" and not _whole(present):
        raise DataError(f"{said}: it has numbers that are not whole, or beyond 2^53: {_saying(column, 'numeric')}")
    return choice, NumberForm.of(present)


def _ordered(column: TextColumn, present: Sequence[str], levels: Sequence[str]) -> LevelForm:
    said = f"data.columns: {shown(column.name)}"
    if unknown := [text for text in present if text not in levels]:
        raise DataError(f"{said}: the column also has {listed(unknown)}: name all its levels in order")
    if twice := [level for level in levels if list(levels).count(level) > 1]:
        raise DataError(f"{said}: the level {_named(twice[0])} is named twice")
    return LevelForm(tuple(levels))


def _saying(column: TextColumn, what: str) -> str:
    """The words that say what a column is."""
    return f"data.columns={{{shown(column.name)}: {what}}}"


def _named(text: str) -> str:
    return shown(text) if text else '""'


def _whole(texts: Sequence[str]) -> bool:
    return all(float(text).is_integer() and abs(float(text)) <= EXACT for text in texts)


def _in_order(texts: Sequence[str]) -> tuple[str, ...]:
    """Levels in an order that no order of rows changes: numbers by size, texts by alphabet."""
    return tuple(sorted(texts, key=lambda text: (0, float(text), text) if is_number(text) else (1, 0.0, text)))


def _check_numbers(column: TextColumn, present: Sequence[str]) -> None:
    """Raises DataError for a column of numbers but for a few texts: it would be taken for names."""
    odd = [text for text in present if not is_number(text)]
    infinite = next((text for text in odd if INFINITE.fullmatch(text)), None)
    if column.quoted or not odd or len(odd) == len(present):
        return
    if infinite is not None or len(odd) <= (1 - MOSTLY) * len(present):
        text = infinite or odd[0]
        raise DataError(
            f"column {shown(column.name)}: numbers, and {_named(text)}: what means a missing cell stands in "
            f"data.missing=; or say that they are names, {_saying(column, 'categorical')}"
        )


def _check_levels(column: TextColumn, present: Sequence[str]) -> None:
    """Raises DataError for a column of texts that hardly repeat: no model can learn their levels."""
    levels, n, name = len(present), len(column), shown(column.name)
    if levels <= FEW or (levels <= MOST_LEVELS and 2 * levels <= n):
        return
    raise DataError(
        f"column {name}: {levels:,} different texts in {n:,} rows, too many for levels{_hint(column, present)}: "
        f"data.drop=[{name}] leaves the column out"
    )


def _hint(column: TextColumn, present: Sequence[str]) -> str:
    """A guess at the meaning of texts that are no numbers; "" for none."""
    if all(map(is_number, present)):
        beyond = any(map(is_rounded, present))
        why = "whole numbers beyond 2^53 cannot be held exactly" if beyond else "numbers in quotes are names"
        return f"; {why}, {_saying(column, 'numeric')} reads them as numbers"
    if all(map(LIKE_NUMBER.fullmatch, present)):
        return "; numbers are read where they are written like 1234.5"
    if all(map(LIKE_DATE.fullmatch, present)):
        return "; dates are read where all are written in one form, like 2026-01-31 or 2026-01-31 08:30:00"
    return ""
