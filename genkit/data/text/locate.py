"""Text files by what the user names: a file, a folder, a pattern, a zip archive."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from glob import glob, has_magic
from pathlib import Path

from genkit.data.root import find_root
from genkit.data.text.corpus import Corpus, FileCorpus, ZipCorpus
from genkit.data.text.utf8 import Errors
from genkit.errors import DataError
from genkit.printing import shown

GIVE = "give a text file, a folder, a pattern like 'notes/*.md' or a zip with data.root="


def corpus_at(root: str | None, name: str, errors: Errors) -> Corpus:
    """The documents at a place, one in each file.

    Args:
        root: What the user gave, None for nothing.
        name: Of the source, for messages.
        errors: See `genkit.data.text.utf8.checked`.

    Raises:
        DataError: nothing is there.
    """
    if root and has_magic(root) and not os.path.exists(root):
        pattern = os.path.expanduser(root)
        paths = [Path(path) for path in sorted(glob(pattern, recursive=True)) if os.path.isfile(path)]
        if not paths:
            raise DataError(f"data.root={shown(root)}: no file has a name of this pattern; {GIVE}")
        return FileCorpus(Path(root), paths, errors)
    place = find_root(root, name, GIVE)
    if place.is_dir():
        paths = list(_files(place))
        if not paths:
            raise DataError(f"{shown(place)}: no files in this folder; {GIVE}")
        return FileCorpus(place, paths, errors)
    if place.is_file() and zipfile.is_zipfile(place):
        return ZipCorpus(place, errors)
    return FileCorpus(place, [place], errors)


def _files(folder: Path) -> Iterator[Path]:
    """All files below a folder in the order of their names, hidden ones left out."""
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(where, name)
            if not name.startswith(".") and path.is_file():
                yield path
