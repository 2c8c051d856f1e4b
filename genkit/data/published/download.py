"""Fetch the original files of a benchmark, where the user asks for it.

Each file is pinned by its size and its sha256; these are the ones that TensorFlow Datasets states for the same address
(its `url_checksums`). A file is written under a temporary name while it comes, and takes its own only when both are
right: so nothing else than the published file is ever read from where it is put.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from genkit.data.on_disk import aloud
from genkit.errors import DataError
from genkit.printing import shown
from genkit.progress import with_progress
from genkit.storage.atomic import whole_file
from genkit.storage.disk import require_free_disk, user_folder
from genkit.storage.turns import own_turn

CHUNK = 2**18  # bytes read at once
PATIENCE = 30  # seconds without a byte


@dataclass(frozen=True)
class Download:
    """A published file.

    Attributes:
        url: Where it is.
        bytes: Its size.
        sha256: Of its content, in hexadecimal digits.
    """

    url: str
    bytes: int
    sha256: str

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]


def downloads(address: str, files: Sequence[tuple[str, int, str]]) -> tuple[Download, ...]:
    """Files (name, bytes, sha256) below one address."""
    return tuple(Download(address + name, size, sha256) for name, size, sha256 in files)


def root_of_downloads(root: str | None) -> Path:
    """The folder that fetched files go to: `root`, else $GENKIT_DATA, else a folder of the cache."""
    given = root or os.environ.get("GENKIT_DATA")
    return Path(given).expanduser() if given else user_folder() / "downloads"


def fetch_missing(files: Sequence[Download], folder: Path, say: Callable[[str], None] = aloud) -> None:
    """Fetch the files that a folder does not have yet; the folder is made.

    Raises:
        DataError: one cannot be fetched, or is not the published one.
        StorageError: the disk has no room or refuses.
    """
    missing = [file for file in files if not (folder / file.name).exists()]
    require_free_disk(sum(file.bytes for file in missing), folder, "give data.root= on a larger disk")
    for number, file in enumerate(missing):
        waiting = partial(say, f"another process downloads {file.name}: waiting for it")
        with own_turn(user_folder() / "turns" / file.sha256, waiting):
            if (folder / file.name).exists():
                continue
            say(f"downloading {file.url}, {file.bytes:,} bytes, to {shown(folder)}")
            try:
                _fetch(file, folder / file.name)
            except _Failure as error:
                rest = ", ".join(other.name for other in missing[number:])
                advice = f"put {rest} into {shown(folder)} yourself, or try again later"
                raise DataError(f"{file.url}: {error}: {advice}") from error


class _Failure(Exception):
    """A file that did not come, or is another one; the message says why."""


def _fetch(file: Download, path: Path) -> None:
    digest, size = hashlib.sha256(), 0
    with whole_file(path, file.bytes) as target:
        for chunk in with_progress(_chunks(file), f"downloading {file.name}", -(-file.bytes // CHUNK)):
            digest.update(chunk)
            size += len(chunk)
            if size > file.bytes:
                break
            target.write(chunk)
        if (size, digest.hexdigest()) != (file.bytes, file.sha256):
            got = "more" if size > file.bytes else f"{size:,} bytes with sha256 {digest.hexdigest()[:16]}…"
            raise _Failure(f"not the published file, {file.bytes:,} bytes with sha256 {file.sha256[:16]}…, but {got}")


def _chunks(file: Download) -> Iterator[bytes]:
    """The content, CHUNK bytes at a time but for the last. Raises _Failure."""
    try:
        with urllib.request.urlopen(file.url, timeout=PATIENCE) as response:
            while chunk := response.read(CHUNK):
                yield chunk
    except (OSError, http.client.HTTPException, ValueError) as error:  # ValueError: an odd answer of a server
        plain = error.reason if type(error) is urllib.error.URLError else error
        raise _Failure(f"cannot be fetched ({' '.join(str(plain).split())[:100] or type(plain).__name__})") from error
