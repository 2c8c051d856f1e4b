"""Pointers to a run's latest and best checkpoint, and removal of those no longer needed.

`latest` and `best` are text files in the run folder, one line with the name of a folder in `checkpoints/`. Age is the
step in that name, never a time stamp: clocks jump, copies touch.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal

from genkit.checkpoint.verify import is_complete
from genkit.errors import CheckpointError
from genkit.printing import shown
from genkit.storage.atomic import discard, replace_file, sweep
from genkit.storage.disk import storage_errors
from genkit.storage.regular import read_regular, require_inside

CHECKPOINTS = "checkpoints"
Pointer = Literal["latest", "best"]

_STEP = re.compile(r"step-([0-9]{8,18})")
_LONGEST = 64  # bytes of a pointer that are read


def step_name(step: int) -> str:
    """The folder's name for a step, e.g. step-00001000."""
    return f"step-{step:08d}"


def is_step_name(name: str) -> bool:
    """Tell whether `step_name` gives this name; no such name leads out of a folder."""
    match = _STEP.fullmatch(name)
    return match is not None and step_name(int(match[1])) == name


def step_folders(run: Path) -> list[Path]:
    """The run's checkpoint folders, intact or not, newest step first; empty where none was written."""
    checkpoints = run / CHECKPOINTS
    if not os.path.isdir(checkpoints):
        return []
    folders = [entry for entry in checkpoints.iterdir() if is_step_name(entry.name)]
    return sorted(folders, key=lambda entry: step_of(entry.name), reverse=True)


def newest_step(run: Path) -> int:
    """The step that a resumed run goes on from: that of `latest`, else of the newest folder, 0 where there is none."""
    names = [folder.name for folder in step_folders(run)]
    latest = pointed(run, "latest")
    name = latest if latest in names else next(iter(names), None)
    return 0 if name is None else step_of(name)


def step_of(name: str) -> int:
    """The step of a checkpoint, by the name of its folder."""
    return int(name.removeprefix("step-"))


def point(run: Path, pointer: Pointer, name: str) -> None:
    """Makes `latest` or `best` name a checkpoint of this run, atomically.

    Raises:
        CheckpointError: there is no such checkpoint.
        StorageError: it cannot be written; the old one stands.
    """
    if not is_step_name(name) or not (run / CHECKPOINTS / name).is_dir():
        raise CheckpointError(f"{shown(run)}: {pointer} cannot name {name!r}: there is no such checkpoint")
    replace_file(run / pointer, pointer_text(name))


def pointer_text(name: str) -> bytes:
    """The content of `latest` or `best`."""
    return f"{name}\n".encode("ascii")


def pointed(run: Path, pointer: Pointer) -> str | None:
    """The checkpoint's name in `latest` or `best`; None where it is missing or names no checkpoint."""
    try:
        text = read_regular(run / pointer, _LONGEST, inside=run, refusal=CheckpointError)
    except CheckpointError:
        return None
    name = text.decode("ascii", "replace").strip()
    return name if is_step_name(name) else None


def prune(run: Path, keep: int) -> list[Path]:
    """Deletes all but the newest `keep` complete checkpoints (at least one), `latest` and `best`.

    Folders that are not complete are left for the user to judge, and so are links, whose ends are somebody's own
    place. Call it when `latest` is durable.

    Returns:
        What was deleted.

    Raises:
        CheckpointError: `checkpoints` is a link out of the run.
        StorageError: a folder cannot be deleted.
    """
    require_inside(run / CHECKPOINTS, run)
    kept = {pointed(run, "latest"), pointed(run, "best")}
    complete = [folder for folder in step_folders(run) if not folder.is_symlink() and is_complete(folder)]
    surplus = [folder for folder in complete[max(keep, 1) :] if folder.name not in kept]
    for folder in surplus:
        with storage_errors(folder):
            discard(folder)
    return surplus


def sweep_run(run: Path) -> list[Path]:
    """Deletes what dead processes left half-written in the run folder and the folders directly in it."""
    folders = [entry for entry in sorted(run.iterdir()) if entry.is_dir() and not entry.is_symlink()]
    left = sweep(run)
    return left + [path for folder in folders if folder not in left for path in sweep(folder)]
