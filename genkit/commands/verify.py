"""`genkit verify ckpt=PATH`: every file of a checkpoint against its manifest; of a run folder, every checkpoint."""

from __future__ import annotations

from pathlib import Path

from genkit.checkpoint.read import is_run_folder
from genkit.checkpoint.retention import step_folders
from genkit.checkpoint.verify import verify_checkpoint
from genkit.config.plain import read_arguments
from genkit.errors import CheckpointError
from genkit.storage.disk import shown

USAGE = "genkit verify ckpt=RUN_OR_CHECKPOINT"


def run(argv: list[str]) -> int:
    """Prints a line for each intact checkpoint.

    Raises:
        CheckpointError: one of them is damaged, after all were looked at.
    """
    if {"-h", "--help"} & set(argv):
        print(f"usage: {USAGE}")
        return 0
    path = Path(read_arguments(argv, ["ckpt"], USAGE)["ckpt"])
    folders = step_folders(path) if is_run_folder(path) else [path]
    if not folders:
        raise CheckpointError(f"{shown(path)}: this run has no checkpoint")
    damage = [error for folder in folders if (error := verified(folder)) is not None]
    for error in damage[1:]:
        print(f"damaged: {error}")
    if damage:
        raise damage[0]
    return 0


def verified(folder: Path) -> CheckpointError | None:
    """Prints what an intact folder holds; the error of a damaged one."""
    try:
        manifest = verify_checkpoint(folder)
    except CheckpointError as error:
        return error
    size = sum(entry.bytes for entry in manifest.files.values())
    content = f"{len(manifest.files)} files, {size:,} bytes"
    print(f"intact: {shown(folder)}: {manifest.kind} of step {manifest.step}, {content}")
    return None
