"""Several results.json as one comparison: like with like, ranked only where it is decided (`genkit.report.ranking`).

Two values of a metric are alike where features, reference, number of samples and the metric's own parameters agree.
An interval covers the draw of the samples, not the training; that of several seeds covers both (`genkit.report.seeds`).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from genkit.errors import ConfigError
from genkit.printing import shown
from genkit.report.ranking import ranked
from genkit.report.rows import ScoreRow, read_rows
from genkit.report.seeds import over_seeds

ABSENT = object()


def compare(files: Sequence[Path], metrics: Sequence[str] = ()) -> dict[str, list[ScoreRow]]:
    """Metric name to its ranked rows, in the order of the files; all metrics, or the named ones.

    Raises:
        ConfigError: rows that cannot be compared, or a metric that nobody was scored by.
        DataError: a file that is no results.json.
    """
    rows = gathered(files)
    known = {row.metric for row in rows}
    if unknown := [metric for metric in metrics if metric not in known]:
        raise ConfigError(f"metric={unknown[0]}: these results have {', '.join(sorted(known))}")
    chosen = [row for row in rows if not metrics or row.metric in metrics]
    refuse_unlike(chosen)
    blocks: dict[str, list[ScoreRow]] = {row.name: [] for row in chosen if not row.baseline}
    for row in chosen:
        if row.name in blocks:
            blocks[row.name].append(row)
    return {name: ranked(block) for name, block in blocks.items()}


def gathered(files: Sequence[Path]) -> list[ScoreRow]:
    """The rows of all files: equal ones once, seeds of one configuration together, equal names told apart."""
    rows: dict[str, ScoreRow] = {}
    for row in (row for file in files for row in read_rows(file)):
        rows.setdefault(_said(row), row)
    return told_apart(over_seeds(list(rows.values())))


def _said(row: ScoreRow) -> str:
    """Equal for rows that say the same of the same source."""
    said = (row.name, row.source, row.value, row.interval, row.model, row.conditions)
    return json.dumps(said, sort_keys=True)


def told_apart(rows: Sequence[ScoreRow]) -> list[ScoreRow]:
    """Rows of one metric with one name are called by their folder too, and where that is the same, by their file."""
    for extra in (lambda row: row.file.parent.name, lambda row: str(row.file), lambda row: str(row.model)):
        counts = Counter((row.name, row.source) for row in rows)
        clashing = {source for (_, source), count in counts.items() if count > 1}
        if not clashing:
            break
        rows = [replace(r, source=f"{r.source} {shown(extra(r))}") if r.source in clashing else r for r in rows]
    return list(rows)


def refuse_unlike(rows: Iterable[ScoreRow]) -> None:
    """Raises ConfigError for two values of one metric that were not measured under the same conditions.

    Baselines count where a model was scored by the metric.
    """
    first: dict[str, ScoreRow] = {}
    unlike: dict[str, tuple[ScoreRow, ScoreRow, str]] = {}
    for row in sorted(rows, key=lambda row: row.baseline):
        if row.baseline and row.metric not in first:
            continue
        other = first.setdefault(row.metric, row)
        if row.metric not in unlike and (key := _difference(other, row)) is not None:
            unlike[row.metric] = (other, row, key)
    if not unlike:
        return
    metric, (left, right, key) = next(iter(unlike.items()))
    alike = [name for name in first if name not in unlike]
    advice = f"compare the others alone with metric={','.join(alike)}" if alike else "leave one out"
    raise ConfigError(
        f"{metric}: {left.source} ({shown(left.file)}) has {key} {_value(left, key)}, "
        f"{right.source} ({shown(right.file)}) has {_value(right, key)}: score both alike, or {advice}"
    )


def _difference(left: ScoreRow, right: ScoreRow) -> str | None:
    """The first condition in which two rows differ; one that a baseline does not have is none of it."""
    mine, other = left.conditions, right.conditions
    keys = other if right.baseline else {**mine, **other}
    return next((key for key in keys if mine.get(key, ABSENT) != other.get(key, ABSENT)), None)


def _value(row: ScoreRow, key: str) -> str:
    value: Any = row.conditions.get(key)
    return "none" if value is None else value if isinstance(value, str) else json.dumps(value)
