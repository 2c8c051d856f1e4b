"""Records as `genkit eval` writes them, as far as a comparison reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from genkit.report.results import SCHEMA
from genkit.report.rows import ScoreRow, read_rows


def record(source: str, value: float | None, half: float | None = 0.1, **changes: Any) -> dict[str, Any]:
    """A record of `fid` with the interval value ± half."""
    return {
        "metric": "fid",
        "name": "fid[digits]",
        "source": source,
        "status": "ok",
        "value": value,
        "ci95": None if half is None or value is None else [value - half, value + half],
        "direction": "min",
        "floor": {"mean": 0.2, "sd": 0.02, "repeats": 5, "kind": "halves"},
        "ratio_to_floor": None if value is None else value / 0.2,
        "difference_to_floor": None,
        "n_fake": 100,
        "n_ref": 90,
        "evaluations": None,
        "seconds_per_1000": 0.5,
        "baseline": False,
        "kind": None,
        "params": {"ddof": 1},
        "findings": {},
        "features": {"id": "digits/fc64@abc", "normalize": "std_train"},
        "reference": {"name": "digits", "split": "test", "hash": "0123456789ab"},
        "model": {"family": source, "parameters": 1234, "step": 500, "examples_seen": 64_000},
        **changes,
    }


def likelihood(source: str, value: float, kind: str, **changes: Any) -> dict[str, Any]:
    return record(source, value, metric="nll", name="nll", kind=kind, features=None, **changes)


def baseline(source: str, value: float, **changes: Any) -> dict[str, Any]:
    return record(source, value, baseline=True, model=None, **changes)


def written(folder: Path, *records: Any) -> Path:
    folder.mkdir(parents=True)
    (folder / "results.json").write_text(json.dumps({"schema": SCHEMA, "meta": {}, "results": list(records)}))
    return folder / "results.json"


def rows(folder: Path, *records: dict[str, Any]) -> list[ScoreRow]:
    return read_rows(written(folder, *records))
