"""`genkit export ckpt=PATH out=FOLDER`: the shareable form of a checkpoint, without training state."""

from __future__ import annotations

import sys

from genkit.config.hydra.arguments import read_arguments
from genkit.config.hydra.default_run import with_newest
from genkit.printing import pasteable, shown

USAGE = "genkit export [ckpt=RUN_OR_CHECKPOINT] out=FOLDER"


def run(argv: list[str]) -> int:
    """Raises CheckpointError, ConfigError or StorageError as `export_checkpoint` does."""
    if {"-h", "--help"} & set(argv):
        print(f"usage: {USAGE}")
        return 0
    arguments = read_arguments(with_newest("export", argv, ["out"]), ["ckpt", "out"], USAGE)
    from genkit.checkpoint.write import export_checkpoint  # imports torch

    path = export_checkpoint(arguments["ckpt"], arguments["out"])
    print(shown(path))  # alone in a pipe, for `$(genkit export …)`
    if sys.stdout.isatty():
        print(f"next:\n  {pasteable('sample', f'ckpt={path}')}")
    return 0
