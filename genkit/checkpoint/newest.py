"""The run that a command takes where none is named: the newest finished one below `outputs/train`.

Finished is a run whose run.json says "done" and which has a checkpoint: one that was stopped is to be resumed first, or
named. Newest is the one whose training ended last, by the time in run.json; jobs of sweeps count, one level deeper.
Imports no torch, so that where there is none the command answers at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from genkit.checkpoint import lock
from genkit.checkpoint.manifest import MANIFEST
from genkit.checkpoint.place import is_run_folder, runs_below
from genkit.checkpoint.retention import step_folders
from genkit.checkpoint.run_folder import RUN, read_info
from genkit.errors import CheckpointError, ConfigError, GenkitError
from genkit.printing import pasteable, shell_word, shown

ROOT = Path("outputs", "train")

Found = tuple[tuple[str, int], Path, dict[str, Any]]  # when it ended, the folder, its run.json


def newest_run(verb: str, root: Path = ROOT, others: str = "") -> Path:
    """The newest finished run in or below the folders of `root`.

    Args:
        verb: The command, for the message.
        root: Where runs lie.
        others: What else the command could be given, for the message, such as " or samples=FILE".

    Raises:
        ConfigError: there is none; the message says how to get one.
    """
    runs = sorted(_runs(root), key=lambda found: (found[0], found[1]))
    finished = [path for _, path, info in runs if info.get("status") == "done" and step_folders(path)]
    if finished:
        return finished[-1]
    begun = ""
    if runs:
        _, path, info = runs[-1]
        begun = f"{shown(path)} {_state(path, info)}; "
    raise ConfigError(
        f"genkit {verb}: no ckpt= is named and there is no finished run below {shown(root)}: {begun}"
        f"train one, as in genkit train model=diffusion, or name ckpt=RUN{others}"
    )


def _state(run: Path, info: dict[str, Any]) -> str:
    """The state of an unfinished run and what to do about it; only one that no process owns is to be resumed."""
    if (owner := lock.living_owner(run)) is not None:
        named = f", or name {shell_word(f'ckpt={run}')}, its latest checkpoint" if step_folders(run) else ""
        return f"is being trained by process {owner.pid} on {shown(owner.host)}: wait until it ends{named}"
    status = info.get("status")
    state = "was killed" if status == "running" else f"is {shown(status)}"
    return f"{state}: {pasteable('train', f'resume={run}')} continues it"


def each_finished(path: str) -> list[str]:
    """The finished runs of a sweep's folder in the order of its jobs; any other path alone.

    Raises:
        CheckpointError: none of its runs is finished.
    """
    folder = Path(path)
    if is_run_folder(folder) or (folder / MANIFEST).exists() or not (runs := runs_below(folder)):
        return [path]
    finished = [str(run) for run in runs if _status(run) == "done"]
    if not finished:
        raise CheckpointError(f"{shown(folder)}: none of its {len(runs):,} runs is finished: name one of them")
    return finished


def _status(run: Path) -> object:
    try:
        return read_info(run / RUN).get("status")
    except GenkitError:
        return None  # damaged, or not genkit's


def _runs(root: Path) -> Iterator[Found]:
    try:
        folders = [entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
    except OSError:
        return
    for folder in folders:
        for path in [folder] if (folder / RUN).is_file() else runs_below(folder):
            try:
                info = read_info(path / RUN)
            except GenkitError:
                continue  # damaged, or not genkit's
            ended = str(info.get("ended") or info.get("started") or "")
            yield (ended, (path / RUN).stat().st_mtime_ns), path, info
