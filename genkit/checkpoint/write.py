"""Write a checkpoint atomically: a kill or a full disk at any instant leaves all earlier files intact.

    temporary folder beside it → files → manifest last → fsync of all → rename to a free name → fsync of its parent →
    `latest` renamed over the old one → fsync of its parent

Only after that, by the caller, `prune`. At any instant `latest` is the old one or the new one, each naming a checkpoint
that stands, after a power loss too. (Three flushes of the disk: the content of `latest` is made durable with that of
the checkpoint.)

An intact checkpoint of the same step is never overwritten: it is returned as it is, since a resumed run writes the same
bytes again. A damaged one gives way, and so does a link, of which the link alone is deleted.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from torch import Tensor

from genkit.checkpoint import strict_json
from genkit.checkpoint.manifest import CONFIG, MANIFEST, MODEL, TRAINING, TRAINING_TENSORS, Entry, Manifest
from genkit.checkpoint.read import find_checkpoint
from genkit.checkpoint.retention import Pointer, point, pointer_text, step_name
from genkit.checkpoint.tensors import encode, size_of, split_aliases
from genkit.checkpoint.verify import read_listed, verify_checkpoint
from genkit.errors import CheckpointError
from genkit.storage.atomic import discard, publish, temporary_file, temporary_folder, write_file
from genkit.storage.disk import storage_errors
from genkit.storage.exclusive import NEW_OUT, make_new
from genkit.storage.regular import require_inside

JsonDict = Mapping[str, Any]
Tensors = Mapping[str, Tensor]


def write_checkpoint(
    checkpoints: Path,
    step: int,
    *,
    config: JsonDict,
    model: Tensors,
    training_tensors: Tensors | None = None,
    training: JsonDict | None = None,
    pointers: Sequence[Pointer] = (),
) -> Path:
    """Writes `checkpoints/step-%08d/`, complete and durable when this returns.

    Args:
        checkpoints: Folder of a run's checkpoints; made when missing, the run folder is not.
        step: Optimizer steps done, at least 0.
        config: All that rebuilds the model, plain JSON.
        model: The weights for use.
        training_tensors: Raw weights where `model` is an average, optimizer state.
        training: Counters and other state that resuming needs, plain JSON (see `flatten_state`).
        pointers: Which files of the run, the folder above `checkpoints`, name this checkpoint from now on.

    Raises:
        CheckpointError: something in the content cannot be stored exactly, or `checkpoints` is a link out of the run;
            nothing is left behind.
        StorageError: the disk refuses; nothing is left behind, earlier checkpoints are untouched.
    """
    target, run = checkpoints / step_name(step), checkpoints.parent
    require_inside(checkpoints, run)
    if _is_intact(target):
        for pointer in pointers:
            point(run, pointer, target.name)
        return target
    texts = {CONFIG: strict_json.render(config, CONFIG)}
    if training is not None:
        texts[TRAINING] = strict_json.render(training, TRAINING, indent=None)
    arrays = {MODEL: split_aliases(model)}
    if training_tensors is not None:
        arrays[TRAINING_TENSORS] = split_aliases(training_tensors)
    needed = sum(map(len, texts.values())) + sum(size_of(stored) for stored, _ in arrays.values())
    with storage_errors(target, needed):
        checkpoints.mkdir(exist_ok=True)  # in a run folder that is there: one that vanished is not made again
        with temporary_folder(target) as temporary, ExitStack() as notes:
            files = {name: Entry(*write_file(temporary / name, [data])) for name, data in texts.items()}
            for name, (stored, _) in arrays.items():
                files[name] = Entry(*write_file(temporary / name, encode(stored)))
            aliases = {name: tied for name, (_, tied) in arrays.items() if tied}
            _finish(temporary, Manifest("checkpoint", step, files, aliases))
            text = pointer_text(target.name)
            moves = [(notes.enter_context(temporary_file(run / pointer, text)), run / pointer) for pointer in pointers]
            if os.path.lexists(target):
                discard(target)
            publish((temporary, target), *moves)
    return target


def export_checkpoint(path: Path | str, out: Path | str) -> Path:
    """Writes the shareable form of a checkpoint: config.json, model.safetensors and their own manifest.

    Args:
        path: A checkpoint, an export, or a run folder (its `latest`).
        out: The new folder; it must not exist or be empty.

    Raises:
        CheckpointError: there is no intact checkpoint at `path`.
        ConfigError: `out` is in use.
        StorageError: the disk refuses; nothing is left behind.
    """
    source = find_checkpoint(path)
    files = {name: source.manifest.files[name] for name in (CONFIG, MODEL)}
    aliases = {name: tied for name, tied in source.manifest.aliases.items() if name in files}

    def fill(folder: Path) -> None:
        for name, entry in files.items():
            write_file(folder / name, [read_listed(source.path, name, entry)])
        _finish(folder, Manifest("export", source.step, files, aliases))

    needed = sum(entry.bytes for entry in files.values())
    return make_new(out, fill, NEW_OUT, needed)


def _is_intact(target: Path) -> bool:
    if target.is_symlink():  # what lies at its end may change, and is not this run's to keep
        return False
    try:
        verify_checkpoint(target)
    except CheckpointError:
        return False
    return True


def _finish(folder: Path, manifest: Manifest) -> None:
    write_file(folder / MANIFEST, [manifest.render()])
