"""Verify files against their manifest, and say in one line why a folder cannot be used."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from genkit.checkpoint.header import read_header
from genkit.checkpoint.manifest import ANOTHER, MANIFEST, TENSOR_FILES, Entry, Manifest, parse_manifest
from genkit.checkpoint.strict_json import LARGEST
from genkit.errors import CheckpointError
from genkit.printing import shown
from genkit.storage.regular import open_regular, read_regular, size_of

_CHUNK = 2**20


def verify_checkpoint(path: Path | str) -> Manifest:
    """The manifest of a checkpoint or export folder, every listed file found unchanged.

    Raises:
        CheckpointError: no such folder, no checkpoint, of a newer format, or a file is missing, changed, or a link.
        StorageError: the permission to read is missing.
    """
    folder = Path(path)
    manifest = read_manifest(folder)
    for name, entry in manifest.files.items():
        with open_listed(folder, name, entry) as file:
            if name in TENSOR_FILES:
                read_header(file, entry.bytes, folder / name)  # before gigabytes are hashed
            digest = hashlib.sha256()
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
        _compare(digest.hexdigest(), entry, folder / name)
    return manifest


def is_complete(folder: Path) -> bool:
    """Tell whether the manifest is sound and every listed file has its size: cheap, since nothing is hashed."""
    try:
        for name, entry in read_manifest(folder).files.items():
            with open_listed(folder, name, entry):
                continue
    except CheckpointError:
        return False
    return True


def read_manifest(folder: Path) -> Manifest:
    """The manifest alone; the files that it lists are not looked at.

    Raises:
        CheckpointError: there is none, or it is foreign or damaged.
    """
    if not os.path.isdir(folder):
        what = "no checkpoint folder but a file" if os.path.lexists(folder) else "no such folder"
        raise CheckpointError(f"{shown(folder)}: {what}: name a run folder or a checkpoint folder")
    path = folder / MANIFEST
    if not os.path.lexists(path):
        raise CheckpointError(f"{shown(folder)}: not a complete genkit checkpoint ({MANIFEST} is missing): {ANOTHER}")
    return parse_manifest(read_small(path), path)


def read_small(path: Path) -> bytes:
    """The content of a file that must be small, before it is parsed; no link out of its folder is followed.

    Raises:
        CheckpointError: it is missing, larger than any JSON that is accepted, or not a regular file.
    """
    return read_regular(path, LARGEST, inside=path.parent, refusal=CheckpointError, advice=ANOTHER)


def read_listed(folder: Path, name: str, entry: Entry) -> bytes:
    """The content of a listed file: the very bytes that were hashed, even if the file changes meanwhile.

    Raises:
        CheckpointError: the file is missing or changed.
    """
    with open_listed(folder, name, entry) as file:
        data = file.read(entry.bytes)
    _compare(hashlib.sha256(data).hexdigest(), entry, folder / name)
    return data


@contextmanager
def open_listed(folder: Path, name: str, entry: Entry) -> Iterator[BinaryIO]:
    """Opens a listed file of the listed size; a link out of the folder, or no regular file, is refused."""
    with open_regular(folder / name, inside=folder, refusal=CheckpointError, advice=ANOTHER) as file:
        if size_of(file) != entry.bytes:
            found = f"{size_of(file):,} bytes instead of {entry.bytes:,}"
            raise CheckpointError(f"{shown(folder / name)}: damaged ({found}): {ANOTHER}")
        yield file


def _compare(digest: str, entry: Entry, path: Path) -> None:
    if digest != entry.sha256:
        raise CheckpointError(f"{shown(path)}: damaged (its sha256 is not the one in the manifest): {ANOTHER}")
