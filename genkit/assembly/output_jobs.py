"""The jobs of verbs that write results, as `genkit sample -m` does: folders that appear whole or not at all.

sweep.json notes the folder and the identity of every job before it starts. A folder that stands is one whose job is
done (of `compress` it is a file), and a job whose identity is noted for it is skipped. The identity is a hash of the
configuration in which a checkpoint counts by its content: after the run was trained further its samples are drawn
again, into a new folder.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from genkit.checkpoint import strict_json
from genkit.checkpoint.manifest import MANIFEST
from genkit.checkpoint.place import Place, locate
from genkit.checkpoint.retention import step_folders
from genkit.config.hydra.job_kind import JobKind, Known
from genkit.config.hydra.sweep import SKIPPED, Sweep, SweepJob
from genkit.config.hydra.sweep_table import near
from genkit.config.settings import Settings
from genkit.errors import GenkitError
from genkit.printing import pasteable

FREE = ("out", "debug", "batch_size", "device", "cache")  # keys that change no result
FILES = ("samples", "reference", "input")  # keys that name data in files


class OutputJobs(JobKind):
    """Folders, or files, below `out=`."""

    key = "out"

    def place(self, settings: Settings) -> Path | None:
        return None

    def match(self, folder: Path, jobs: Sequence[tuple[SweepJob, Settings]], known: Sequence[Known]) -> None:
        for job, settings in jobs:
            job.identity = {"config_sha256": identity(settings)}
            for one in known:
                if one.identity == job.identity and (folder / one.folder).exists():
                    job.folder, job.status = folder / one.folder, SKIPPED

    def taken(self, folder: Path) -> list[str]:
        return [entry.name for entry in folder.iterdir()]

    def refresh(self, job: SweepJob, sweep: Sweep) -> None: ...

    def conclude(self, sweep: Sweep) -> None: ...


class Scorings(OutputJobs):
    """Tables of scores, each in its folder."""

    def refresh(self, job: SweepJob, sweep: Sweep) -> None:
        """The first score of the first source."""
        if job.folder is None or not (job.folder / RESULTS).is_file():
            return
        try:
            first = json.loads((job.folder / RESULTS).read_text(encoding="utf-8"))["results"][0]
            value, direction = first["value"], first["direction"]
        except (OSError, ValueError, KeyError, IndexError, TypeError):
            return  # changed by someone: a job without a score
        job.score = float(value) if isinstance(value, int | float) and math.isfinite(value) else None
        sweep.score = str(first.get("metric"))
        sweep.mode = direction if direction in ("min", "max") else None

    def conclude(self, sweep: Sweep) -> None:
        """The command that sets the tables side by side."""
        folders = [str(near(job.folder)) for job in sweep.jobs.values() if job.finished and job.folder is not None]
        if 1 < len(folders) <= COMPARED:
            sweep.next.append(pasteable("compare", *folders))


RESULTS = "results.json"
COMPARED = 8  # folders in the command that comes next


def identity(settings: Settings) -> str:
    """A hash of what decides a job's results."""
    kept = {key: value for key, value in settings.config.items() if key not in FREE}
    kept["ckpt"] = [_content(path) for path in _paths(settings.config.get("ckpt"))]
    kept |= {key: [_stamp(path) for path in _paths(settings.config.get(key))] for key in FILES}
    return hashlib.sha256(strict_json.render(kept, "the configuration")).hexdigest()


def _content(path: str) -> str | list[str]:
    """The hash of a checkpoint's manifest, which lists those of its files; the path where it cannot be read."""
    try:
        return hashlib.sha256((_folder(locate(path)) / MANIFEST).read_bytes()).hexdigest()
    except (GenkitError, OSError):
        return os.path.abspath(path)


def _folder(place: Place) -> Path:
    if place.pointer == "latest" and place.run is not None:
        return next(iter(step_folders(place.run)), place.folder)
    return place.folder


def _stamp(path: str) -> list[Any]:
    """The path of a file with its size and time, which change with its content."""
    state = os.stat(path)
    return [os.path.abspath(path), state.st_size, state.st_mtime_ns]


def _paths(value: Any) -> Iterator[str]:
    yield from [value] if isinstance(value, str) else value or ()
