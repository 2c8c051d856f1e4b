"""Going back to an earlier checkpoint of a run: what came after it is kept aside, nothing is deleted.

    aside/<stamp>-after-step-N/    config.yaml  run.json  metrics.jsonl  latest  [best]  checkpoints/  samples/

The folder is itself a run folder, of the steps after N, so that what was kept is sampled and scored like any run.

Order, so that a kill at any instant leaves a run that resumes either where it stood or at step N:

    copies of the run's files, whole, in `aside/` → `latest` names step N → `best` names none after N
    → `metrics.jsonl` without later lines → run.json of step N → each later checkpoint moves, each by one rename
    → later pictures

Until `latest` is replaced nothing has changed; from then on the run is at step N. Later checkpoints that a kill left
under their names are set aside by the next resume (`is_unfinished`), in the same folder.

A checkpoint after `latest` without such a folder is another thing: the run was killed between two names, and goes on
to write the same bytes again.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from genkit.checkpoint.metrics_log import MetricsLog
from genkit.checkpoint.place import Place
from genkit.checkpoint.retention import (
    CHECKPOINTS,
    Pointer,
    point,
    pointed,
    pointer_text,
    step_folders,
    step_name,
    step_of,
)
from genkit.checkpoint.run_folder import CONFIG_YAML, METRICS, RUN
from genkit.errors import CheckpointError
from genkit.printing import shown
from genkit.storage.atomic import fsync_path, write_file
from genkit.storage.disk import storage_errors
from genkit.storage.exclusive import make_stamped
from genkit.storage.regular import read_regular, require_inside

ASIDE = "aside"
SAMPLES = "samples"

_STEP = re.compile(r"step-([0-9]{8,18})")
_COPIED = (CONFIG_YAML, RUN, METRICS)
_LARGEST = 2**32  # bytes of a file that is copied


def run_of(place: Place, key: str) -> Path:
    """The run of a place; raises CheckpointError where the checkpoint stands alone."""
    if place.run is None:
        raise CheckpointError(f"{key}={shown(place.folder)}: no run folder: name the folder that `genkit train` made")
    return place.run


def is_at(run: Path, step: int) -> bool:
    """Tell whether nothing in the run comes after this step."""
    return next(_after(run / CHECKPOINTS, step), None) is None and not _points_beyond(run, "best", step)


def is_unfinished(run: Path, step: int) -> bool:
    """Tell whether the run was killed while rolling back to this step, before all later files were moved."""
    begun = any((run / ASIDE).glob(f"*-after-{step_name(step)}*"))
    return begun and not is_at(run, step)


def set_aside(run: Path, step: int, best: str | None = None, note: Callable[[], object] = lambda: None) -> Path | None:
    """Make a checkpoint the run's latest and keep what came after it aside.

    Args:
        run: The run folder, owned by this process.
        step: The step of an intact checkpoint of it.
        best: The name of the best checkpoint up to that step, None where it no longer stands; it is asked for where
            `best` names a later one.
        note: Brings run.json to that step; called when `metrics.jsonl` has no later line any more.

    Returns:
        The folder with what came after, None where nothing did.

    Raises:
        CheckpointError: a link leads out of the run.
        StorageError: the disk refuses.
    """
    if is_at(run, step):
        return None
    for name in (ASIDE, CHECKPOINTS, SAMPLES):
        require_inside(run / name, run)
    later = [(kind, list(_after(run / kind, step))) for kind in (CHECKPOINTS, SAMPLES)]
    name = f"{time.strftime('%Y%m%d-%H%M%S')}-after-{step_name(step)}"
    begun = _begun(run, step, [path.relative_to(run) for _, paths in later for path in paths])
    target = begun or make_stamped(run / ASIDE / name, lambda folder: _copy(run, folder, step))
    with storage_errors(target):
        if pointed(run, "latest") != step_name(step):
            point(run, "latest", step_name(step))
        if _points_beyond(run, "best", step):
            _replace_best(run, best)
        MetricsLog(run / METRICS).truncate_after(step)
        note()
        for kind, paths in later:
            _move(paths, target / kind)
    return target


def _begun(run: Path, step: int, later: Sequence[Path]) -> Path | None:
    """The folder of an errand that was killed: it lacks what is yet to be moved, and its log begins with the run's."""
    log = _read(run, METRICS)
    for folder in sorted((run / ASIDE).glob(f"*-after-{step_name(step)}*"), reverse=True):
        whole = all((folder / name).is_dir() for name in (CHECKPOINTS, SAMPLES))
        taken = any(os.path.lexists(folder / path) for path in later)
        if whole and not taken and _read(run, METRICS, folder).startswith(log):
            return folder
    return None


def _read(run: Path, name: str, folder: Path | None = None) -> bytes:
    """A file of a run or of a folder in it, nothing where there is none."""
    path = (folder or run) / name
    return read_regular(path, _LARGEST, inside=run, refusal=CheckpointError) if os.path.isfile(path) else b""


def _copy(run: Path, folder: Path, step: int) -> None:
    """The files of a run folder that holds what comes after the step."""
    for name in (CHECKPOINTS, SAMPLES):
        (folder / name).mkdir()
    for name in _COPIED:
        if os.path.isfile(run / name):
            write_file(folder / name, [_read(run, name)])
    for newest in step_folders(run)[:1]:
        write_file(folder / "latest", [pointer_text(newest.name)])
    best = pointed(run, "best")
    if best is not None and _points_beyond(run, "best", step):
        write_file(folder / "best", [pointer_text(best)])


def _replace_best(run: Path, best: str | None) -> None:
    if best is not None:
        point(run, "best", best)
        return
    (run / "best").unlink()
    fsync_path(run)


def _move(entries: list[Path], target: Path) -> None:
    for entry in entries:
        os.rename(entry, target / entry.name)
    for parent in {target, *(entry.parent for entry in entries)} if entries else ():
        fsync_path(parent)


def _points_beyond(run: Path, pointer: Pointer, step: int) -> bool:
    name = pointed(run, pointer)
    return name is not None and step_of(name) > step


def _after(folder: Path, step: int) -> Iterator[Path]:
    """The entries named after a later step: checkpoints, and pictures such as step-00000012-reconstruction.png."""
    if not os.path.isdir(folder):
        return
    for entry in sorted(folder.iterdir()):
        match = _STEP.match(entry.name)
        if match is not None and int(match[1]) > step:
            yield entry
