"""The results of a verb that applies a checkpoint to data: a folder with a note and scores.

NAME.json       which model, which examples, how
results.json    the scores, strict JSON; results.csv the same as a table
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from genkit.assembly.examples import Subject
from genkit.assembly.note import facts_of, write_note
from genkit.assembly.output_folder import make_out
from genkit.assembly.sampling_model import label_of
from genkit.report.results import strict, write_details
from genkit.storage.atomic import whole_file

SCHEMA = "genkit.use/1"
RESULTS, TABLE = "results.json", "results.csv"
SHARED = ("n", "seed", "y", "batch_size", "device")  # keys that every such verb has

Row = Mapping[str, Any]  # one score: "score", "value" and whatever says more of it, the same keys in every row


def result_folder(verb: str, subject: Subject, fill: Callable[[Path], None]) -> Path:
    """The folder out=, or outputs/<verb>/<stamp>-<model>-<data>, filled."""
    return make_out(subject.settings.out, verb, label_of(subject.found), fill)


def write_facts(path: Path, subject: Subject, own: Mapping[str, Any]) -> None:
    """The note of a use; raises StorageError.

    Args:
        path: Of the file.
        subject: Model and examples.
        own: What the verb adds: its own keys, the seconds.
    """
    settings = subject.settings
    examples = {"source": subject.source, "n": len(subject.v), "rows": subject.rows.tolist()}
    shared = {key: settings.config[key] for key in SHARED}
    write_note(path, facts_of(subject.found, settings, SCHEMA, strict({**shared, "examples": examples, **own})))


def write_scores(folder: Path, rows: Sequence[Row], meta: Mapping[str, Any]) -> None:
    """results.json and results.csv of scores; raises StorageError."""
    text = json.dumps(strict({"schema": SCHEMA, "meta": dict(meta), "results": list(rows)}), indent=1, allow_nan=False)
    with whole_file(folder / RESULTS) as file:
        file.write(f"{text}\n".encode())
    write_details(folder / TABLE, rows)
