"""Opening a checkpoint: verified first, then read piece by piece, each piece from the very bytes that were hashed.

`open_checkpoint` takes a checkpoint or an export folder; `find_checkpoint` also a run folder and its pointers. Where a
run's `latest` is missing or names something damaged, the newest intact checkpoint takes its place and `notice` says so.
A `best` that is damaged is refused: nothing else is the best.
"""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genkit.checkpoint import strict_json
from genkit.checkpoint.header import TensorLayout, read_header
from genkit.checkpoint.manifest import ANOTHER, CONFIG, MODEL, TRAINING, TRAINING_TENSORS, Manifest
from genkit.checkpoint.place import locate
from genkit.checkpoint.retention import CHECKPOINTS, Pointer, is_step_name, pointed, step_folders
from genkit.checkpoint.tensors import decode
from genkit.checkpoint.verify import open_listed, read_listed, verify_checkpoint
from genkit.errors import CheckpointError
from genkit.printing import shown
from genkit.storage.regular import is_inside


@dataclass(frozen=True)
class Checkpoint:
    """An intact checkpoint or export; its methods read the files when called.

    Attributes:
        path: The folder, absolute.
        manifest: What it holds.
        notice: One line for the user when this is not the checkpoint that was asked for, else None.
        pointer: "latest" or "best" where the run's pointer led to it, None where it was named itself.
    """

    path: Path
    manifest: Manifest
    notice: str | None = None
    pointer: Pointer | None = None

    @property
    def step(self) -> int:
        """Optimizer steps that were done."""
        return self.manifest.step

    def config(self) -> dict[str, Any]:
        """All that rebuilds the model, plain JSON."""
        return self._json(CONFIG)

    def model(self, device: torch.device | str = "cpu") -> dict[str, Tensor]:
        """The weights for use, by name."""
        return self.tensors(MODEL, device)

    def training(self, device: torch.device | str = "cpu") -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The state that resuming needs: tensors and JSON, each empty where the checkpoint was written without.

        Raises:
            CheckpointError: this is an export, which cannot be resumed.
        """
        if self.manifest.kind == "export":
            raise CheckpointError(f"{shown(self.path)}: an export has no training state: use the run it came from")
        files = self.manifest.files
        tensors = self.tensors(TRAINING_TENSORS, device) if TRAINING_TENSORS in files else {}
        return tensors, self._json(TRAINING) if TRAINING in files else {}

    def layout(self, name: str = MODEL) -> dict[str, TensorLayout]:
        """Dtype and shape of every tensor of a file, tied names included; no tensor is read."""
        with open_listed(self.path, name, self.manifest.files[name]) as file:
            tensors = read_header(file, self.manifest.files[name].bytes, self.path / name)
        aliases = self.manifest.aliases.get(name, {})
        return tensors | {tied: tensors[owner] for tied, owner in aliases.items() if owner in tensors}

    def _bytes(self, name: str) -> bytes:
        return read_listed(self.path, name, self.manifest.files[name])

    def _json(self, name: str) -> dict[str, Any]:
        value = strict_json.parse(self._bytes(name), self.path / name)
        if not isinstance(value, dict):
            raise CheckpointError(f"{shown(self.path / name)}: holds no JSON object: {ANOTHER}")
        return value

    def tensors(self, name: str, device: torch.device | str = "cpu") -> dict[str, Tensor]:
        """All tensors of a file, by name."""
        return decode(self._bytes(name), self.manifest.aliases.get(name, {}), self.path / name, device)


def open_checkpoint(path: Path | str) -> Checkpoint:
    """The checkpoint or export in this very folder, all its files verified.

    Raises:
        CheckpointError: see `verify_checkpoint`.
    """
    folder = Path(os.path.abspath(path))
    return Checkpoint(folder, verify_checkpoint(folder))


def find_checkpoint(path: Path | str) -> Checkpoint:
    """The checkpoint that `ckpt=`, `resume=` or `start=` names: see `place`.

    Raises:
        CheckpointError: nothing intact is there; every damaged checkpoint is left as it is.
    """
    place = locate(path)
    if place.pointer == "latest":
        return _latest(place.folder)
    return dataclasses.replace(open_checkpoint(place.folder), pointer=place.pointer)


def _latest(folder: Path) -> Checkpoint:
    """The latest checkpoint of a run, or the newest intact one."""
    name = pointed(folder, "latest")
    if name is not None and (latest := _intact(folder, name)) is not None:
        return dataclasses.replace(latest, pointer="latest")
    for candidate in step_folders(folder):
        if candidate.name != name and (found := _intact(folder, candidate.name)) is not None:
            reason = "latest is missing" if name is None else f"{name}, its latest, {_trouble(folder, name)}"
            return dataclasses.replace(found, notice=f"{shown(folder)}: {reason}: using {found.path.name}")
    if not step_folders(folder):
        raise CheckpointError(f"{shown(folder)}: this run has no checkpoint yet: train it further, or name another run")
    if links := [path for path in step_folders(folder) if not is_inside(path, folder)]:
        advice = f"name it itself, {shown(links[0])}, or put the folder there"
        raise CheckpointError(f"{shown(folder)}: {links[0].name} is a link out of this run, not followed: {advice}")
    raise CheckpointError(f"{shown(folder)}: every checkpoint of this run is damaged: restore one from a copy")


def _trouble(run: Path, name: str) -> str:
    folder = run / CHECKPOINTS / name
    outside = os.path.lexists(folder) and not is_inside(folder, run)
    return "is a link out of the run, read where it is named itself" if outside else "is missing or damaged"


def _intact(run: Path, name: str) -> Checkpoint | None:
    folder = run / CHECKPOINTS / name
    if not is_step_name(name) or not is_inside(folder, run):
        return None
    try:
        return open_checkpoint(folder)
    except CheckpointError:
        return None
