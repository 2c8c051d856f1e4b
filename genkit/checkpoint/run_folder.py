"""The folder of one run: made whole, owned by one process, moved or copied freely (no path in it is absolute).

    outputs/<verb>/<stamp>-<label>/    config.yaml  run.json  metrics.jsonl  samples/  checkpoints/  latest  best  .lock

It is built under a temporary name and renamed into place, so `config.yaml`, `run.json` and the lock appear with it;
eight processes that start in the same second get eight folders.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import secrets
import time
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

from genkit import __version__
from genkit.checkpoint import lock, strict_json
from genkit.checkpoint.retention import CHECKPOINTS, is_step_name, sweep_run
from genkit.checkpoint.verify import read_small
from genkit.errors import CheckpointError, GenkitError
from genkit.printing import shown
from genkit.storage.atomic import replace_file, write_file
from genkit.storage.exclusive import NEW_RUN, make_new, make_stamped
from genkit.storage.regular import links_out
from genkit.storage.version import version_of

CONFIG_YAML = "config.yaml"
RUN = "run.json"
METRICS = "metrics.jsonl"
SCHEMA = "genkit.run/1"

# The fields that a command reads back, and what they may be
KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("verb", "status", "started", "label", "host"), (str,)),
    **dict.fromkeys(("device", "data_fingerprint", "signal", "noise"), (str, type(None))),
    **dict.fromkeys(("exit_code", "threads", "processes", "seed", "step"), (int, type(None))),
    "best": (dict, type(None)),
    "budget": (dict, type(None)),
    "wall_time": (int, float, type(None)),
    "versions": (dict,),
    "history": (list,),
}


class RunFolder:
    """A run folder that this process owns until `close`, best used as a context manager.

    Attributes:
        path: The folder, absolute.
        info: The content of `run.json`; change it through `update`.
    """

    def __init__(self, path: Path, info: dict[str, Any]) -> None:
        self.path = path
        self.info = info

    @classmethod
    def create(
        cls,
        path: Path | str | None,
        verb: str,
        label: str,
        *,
        config: str,
        info: Mapping[str, Any],
        root: Path = Path("outputs"),
    ) -> RunFolder:
        """A new run folder, owned by this process.

        Args:
            path: The user's choice, new or empty; None for `root/<verb>/<stamp>-<label>/`, with a suffix if taken.
            verb: The command, e.g. "train".
            label: What the run is about, e.g. "vae-digits".
            config: Text of `config.yaml`, the resolved configuration.
            info: What the command knows for `run.json`: command, seed, data_fingerprint, device, threads, …;
                `versions` is added to the ones known here.
            root: Folder of all outputs.

        Raises:
            ConfigError: `path` is in use.
            StorageError: it cannot be written.
        """
        record = _record(verb, info)
        files = {CONFIG_YAML: config.encode("utf-8"), RUN: strict_json.render(record, RUN)}
        if path is not None:
            return cls(make_new(path, lambda folder: _fill(folder, files), NEW_RUN), record)
        name = f"{time.strftime('%Y%m%d-%H%M%S')}-{re.sub('[^A-Za-z0-9._-]+', '_', label)}"
        return cls(make_stamped(Path(root, verb, name), lambda folder: _fill(folder, files)), record)

    @classmethod
    def open(cls, path: Path | str) -> RunFolder:
        """An existing run folder, to resume in it: takes the lock and clears what a dead owner left half-written.

        Raises:
            CheckpointError: there is no run folder, its run.json is damaged, or a link leads out of it.
            StorageError: another process owns it and lives, or cannot be asked.
        """
        folder = Path(os.path.realpath(path))
        if not os.path.isfile(folder / RUN):
            raise CheckpointError(f"{shown(folder)}: no run folder ({RUN} is missing): name the folder of a run")
        read_info(folder / RUN)  # before the lock, so that a folder which is no run stays as it is
        _refuse_links_out(folder)
        lock.acquire(folder)
        sweep_run(folder)
        return cls(folder, read_info(folder / RUN))

    def update(self, **fields: Any) -> None:
        """Changes fields of `run.json` atomically, e.g. status="done", exit_code=0, wall_time=12.5."""
        self.info = self.info | fields
        replace_file(self.path / RUN, strict_json.render(self.info, RUN))

    def write_config(self, text: str) -> None:
        """Replaces `config.yaml`, atomically."""
        replace_file(self.path / CONFIG_YAML, text.encode("utf-8"))

    def close(self) -> None:
        """Gives the folder up."""
        lock.release(self.path)

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # the error that led here is the one to report
        with suppress(GenkitError) if kind is not None else nullcontext():
            self.close()


def read_info(path: Path) -> dict[str, Any]:
    """The content of a run.json; raises CheckpointError where it is damaged, foreign or of a newer genkit."""
    info = strict_json.parse(read_small(path), path)
    if not isinstance(info, dict) or version_of(info.get("schema"), SCHEMA, path) is None:
        raise CheckpointError(f"{shown(path)}: not written by genkit: restore it from a copy")
    for key, kinds in KINDS.items():
        if key in info and type(info[key]) not in kinds:
            raise CheckpointError(f"{shown(path)}: {key} is {shown(repr(info[key]), 40)}: restore it from a copy")
    for key in ("status", "wall_time"):
        if key not in info:
            raise CheckpointError(f"{shown(path)}: {key} is missing: restore it from a copy")
    if not (all(isinstance(each, dict) for each in info.get("history", [])) and 0 <= (info["wall_time"] or 0) < 1e15):
        raise CheckpointError(f"{shown(path)}: its history or wall_time is malformed: restore it from a copy")
    return info


def _refuse_links_out(folder: Path) -> None:
    """Refuse links out of the folder, so that a resumed run writes nowhere else.

    Links to checkpoints that were moved to another disk are left alone: nothing is written or deleted through them.
    """
    moved = folder / CHECKPOINTS
    for link in links_out(folder):
        if link.parent != moved or not is_step_name(link.name):
            raise CheckpointError(
                f"{shown(link)}: a link out of the run folder, which a resumed run would write through: put what it "
                "leads to there, or delete the link"
            )


def _record(verb: str, info: Mapping[str, Any]) -> dict[str, Any]:
    start = {"schema": SCHEMA, "verb": verb, "status": "running", "exit_code": None, "wall_time": 0.0}
    start |= {"started": utc(), "id": secrets.token_hex(8)}  # the id is the same wherever the folder is moved
    return start | dict(info) | {"versions": versions() | dict(info.get("versions", {}))}


def utc() -> str:
    """The time as run.json has it: later times sort later."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def versions() -> dict[str, str]:
    """Of what every run depends on."""
    torch = importlib.metadata.version("torch")  # not imported: this module serves commands that need no tensor
    return {"genkit": __version__, "python": platform.python_version(), "torch": torch}


def _fill(folder: Path, files: Mapping[str, bytes]) -> None:
    lock.acquire(folder)  # first, so that it keeps others out also where the folder is filled in place
    (folder / CHECKPOINTS).mkdir()
    for name, data in files.items():
        write_file(folder / name, [data])
