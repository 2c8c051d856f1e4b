"""Reading files that a manifest vouches for, and saying in one line why a folder cannot be used."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from genkit.checkpoint.manifest import ANOTHER, MANIFEST, Entry, Manifest, parse_manifest
from genkit.checkpoint.strict_json import LARGEST
from genkit.errors import CheckpointError, StorageError
from genkit.storage.disk import shown

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
            digest = hashlib.sha256()
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
        _compare(digest.hexdigest(), entry, folder / name)
    return manifest


def is_complete(folder: Path) -> bool:
    """Whether the manifest is sound and every listed file has its size: cheap, since nothing is hashed."""
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
    """The content of a file that must be small, before it is parsed; links are refused.

    Raises:
        CheckpointError: it is missing, larger than any JSON that is accepted, or not a regular file.
    """
    with _open_regular(path) as file:
        if _size(file) > LARGEST:
            raise CheckpointError(f"{shown(path)}: larger than {LARGEST:,} bytes: {ANOTHER}")
        return file.read(LARGEST)


def read_listed(folder: Path, name: str, entry: Entry) -> bytes:
    """The content of a listed file: the very bytes that were hashed, whatever happens to the file meanwhile.

    Raises:
        CheckpointError: the file is missing or changed.
    """
    with open_listed(folder, name, entry) as file:
        data = file.read(entry.bytes)
    _compare(hashlib.sha256(data).hexdigest(), entry, folder / name)
    return data


@contextmanager
def open_listed(folder: Path, name: str, entry: Entry) -> Iterator[BinaryIO]:
    """Opens a listed file of the listed size; a link or anything but a regular file is refused."""
    with _open_regular(folder / name) as file:
        if _size(file) != entry.bytes:
            found = f"{_size(file):,} bytes instead of {entry.bytes:,}"
            raise CheckpointError(f"{shown(folder / name)}: damaged ({found}): {ANOTHER}")
        yield file


@contextmanager
def _open_regular(path: Path) -> Iterator[BinaryIO]:
    try:
        # O_NONBLOCK: a pipe in place of the file would wait for a writer for ever
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise CheckpointError(f"{shown(path)}: not a regular file: {ANOTHER}")
            yield file
    except OSError as error:
        raise _unreadable(error, path) from error


def _unreadable(error: OSError, path: Path) -> CheckpointError | StorageError:
    if error.errno in (errno.EACCES, errno.EPERM):
        return StorageError(f"{shown(path)}: cannot read ({error.strerror}): check the permissions")
    if error.errno == errno.ENOENT:
        return CheckpointError(f"{shown(path)}: missing: {ANOTHER}")
    if error.errno == errno.ELOOP:
        return CheckpointError(f"{shown(path)}: a symbolic link, which is not followed: put the file itself there")
    return CheckpointError(f"{shown(path)}: cannot read ({error.strerror}): {ANOTHER}")


def _size(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size


def _compare(digest: str, entry: Entry, path: Path) -> None:
    if digest != entry.sha256:
        raise CheckpointError(f"{shown(path)}: damaged (its sha256 is not the one in the manifest): {ANOTHER}")
