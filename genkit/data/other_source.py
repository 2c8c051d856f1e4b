"""The source that reads a file or folder which another one cannot: the end of a refusal."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

ENDINGS = {  # of names -> the source that reads such files
    **dict.fromkeys((".npy", ".npz", ".safetensors"), "arrays"),
    **dict.fromkeys((".parquet", ".arrow"), "hub"),
    **dict.fromkeys((".csv", ".tsv"), "table"),
    **dict.fromkeys(
        (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".zip", ".tar", ".tgz"), "images"
    ),
}
MOST = 1000  # files that are looked at


def instead(path: Path, source: str = "") -> str:
    """The words "; data=arrays reads .npz files", "" where no other source is known to read what is there.

    Args:
        path: A file or a folder.
        source: The one that refuses it.
    """
    for name in islice(_files(path), MOST):
        other = ENDINGS.get(os.path.splitext(name)[1].lower())
        if other not in (None, source):
            return f"; data={other} reads {os.path.splitext(name)[1].lower()} files"
    return ""


def _files(path: Path) -> Iterator[str]:
    if not path.is_dir():
        yield path.name
        return
    for _, folders, files in os.walk(path):
        folders.sort()
        yield from sorted(name for name in files if not name.startswith("."))
