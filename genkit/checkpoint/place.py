"""Resolve a path given as `ckpt=`, `resume=` or `start=`; no tensor is read, torch is not imported.

    RUN                       the run's latest checkpoint
    RUN/latest  RUN/best      the checkpoint that this pointer names
    RUN/checkpoints/step-N    this checkpoint, with or without the zeros of its name
    EXPORT                    a folder that `genkit export` made

A folder of checkpoints, and a folder of runs, are refused with what to name in it.

Links. A path may lead through them and means what they lead to: so a checkpoint that was moved to another
disk and linked back is read as RUN/checkpoints/step-N. Where the run itself says which checkpoint, in its pointers, a
link out of the run is not followed.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from genkit.checkpoint.manifest import MANIFEST
from genkit.checkpoint.retention import CHECKPOINTS, Pointer, is_step_name, pointed, step_folders, step_name
from genkit.checkpoint.run_folder import RUN
from genkit.checkpoint.verify import read_manifest
from genkit.errors import CheckpointError
from genkit.printing import shell_word, shown
from genkit.storage.regular import is_inside

LISTED = 4  # names in a message

_POINTERS: dict[str, Pointer] = {"latest": "latest", "best": "best"}
_SHORT_STEP = re.compile(r"step-([0-9]{1,17})")


@dataclass(frozen=True)
class Place:
    """The checkpoint that a path names.

    Attributes:
        folder: The checkpoint's folder, absolute; for the pointer "latest", the run's.
        run: The run that it belongs to, None for an export and for a checkpoint that was copied out of its run.
        pointer: Through which pointer of the run it was named, None where it was named itself.
    """

    folder: Path
    run: Path | None = None
    pointer: Pointer | None = None


def locate(path: Path | str) -> Place:
    """The place that a path leads to; its checkpoint is verified when it is opened.

    Raises:
        CheckpointError: there is nothing, or nothing that is one checkpoint; the message says what to name.
    """
    folder = Path(os.path.abspath(path))
    if is_run_folder(folder):
        return Place(folder, folder, "latest")
    if folder.name in _POINTERS and not os.path.isdir(folder) and is_run_folder(folder.parent):
        return _pointed(folder.parent, _POINTERS[folder.name])
    if folder.parent.name == CHECKPOINTS and is_run_folder(folder.parent.parent):
        return Place(_step(folder), folder.parent.parent)
    if not os.path.lexists(folder / MANIFEST) and os.path.isdir(folder):
        _refuse_parent(folder)
    read_manifest(folder)
    return Place(folder)


def is_run_folder(folder: Path) -> bool:
    """Tell whether this is the folder of a run, rather than of one checkpoint."""
    if os.path.lexists(folder / MANIFEST):
        return False
    return os.path.isdir(folder / CHECKPOINTS) or os.path.isfile(folder / RUN)


def runs_below(folder: Path) -> list[Path]:
    """The run folders directly in a folder, such as the jobs of a sweep: 2-… before 10-…."""
    try:
        entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except OSError:
        return []
    return sorted((entry for entry in entries if os.path.isfile(entry / RUN)), key=_natural)


def _natural(path: Path) -> tuple[bool, int, str]:
    number = re.match(r"[0-9]{1,17}(?=-)", path.name)
    return (number is None, int(number[0]) if number else 0, path.name)


def _pointed(run: Path, pointer: Pointer) -> Place:
    if pointer == "latest":
        return Place(run, run, "latest")
    name = pointed(run, pointer)
    if name is None:
        advice = (
            f"the best one is chosen at validations, by checkpoint.monitor=; {shell_word(f'ckpt={run}')} is its latest"
        )
        raise CheckpointError(f"{shown(run)}: this run has no best checkpoint: {advice}")
    if not os.path.isdir(run / CHECKPOINTS / name):
        raise CheckpointError(f"{shown(run)}: {name}, its best, is missing: name {shown(run)}, which is its latest")
    if not is_inside(run / CHECKPOINTS / name, run):
        itself = shown(run / CHECKPOINTS / name)
        raise CheckpointError(f"{shown(run)}: {name}, its best, is a link out of the run: name it itself, {itself}")
    return Place(run / CHECKPOINTS / name, run, pointer)


def _step(folder: Path) -> Path:
    """A folder below `checkpoints/`, its step written with or without zeros in front."""
    short = _SHORT_STEP.fullmatch(folder.name)
    if short and not os.path.lexists(folder):
        folder = folder.with_name(step_name(int(short[1])))
    if is_step_name(folder.name) and not os.path.lexists(folder):
        there = _listed([path.name for path in reversed(step_folders(folder.parent.parent))]) or "none"
        raise CheckpointError(f"{shown(folder)}: no such checkpoint: this run has {there}")
    return folder


def _refuse_parent(folder: Path) -> None:
    """Raises CheckpointError where this is a folder of checkpoints or of runs."""
    if folder.name == CHECKPOINTS and is_run_folder(folder.parent):
        newest = [f", or {shown(path)}" for path in step_folders(folder.parent)[:1]]
        raise CheckpointError(
            f"{shown(folder)}: a folder of checkpoints: name the run, {shown(folder.parent)}{''.join(newest)}"
        )
    steps = sorted(entry.name for entry in folder.iterdir() if is_step_name(entry.name))
    if steps:
        raise CheckpointError(f"{shown(folder)}: a folder of checkpoints: name one of them: {_listed(steps)}")
    if runs := runs_below(folder):
        names = _listed([run.name for run in runs])
        raise CheckpointError(f"{shown(folder)}: a folder of runs: name one of them: {names}")


def _listed(names: list[str]) -> str:
    more = [f"… ({len(names)} in all)"] if len(names) > LISTED else []
    return ", ".join([*map(shown, names[:LISTED]), *more])
