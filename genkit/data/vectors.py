"""Vectors in arrays, (n, D) or (n,), to three splits on disk: float32, as they are, with each column's mean and scale.

Rows with a value that is not finite cannot be used. Splits are made as those of images, by a hash of the values.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genkit.data.array_parts import ArrayPart
from genkit.data.content_split import NAMES
from genkit.data.dataset import SplitName
from genkit.data.images.class_labels import Classes
from genkit.data.kinds import Interval
from genkit.data.prepared import Writer
from genkit.data.scratch import Scratch
from genkit.errors import DataError
from genkit.progress import with_progress

MOST_NAMED = 1000  # rows that cannot be used and are named one by one
LARGEST = float(np.finfo(np.float32).max)


def write_vectors(
    writer: Writer,
    arrays: Sequence[ArrayPart],
    facts: dict[str, Any],
    *,
    value_range: Interval | None,
    max_bad: int,
    source: str,
) -> None:
    """Write splits and description of the vectors in arrays.

    Args:
        writer: Of the prepared data.
        arrays: Of shape (n, D) or (n,) with one D; either all or none have labels or splits.
        facts: That name the data.
        value_range: (lo, hi) that all values must lie in, None for any.
        max_bad: Rows that cannot be used before that is an error.
        source: For messages.

    Raises:
        DataError: too many rows that cannot be used, or too few for three splits.
    """
    dim = width_of(arrays, source)
    kept: list[tuple[int, int]] = []
    bad: list[tuple[str, str]] = []
    with Scratch(writer, (dim,), "float32") as scratch:
        for number, part in enumerate(arrays):
            steps = range(0, len(part.rows), part.rows.block)
            for low in with_progress(steps, f"reading {part.name}", len(steps)):
                rows, reasons = _checked(part, low, value_range, dim)
                for i, (row, reason) in enumerate(zip(rows, reasons, strict=True), low):
                    if reason:
                        bad.append((f"{part.name}[{i}]", reason))
                        continue
                    scratch.add(row)
                    kept.append((number, i))
        if len(bad) > max_bad:
            name, reason = bad[0]
            raise DataError(
                f"{source}: {len(bad):,} of {len(bad) + len(kept):,} rows cannot be used, {name} first ({reason}): "
                f"mend them, or go on without them by data.max_bad={len(bad)}"
            )
        classes = _classes(arrays, kept)
        labels = None if classes.numbers is None else np.array(classes.numbers)
        placed = scratch.place(_splits(arrays, kept), labels, source)
        mean, std = _moments(scratch, placed.rows["train"])
    about = {
        "shape": [dim],
        "classes": list(classes.names),
        "line": _line(len(kept), dim, classes, len(bad)),
        "bad": bad[:MOST_NAMED],
        "mean": mean.tolist(),
        "std": std.tolist(),
    }
    names = {name: [f"{arrays[a].name}[{i}]" for a, i in (kept[row] for row in placed.rows[name])] for name in NAMES}
    writer.describe(about, names, facts)


def width_of(arrays: Sequence[ArrayPart], source: str) -> int:
    """D. Raises DataError where the arrays differ in it or hold no numbers."""
    shapes = {part.rows.shape[1:] for part in arrays}
    if len(shapes) > 1:
        found = ", ".join(f"{part.name} {part.rows.shape}" for part in arrays)
        raise DataError(f"{source}: vectors of different lengths ({found}): give all splits the same columns")
    for part in arrays:
        if part.rows.dtype.kind not in "buif":
            raise DataError(f"{source}: {part.name} holds values of type {part.rows.dtype}: store numbers, float32")
    (shape,) = shapes
    return shape[0] if shape else 1


def _checked(
    part: ArrayPart, low: int, value_range: Interval | None, dim: int
) -> tuple[NDArray[np.float32], list[str]]:
    """The rows of a block that begins at `low`, (b, D), and what is wrong with each, "" for nothing."""
    values = part.rows.between(low, min(low + part.rows.block, len(part.rows))).reshape(-1, dim)
    wide = values.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        rows = values.astype(np.float32) + np.float32(0)  # -0.0 becomes 0.0: equal rows have equal bytes
        lo, hi = value_range or (-np.inf, np.inf)
        wrong = {
            f"a value outside of {lo:g} … {hi:g}": ~((wide >= lo) & (wide <= hi)),
            "a value too large for float32": np.abs(wide) > LARGEST,
            "a value that is not finite": ~np.isfinite(wide),
        }
    reasons = [""] * len(rows)
    for reason, where in wrong.items():
        for i in np.flatnonzero(where.any(axis=1)):
            reasons[i] = reason
    return rows, reasons


def _classes(arrays: Sequence[ArrayPart], kept: Sequence[tuple[int, int]]) -> Classes:
    if any(part.labels is None for part in arrays):
        return Classes(None, "no labels")
    of_each = [(arrays[number].labels or ())[i] for number, i in kept]
    return Classes(of_each if len(set(of_each)) > 1 else None, "no labels (one class)")


def _splits(arrays: Sequence[ArrayPart], kept: Sequence[tuple[int, int]]) -> list[SplitName] | None:
    return [split for number, _ in kept if (split := arrays[number].split)] or None


def _moments(values: Scratch, rows: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation (D,) of the rows, in two passes; 1 for a column that is constant."""
    (dim,) = values.shape
    size = max(1, 2**21 // dim)
    blocks = [np.sort(rows)[low : low + size] for low in range(0, len(rows), size)]
    mean = sum((values.read(block).astype(np.float64).sum(0) for block in blocks), np.zeros(dim)) / len(rows)
    squares = ((values.read(block).astype(np.float64) - mean) ** 2 for block in blocks)
    std = np.sqrt(sum((block.sum(0) for block in squares), np.zeros(dim)) / len(rows))
    negligible = std <= 1e-6 * np.abs(mean)  # what float32 cannot tell from none
    return mean, np.where(negligible | (std == 0), 1.0, std)


def _line(n: int, dim: int, classes: Classes, bad: int) -> str:
    found = f"{len(classes.names):,} classes" if classes.names else classes.note
    left = f", {bad:,} left out" if bad else ""
    return f"{n:,} vectors of {dim:,} values, {found}{left}"
