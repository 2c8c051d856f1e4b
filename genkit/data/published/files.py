"""Files by name, in a folder or in an archive: where the original files of a benchmark are looked for."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from genkit.data.archive_files import DamagedMember, Member, archive_kind
from genkit.errors import DataError
from genkit.printing import shown
from genkit.storage.regular import read_regular

LARGEST = 2**31  # bytes of one file
AGAIN = "fetch it again"


class NamedFiles(ABC):
    """Files by the last part of their names.

    Attributes:
        root: The folder or archive.
        names: Of the files in it.
    """

    root: Path
    names: Sequence[str]

    @abstractmethod
    def read(self, name: str) -> bytes:
        """All of a file. Raises DataError."""

    @abstractmethod
    def on_disk(self, names: Sequence[str]) -> list[Path]:
        """The files on disk that these ones are read from."""

    def place(self, name: str) -> str:
        """A file as messages name it."""
        return shown(self.root / name)


class FolderFiles(NamedFiles):
    """The files of a folder, not of those below it. Raises DataError where it cannot be read."""

    def __init__(self, root: Path) -> None:
        self.root = root
        try:
            with os.scandir(root) as entries:
                self.names = sorted(entry.name for entry in entries if entry.is_file())
        except OSError as error:
            raise DataError(f"{shown(root)}: cannot be read ({error.strerror}): check the permissions") from error

    def read(self, name: str) -> bytes:
        return read_regular(self.root / name, LARGEST, advice=AGAIN)

    def on_disk(self, names: Sequence[str]) -> list[Path]:
        return [self.root / name for name in names]


class ArchivedFiles(NamedFiles):
    """The files of a `.zip` or `.tar`, in any folder of it; of several of one name the first.

    Raises:
        DataError: damaged, dangerous, or no archive.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        kind = archive_kind(root)
        if kind is None:
            raise DataError(f"{shown(root)}: neither a folder nor a .zip or .tar: name another file")
        self.archive = kind(root)
        self.members: dict[str, Member] = {}
        for member in self.archive.members:
            self.members.setdefault(member.name.rpartition("/")[2], member)
        self.names = list(self.members)

    def read(self, name: str) -> bytes:
        member = self.members[name]
        if member.size > LARGEST:
            raise DataError(f"{self.place(name)}: {member.size:,} bytes, the limit is {LARGEST:,}: {AGAIN}")
        try:
            return self.archive.read(member)
        except DamagedMember as error:
            raise DataError(f"{self.place(name)}: {error}: {AGAIN}") from error

    def on_disk(self, names: Sequence[str]) -> list[Path]:
        return [self.root]
