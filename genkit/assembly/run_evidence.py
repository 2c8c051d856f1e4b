"""The evidence of a run's diagnosis: from its folder alone, or with what is measured of its checkpoint."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from genkit.assembly.config_differences import flat
from genkit.assembly.run_facts import RunFacts
from genkit.checkpoint import strict_json
from genkit.diagnosis.evidence import Evidence, ScoreFacts
from genkit.errors import CheckpointError, GenkitError, NumericalError
from genkit.storage.atomic import replace_file
from genkit.storage.regular import read_regular

MEASURED = "diagnosis.json"  # in the run folder
SCHEMA = "genkit.diagnosis/1"
LARGEST = 2**20  # bytes of it
LARGEST_RESULTS = 2**26
COVARIANCES = ("fid", "rfid", "fid_infinity")  # metrics that fit a covariance to their features
QUICK = "quick/"


def evidence_of(facts: RunFacts, results: Sequence[Path] = ()) -> Evidence:
    """The evidence in a run's folder, with what was measured of its last checkpoint and scores of its samples."""
    return Evidence(
        series=facts.series,
        broken=facts.broken,
        diverged=facts.info.get("exit_code") == NumericalError.exit_code,
        step=facts.step,
        steps=facts.steps,
        settings=dict(flat(facts.config)),
        measured=measured_of(facts),
        scores=[*_quick(facts), *(score for file in results for score in _scores(file))],
    )


def measured_of(facts: RunFacts) -> dict[str, float]:
    """The numbers that `genkit diagnose` measured of the last checkpoint; {} for none."""
    with suppress(GenkitError, KeyError, TypeError, ValueError):
        stored = strict_json.parse(read_regular(facts.path / MEASURED, LARGEST, inside=facts.path), facts.path)
        if stored["schema"] == SCHEMA and stored["step"] == facts.step:
            return {str(key): float(value) for key, value in stored["measured"].items()}
    return {}


def note_measured(facts: RunFacts, measured: Mapping[str, float]) -> None:
    """Write what was measured into the run folder, for its report; raises StorageError."""
    content = {"schema": SCHEMA, "step": facts.step, "measured": dict(measured)}
    replace_file(facts.path / MEASURED, strict_json.render(content, MEASURED))


def _quick(facts: RunFacts) -> Iterator[ScoreFacts]:
    """The last quick scores."""
    counts = facts.series.get(f"{QUICK}n")
    for key, points in facts.series.items():
        name = key.removeprefix(QUICK)
        if counts and key.startswith(QUICK) and "/" not in name and name != "n":
            low, high = (facts.series.get(f"{key}/{end}") for end in ("low", "high"))
            interval = (low[-1][1], high[-1][1]) if low and high else None
            yield ScoreFacts(f"quick {name}", points[-1][1], interval, int(counts[-1][1]), key="quick.n")


def _scores(file: Path) -> Iterator[ScoreFacts]:
    """The scores of models in a results.json, as far as they can be read."""
    try:
        records = json.loads(read_regular(file, LARGEST_RESULTS))["results"]
    except (GenkitError, ValueError, KeyError, TypeError, RecursionError):
        return
    for record in records if isinstance(records, list) else ():
        with suppress(KeyError, TypeError, ValueError, CheckpointError):
            if record.get("baseline") or record["value"] is None or record["n_fake"] is None:
                continue
            ends: Any = record.get("ci95")
            dim = record["features"]["dim"] if record["metric"] in COVARIANCES else None
            interval = None if ends is None else (float(ends[0]), float(ends[1]))
            yield ScoreFacts(str(record["name"]), float(record["value"]), interval, int(record["n_fake"]), dim)
