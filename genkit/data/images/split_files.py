"""Files of many images each, at any depth of a folder, and the splits that their names say."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from genkit.data.dataset import SplitName
from genkit.data.images.layout import SPLITS
from genkit.data.other_source import instead
from genkit.errors import DataError
from genkit.printing import shown

PASSED_BY = (".", "cache-", "indices-")  # beginnings of names of files that tools leave beside data


@dataclass(frozen=True)
class SplitFile:
    """A file of images.

    Attributes:
        path: It.
        split: That its images belong to, None where nothing says.
    """

    path: Path
    split: SplitName | None = None


def split_files(root: Path, suffixes: tuple[str, ...], wanted: str) -> list[SplitFile]:
    """The files of these suffixes in a folder at any depth, or one file, in the order of their names.

    Args:
        root: The folder or the file.
        suffixes: Of the names of files.
        wanted: What to give, for messages.

    Raises:
        DataError: none, or some are of a split and some are not.
    """
    if not root.is_dir():
        return [SplitFile(root)]
    paths = sorted(
        Path(folder, name)
        for folder, _, names in os.walk(root)
        for name in names
        if name.endswith(suffixes)
        and not name.startswith(PASSED_BY)
        and not any(part.startswith(".") for part in Path(folder).relative_to(root).parts)
    )
    if not paths:
        raise DataError(f"{shown(root)}: no {' or '.join(suffixes)} files in it: {wanted}{instead(root)}")
    files = [SplitFile(path, split_of(path.relative_to(root))) for path in paths]
    if all(file.split != "train" for file in files):
        return [SplitFile(path) for path in paths]
    if (odd := next((file for file in files if file.split is None), None)) is not None:
        raise DataError(
            f"{shown(odd.path)}: of no split, train, val or test, as others beside it are: take it out of {shown(root)}"
        )
    return files


def split_of(path: Path) -> SplitName | None:
    """The split that a folder or the start of a file's name says: train/…, train-00000-of-00002.parquet."""
    *folders, name = (part.lower() for part in path.parts)
    for word in (*folders, re.split(r"[-_.]", name)[0]):
        if word in SPLITS:
            return SPLITS[word]
    return None
