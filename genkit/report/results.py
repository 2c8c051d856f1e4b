"""Scores as files: strict JSON for programs, long CSV for spreadsheets. Both appear whole or not at all.

    {"schema": "genkit.eval/1", "meta": {…}, "results": [one record per metric and source]}

Strict: a number that is not finite is null, and the record's status says so.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from genkit.evaluation.record import Record
from genkit.storage.atomic import whole_file

SCHEMA = "genkit.eval/1"

COLUMNS = (
    *("source", "metric", "value", "lo", "hi", "direction", "unit", "floor", "floor_sd", "floor_kind", "ratio"),
    *("difference", "n_fake", "n_ref", "evaluations", "features", "reference", "split", "ref_hash", "seed"),
    *("status", "warnings"),
    *("parameters", "seconds_per_1000"),
    *("kind", "params", "baseline", "steps", "examples_seen", "train_seed"),
)


def strict(node: Any) -> Any:
    """A JSON tree with every number that is not finite replaced by None, tuples by lists."""
    if isinstance(node, dict):
        return {str(key): strict(value) for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        return [strict(value) for value in node]
    return None if isinstance(node, float) and not math.isfinite(node) else node


def results(records: Sequence[Record], meta: dict[str, Any]) -> dict[str, Any]:
    """The content of `results.json`."""
    return strict({"schema": SCHEMA, "meta": meta, "results": [record.to_json() for record in records]})


def write_json(path: Path, records: Sequence[Record], meta: dict[str, Any]) -> None:
    """`results.json`; raises StorageError where it cannot be written."""
    text = json.dumps(results(records, meta), indent=1, allow_nan=False, ensure_ascii=False)
    with whole_file(path) as file:
        file.write(f"{text}\n".encode())


def write_csv(path: Path, records: Sequence[Record]) -> None:
    """`results.csv`, one row per metric and source; raises StorageError where it cannot be written."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(strict(row(record)) for record in records)
    with whole_file(path) as file:
        file.write(text.getvalue().encode())


def write_details(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows with the same columns as a CSV; raises StorageError where it cannot be written."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(strict(row) for row in rows)
    with whole_file(path) as file:
        file.write(text.getvalue().encode())


def row(record: Record) -> dict[str, Any]:
    """One line of the CSV; what a record does not have is empty."""
    lo, hi = record.ci95 or (None, None)
    floor, model = record.floor, record.model or {}
    return {
        "source": record.source,
        "metric": record.name,
        "value": record.value,
        "lo": lo,
        "hi": hi,
        "direction": record.direction,
        "unit": record.unit,
        "floor": None if floor is None else floor.mean,
        "floor_sd": None if floor is None else floor.sd,
        "floor_kind": None if floor is None else floor.kind,
        "ratio": record.ratio_to_floor,
        "difference": record.difference_to_floor,
        "n_fake": record.n_fake,
        "n_ref": record.n_ref,
        "evaluations": record.evaluations,
        "features": None if record.features is None else record.features["id"],
        "reference": record.reference["name"],
        "split": record.reference["split"],
        "ref_hash": record.reference["hash"],
        "seed": record.seed,
        "status": record.status,
        "warnings": "; ".join(record.warnings),
        "parameters": model.get("parameters"),
        "seconds_per_1000": record.seconds_per_1000,
        "kind": record.kind,
        "params": json.dumps(strict(record.params), sort_keys=True),
        "baseline": record.baseline,
        "steps": model.get("step"),
        "examples_seen": model.get("examples_seen"),
        "train_seed": model.get("train_seed"),
    }
