"""Read the git commit of a working directory from its files: nothing is run, git need not be installed."""

from __future__ import annotations

import os
import re
from pathlib import Path

from genkit.errors import GenkitError
from genkit.storage.regular import read_regular

_HASH = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_REF = re.compile(r"ref: (refs/[^\s]+)")
_SMALL, _PACKED = 4096, 2**24  # bytes that are read


def git_commit(folder: Path) -> str | None:
    """The hash of the commit that is checked out in the repository around a folder; None where there is none."""
    try:
        for parent in (folder, *folder.parents):
            if os.path.lexists(parent / ".git"):
                return _commit(_repository(parent / ".git"))
    except (OSError, ValueError, GenkitError):  # something else, or a stranger's, by this name
        return None
    return None


def _repository(path: Path) -> Path:
    """The folder that holds HEAD; a work tree of its own has a file that says where it is."""
    return path if path.is_dir() else path.parent / _text(path).removeprefix("gitdir: ")


def _commit(repository: Path) -> str | None:
    head = _text(repository / "HEAD")
    if not (match := _REF.fullmatch(head)):
        return _hash(head)
    shared = repository / "commondir"
    folders = [repository, repository / _text(shared)] if shared.is_file() else [repository]
    for folder in folders:
        if (folder / match[1]).is_file():
            return _hash(_text(folder / match[1]))
    return next((found for folder in folders if (found := _packed(folder / "packed-refs", match[1]))), None)


def _packed(path: Path, ref: str) -> str | None:
    if not path.is_file():
        return None
    lines = read_regular(path, _PACKED).decode("utf-8", "replace").splitlines()
    return next((_hash(line.split()[0]) for line in lines if line.endswith(f" {ref}")), None)


def _hash(text: str) -> str | None:
    return text if _HASH.fullmatch(text) else None


def _text(path: Path) -> str:
    return read_regular(path, _SMALL).decode("utf-8", "replace").strip()
