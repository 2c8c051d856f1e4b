"""`genkit verify ckpt=PATH`: every file of a checkpoint against its manifest; of a run folder, every checkpoint.

With `replay=20` also the run's promise: up to so many recorded steps are trained again and compared to the last bit.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self, get_args

from genkit.checkpoint.place import is_run_folder, locate
from genkit.checkpoint.retention import CHECKPOINTS, Pointer, pointed, step_folders
from genkit.checkpoint.verify import verify_checkpoint
from genkit.config.hydra.arguments import read_arguments
from genkit.config.hydra.default_run import with_newest
from genkit.errors import CheckpointError, ConfigError
from genkit.printing import shown
from genkit.storage.regular import is_inside

USAGE = "genkit verify [ckpt=RUN_OR_CHECKPOINT] [replay=STEPS] [plugins=PACKAGE,…]"


@dataclass(frozen=True)
class VerifySettings:
    """Of `genkit verify`.

    Attributes:
        path: A run or a checkpoint.
        steps: How many to replay; 0: none.
        plugins: Packages that classes may come from, besides genkit.
    """

    path: Path
    steps: int
    plugins: tuple[str, ...]

    @classmethod
    def of(cls, argv: list[str]) -> Self:
        """Raises ConfigError for what cannot be read, CheckpointError where there is no run to verify."""
        given = read_arguments(
            with_newest("verify", argv, ["replay", "plugins"]), ["ckpt"], USAGE, optional=["replay", "plugins"]
        )
        path, plugins = Path(given["ckpt"]), given.get("plugins", "").strip("[]").split(",")
        return cls(path, _steps(given.get("replay"), path), tuple(filter(None, plugins)))


def run(argv: list[str]) -> int:
    """Print a line for each intact checkpoint.

    Raises:
        CheckpointError: one of them is damaged, after all were looked at, or none could be looked at; a pointer of the
            run leads to none; or replayed steps differ.
        ConfigError: replay= is no number of steps of a run.
    """
    if {"-h", "--help"} & set(argv):
        print(f"usage: {USAGE}")
        return 0
    settings = VerifySettings.of(argv)
    path = settings.path
    folders = _named(path)
    if not folders:
        raise CheckpointError(f"{shown(path)}: this run has no checkpoint")
    run = _run_of(path)
    own = [folder for folder in folders if run is None or is_inside(folder, run)]
    for folder in folders:
        if folder not in own:
            print(f"not looked at: {shown(folder)}: a link out of the run: verify it by its own name")
    if not own:
        raise CheckpointError(f"{shown(path)}: nothing was verified: every checkpoint is a link out of the run")
    damage = [error for folder in own if (error := verified(folder)) is not None]
    damage += _dangling(path) if is_run_folder(path) else []
    for error in damage[1:]:
        print(f"damaged: {error}")
    if damage:
        raise damage[0]
    if settings.steps:
        from genkit.assembly.replay import replay  # imports torch and lightning
        from genkit.report.console import make_console

        replay(path, settings.steps, settings.plugins, make_console())
    return 0


def _named(path: Path) -> list[Path]:
    """Every checkpoint of a run, or the one that is named."""
    if is_run_folder(path):
        return step_folders(path)
    place = locate(path)
    if place.pointer != "latest":
        return [place.folder]
    name = pointed(place.folder, "latest")
    return step_folders(place.folder)[:1] if name is None else [place.folder / CHECKPOINTS / name]


def _run_of(path: Path) -> Path | None:
    """The run whose checkpoints are named through it or its pointers; None for a checkpoint that is named itself."""
    if is_run_folder(path):
        return path
    place = locate(path)
    return None if place.pointer is None else place.run


def _dangling(run: Path) -> list[CheckpointError]:
    """Faults of the pointers `latest` and `best`; a run may lack either."""
    found = []
    for pointer in get_args(Pointer):
        name = pointed(run, pointer)
        if name is None and os.path.lexists(run / pointer):
            found.append(CheckpointError(f"{shown(run / pointer)}: names no checkpoint"))
        elif name is not None and not os.path.lexists(run / CHECKPOINTS / name):
            found.append(CheckpointError(f"{shown(run / pointer)}: names {name}, which is missing"))
    return found


def _steps(text: str | None, path: Path) -> int:
    """Number of steps to replay, 0 for none."""
    if text is None:
        return 0
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 2**40):
        raise ConfigError(f"replay={text}: a number of steps ≥ 1 is asked for, as in replay=20")
    if not is_run_folder(path):
        raise ConfigError(f"replay={text}: {shown(path)} is no run folder: name the folder that `genkit train` made")
    return int(text)


def verified(folder: Path) -> CheckpointError | None:
    """Prints what an intact folder holds; the error of a damaged one."""
    try:
        manifest = verify_checkpoint(folder)
    except CheckpointError as error:
        return error
    size = sum(entry.bytes for entry in manifest.files.values())
    content = f"{len(manifest.files):,} files, {size:,} bytes"
    print(f"intact: {shown(folder)}: {manifest.kind} of step {manifest.step:,}, {content}")
    return None
