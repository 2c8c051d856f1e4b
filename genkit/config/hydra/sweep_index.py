"""The files of a sweep's folder that tell of its jobs: `sweep.json` for programs, `sweep.csv` for spreadsheets.

    sweep.json    {"schema": "genkit.sweep/1", "verb": …, "sweeper": …, "command": …, "keys": […], "score": …,
                   "mode": …, "jobs": [{"number": …, "folder": …, "values": {…}, "identity": {…}, "status": …,
                             "exit_code": …, "step": …, "score": …, "seconds": …, "error": …, "process": {…}}, …]}

sweep.json is replaced before a job starts and when it ends, so a sweep that is killed tells which jobs ran, and in
which processes. Jobs of earlier commands that this one does not repeat keep their entries, their number null.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from genkit.checkpoint import strict_json
from genkit.checkpoint.verify import read_small
from genkit.config.hydra.job_kind import Known
from genkit.config.hydra.sweep import TABLE, Sweep, SweepJob, short_keys
from genkit.errors import CheckpointError, ConfigError
from genkit.printing import shown
from genkit.storage.atomic import replace_file
from genkit.storage.process import Process, of_pid
from genkit.storage.version import version_of

INDEX = "sweep.json"
PARETO = "pareto"  # a column
SCHEMA = "genkit.sweep/1"


class SweepIndex:
    """sweep.json of one folder, as it was found and as it becomes.

    Attributes:
        known: The jobs that it remembers.
        owners: The processes that worked at them when it was written.
    """

    def __init__(self, folder: Path, verb: str, sweeper: str = "") -> None:
        """Read the index of a folder, where there is one.

        Raises:
            ConfigError: it is damaged, of a newer genkit, or of another command.
        """
        self._path = folder / INDEX
        self._earlier: list[Mapping[str, Any]] = []
        if self._path.exists() or self._path.is_symlink():
            self._earlier = _read(self._path, verb, sweeper)
        entries = [entry for entry in self._earlier if entry.get("identity") and entry.get("folder")]
        self.known = [Known(entry["folder"], entry["identity"]) for entry in entries]
        found = (_process(entry.get("process")) for entry in self._earlier)
        self.owners = [process for process in found if process is not None]

    def write(self, sweep: Sweep) -> None:
        """Replace sweep.json."""
        jobs = [_entry(job, self.folder) for job in sorted(sweep.jobs.values(), key=lambda job: job.number)]
        names = {entry["folder"] for entry in jobs}
        others = [{**entry, "number": None, "process": None} for entry in self._earlier if _stays(entry, names, self)]
        index = {
            "schema": SCHEMA,
            "verb": sweep.verb,
            "sweeper": sweep.sweeper,
            "command": sweep.command,
            "keys": list(sweep.keys),
            "score": sweep.score,
            "mode": sweep.mode,
            "jobs": [*jobs, *others],
        }
        replace_file(self._path, strict_json.render(index, INDEX))

    @property
    def folder(self) -> Path:
        return self._path.parent


def write_table(folder: Path, sweep: Sweep) -> None:
    """Replace sweep.csv: one row per job of the command."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    names = short_keys(sweep.keys)
    more = [*sweep.costs, *([PARETO] if sweep.costs else [])]
    head = ["job", *names.values(), "status", "exit_code", sweep.score, *more, "step", "seconds", "folder", "error"]
    writer.writerow(head)
    for job in sorted(sweep.jobs.values(), key=lambda job: job.number):
        values = [job.values.get(key, "") for key in names]
        costs: list[object] = [job.costs.get(name) for name in sweep.costs]
        costs += [int(job.in_pareto_set)] if sweep.costs else []
        ends = (job.status, job.exit_code, job.score, *costs, job.step, job.seconds, _place(job, folder), job.line)
        writer.writerow([job.number, *values, *("" if end is None else end for end in ends)])
    replace_file(folder / TABLE, text.getvalue().encode())


def _read(path: Path, verb: str, sweeper: str) -> list[Mapping[str, Any]]:
    try:
        index: Any = strict_json.parse(read_small(path), path)
    except CheckpointError:
        index = None
    index = index if isinstance(index, dict) else {}
    try:
        version = version_of(index.get("schema"), SCHEMA, path)
    except CheckpointError as error:
        raise ConfigError(str(error)) from error
    jobs, other = index.get("jobs"), index.get("verb", "train")
    if version is None or not isinstance(jobs, list) or not all(isinstance(entry, dict) for entry in jobs):
        again = "delete it, and runs are found by their own files" if verb == "train" else "name a new folder"
        raise ConfigError(f"{shown(path)}: damaged: {again}")
    if other != verb:
        key = "run_dir" if verb == "train" else "out"
        raise ConfigError(f"{shown(path.parent)}: a sweep of genkit {shown(other)}: name another {key}=")
    if index.get("sweeper", "") != sweeper:
        kind = "a grid of values, and this is a search" if sweeper else "a search, and this is a grid of values"
        raise ConfigError(f"{shown(path.parent)}: {kind}: name another run_dir=")
    return [entry for entry in jobs if _is_name(entry.get("folder"))]


def _is_name(folder: Any) -> bool:
    """Tell whether this is the name of an entry below the sweep's folder."""
    return isinstance(folder, str) and "/" not in folder and folder not in ("", ".", "..")


def _stays(entry: Mapping[str, Any], names: set[str], index: SweepIndex) -> bool:
    return entry["folder"] not in names and (index.folder / entry["folder"]).exists()


def _place(job: SweepJob, folder: Path) -> str | None:
    """The name of a job's folder below the sweep's, the path of a run that it continues elsewhere."""
    if job.folder is None:
        return None
    return job.folder.name if job.folder.parent == folder else os.path.abspath(job.folder)


def _entry(job: SweepJob, folder: Path) -> dict[str, Any]:
    return {
        "number": job.number,
        "folder": _place(job, folder),
        "values": dict(job.values),
        "identity": dict(job.identity),
        "status": job.status,
        "exit_code": job.exit_code,
        "step": job.step,
        "score": job.score,
        **({"costs": job.costs, PARETO: job.in_pareto_set} if job.costs else {}),
        "seconds": job.seconds,
        "error": job.line or None,
        "process": None if job.pid is None else asdict(of_pid(job.pid)),
    }


def _process(record: Any) -> Process | None:
    """The process of an entry, None where the file has none that makes sense."""
    try:
        pid, host, start, boot = (record[name] for name in ("pid", "host", "start", "boot"))
    except (TypeError, KeyError):
        return None
    sound = type(pid) is int and pid > 0 and isinstance(host, str)
    sound = sound and (start is None or type(start) is int) and (boot is None or isinstance(boot, str))
    return Process(pid, host, start, boot) if sound else None
