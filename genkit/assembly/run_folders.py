"""The runs that a command names: folders of runs and of sweeps, checkpoints of runs, or the newest run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from genkit.checkpoint.newest import newest_run
from genkit.checkpoint.place import is_run_folder, locate, runs_below
from genkit.errors import CheckpointError
from genkit.printing import shown


def named_runs(paths: Sequence[Path], verb: str) -> list[Path]:
    """The runs of all paths, in their order; without a path the newest finished one.

    Raises:
        CheckpointError: a path that leads to no run.
        ConfigError: no path, and there is no finished run.
    """
    return [run for path in paths or (newest_run(verb),) for run in runs_of(path)]


def runs_of(path: Path) -> list[Path]:
    """The run of a folder, the runs of a sweep's, or the run that a checkpoint belongs to.

    Raises CheckpointError where there is none.
    """
    if is_run_folder(path.absolute()):
        return [path]
    if runs := runs_below(path):
        return runs
    run = locate(path).run
    if run is None:
        raise CheckpointError(f"{shown(path)}: a checkpoint without its run, which alone has a history: name a run")
    return [run]
