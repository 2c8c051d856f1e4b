"""Files in a `.zip` or `.tar`, read where they lie: nothing is ever unpacked to disk.

Members of an uncompressed archive are read by their offset. An archive that would be dangerous to unpack is refused
whole, though nothing is unpacked: absolute names, `..`, links, devices, and members that grow more than EXPANSION-fold.
Who made such a file meant harm or made a mistake, and the rest of it is no better known.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from genkit.errors import DataError
from genkit.printing import shown
from genkit.storage.regular import open_regular
from genkit.storage.zip_members import start_of

EXPANSION = 500  # times the size that it has in the archive; of what is larger than SMALL
SMALL = 2**20
CHUNK = 2**22
ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")
COMPRESSED_STARTS = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0")
TAR_MAGIC, TAR_MAGIC_AT = b"ustar", 257
ADVICE = "give a folder, or a .zip or .tar of one"
DAMAGE = (OSError, EOFError, ValueError, KeyError, RuntimeError, NotImplementedError, OverflowError, zlib.error)
DAMAGED_ARCHIVE = (zipfile.BadZipFile, tarfile.TarError, *DAMAGE)


class DamagedMember(Exception):
    """A file of an archive that cannot be read; the message is the reason."""


@dataclass(frozen=True)
class Member:
    """One file of an archive.

    Attributes:
        name: Its path in the archive.
        size: In bytes, unpacked.
        start: Offset in the file where it lies there as it is, None where it is compressed.
        entry: What the archive's library knows it by.
    """

    name: str
    size: int
    start: int | None
    entry: Any


class ArchiveFiles(ABC):
    """The files of an archive, in its own order.

    Attributes:
        path: The archive.
        members: Its files.

    Args:
        path: The archive.

    Raises:
        DataError: damaged, dangerous, encrypted, or no archive.
    """

    archive: Any

    def __init__(self, path: Path) -> None:
        self.path = path
        with open_regular(path, advice=ADVICE) as file:
            self.file: BinaryIO = os.fdopen(os.dup(file.fileno()), "rb")
        try:
            self.members = list(self._members())
        except DAMAGED_ARCHIVE as error:
            reason = f"damaged ({error}): make it again, or unpack it to a folder"
            raise DataError(f"{shown(path)}: {reason}") from error
        for member in self.members:
            self._refuse_name(member.name)

    def read(self, member: Member, most: int | None = None) -> bytes:
        """The first `most` bytes of a member, by default all. Raises DamagedMember."""
        most = member.size if most is None else min(most, member.size)
        try:
            if member.start is None:
                data = self._unpacked(member, most)
            else:
                data = os.pread(self.file.fileno(), most, member.start)
        except DAMAGED_ARCHIVE as error:
            raise DamagedMember(f"damaged in the archive ({error})") from error
        if len(data) < most:
            raise DamagedMember("cut short in the archive")
        return data

    def content(self) -> str:
        """sha256 of the archive itself."""
        digest, at = hashlib.sha256(), 0
        while chunk := os.pread(self.file.fileno(), CHUNK, at):
            digest.update(chunk)
            at += len(chunk)
        return digest.hexdigest()

    @abstractmethod
    def _members(self) -> Iterator[Member]:
        """The files of the archive, folders left out. Raises DataError for what is refused."""

    @abstractmethod
    def _unpacked(self, member: Member, most: int) -> bytes:
        """The first `most` bytes of a compressed member."""

    def _refuse_name(self, name: str) -> None:
        plain = name.replace("\\", "/")
        if plain.startswith("/") or plain[1:2] == ":" or ".." in plain.split("/"):
            raise self._refusal(name, "has a name that leads out of it")

    def _refuse_growth(self, name: str, packed: int, size: int) -> None:
        if size > SMALL and size > EXPANSION * packed:
            raise self._refusal(name, f"grows from {packed:,} to {size:,} bytes")

    def _refusal(self, name: str, why: str) -> DataError:
        return DataError(
            f"{shown(self.path)}: the member {shown(name)} {why}: such archives are not read; give one that holds "
            "plain files alone, or a folder"
        )


class ZipFiles(ArchiveFiles):
    """The files of a zip archive, members stored or compressed."""

    def _members(self) -> Iterator[Member]:
        self.archive = zipfile.ZipFile(self.file)
        infos = [info for info in self.archive.infolist() if not info.is_dir()]
        self._refuse_growth("(all together)", self.file.seek(0, os.SEEK_END), sum(info.file_size for info in infos))
        for info in infos:
            kind = info.external_attr >> 28 if info.create_system == 3 else 0
            if kind not in (0, 8):  # the type bits of a Unix mode: none, or a regular file
                raise self._refusal(info.filename, "is no plain file")
            if info.flag_bits & 1:
                raise self._refusal(info.filename, "is encrypted")
            self._refuse_growth(info.filename, info.compress_size, info.file_size)
            stored = info.compress_type == zipfile.ZIP_STORED
            start = start_of(self.file.fileno(), info) if stored else None
            yield Member(info.filename, info.file_size, start, info)

    def _unpacked(self, member: Member, most: int) -> bytes:
        with self.archive.open(member.entry) as stream:
            return stream.read(most)


class TarFiles(ArchiveFiles):
    """The files of a tar archive; a compressed one is read from front to back, a few times."""

    def _members(self) -> Iterator[Member]:
        self.file.seek(0)
        packed = self.file.read(6).startswith(COMPRESSED_STARTS)
        size = self.file.seek(0, os.SEEK_END)
        self.file.seek(0)
        self.archive = tarfile.open(fileobj=self.file)  # noqa: SIM115 (open as long as this)
        while (info := self.archive.next()) is not None:
            self._refuse_growth(info.name, size, info.offset_data + info.size)
            if info.isdir():
                continue
            if not info.isreg() or info.issparse():
                raise self._refusal(info.name, "is no plain file")
            yield Member(info.name.removeprefix("./"), info.size, None if packed else info.offset_data, info)

    def _unpacked(self, member: Member, most: int) -> bytes:
        stream = self.archive.extractfile(member.entry)
        assert stream is not None
        with stream:
            return stream.read(most)


def archive_kind(path: Path) -> Callable[[Path], ArchiveFiles] | None:
    """The reader of the files of an archive, which is told by its first bytes; None where it is none."""
    with open_regular(path, advice=ADVICE) as file:
        start = file.read(TAR_MAGIC_AT + len(TAR_MAGIC))
    if start.startswith(ZIP_STARTS):
        return ZipFiles
    if start[TAR_MAGIC_AT:] == TAR_MAGIC or start.startswith(COMPRESSED_STARTS):
        return TarFiles
    return None
