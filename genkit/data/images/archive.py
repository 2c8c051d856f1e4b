"""Images in a `.zip` or `.tar`, read where they lie; see `genkit.data.archive_files` for what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from genkit.data.archive_files import ArchiveFiles, DamagedMember, Member, TarFiles, ZipFiles, archive_kind
from genkit.data.images.collection import EncodedImages, Skipped
from genkit.data.images.decoding import BadImage, is_image
from genkit.data.images.folder import FIRST_BYTES, LARGEST_FILE
from genkit.data.images.layout import claims_to_be_image, place_of
from genkit.data.source_files import file_state


class ArchiveImages(EncodedImages):
    """The images of an archive, in its own order.

    Args:
        path: The file.

    Raises:
        DataError: damaged, dangerous, encrypted, or no archive.
    """

    kind: ClassVar[type[ArchiveFiles]]

    def __init__(self, path: Path) -> None:
        self.files, self.skipped = self.kind(path), Skipped()
        self.members: Sequence[Member] = [member for member in self.files.members if self._usable(member)]
        self.names = [member.name for member in self.members]
        self.parts, self.classes = place_of(self.names)

    @property
    def archive(self) -> Any:
        """The archive as its library opened it."""
        return self.files.archive

    def read(self, i: int) -> bytes:
        member = self.members[i]
        if member.size > LARGEST_FILE:
            raise BadImage(f"{member.size:,} bytes, more than {LARGEST_FILE:,}")
        try:
            return self.files.read(member)
        except DamagedMember as error:
            raise BadImage(str(error)) from error

    def content(self) -> str:
        return self.files.content()

    def state(self) -> list[list[object]]:
        return [["", *file_state(self.files.path)]]

    def _usable(self, member: Member) -> bool:
        """Tell whether a member is to be read as an image; what only claims to be one is noted as bad."""
        if any(part.startswith(".") or part == "__MACOSX" for part in member.name.split("/")):
            self.skipped.hidden += 1
            return False
        try:
            start, reason = self.files.read(member, FIRST_BYTES), "no image by its content"
        except DamagedMember as error:
            start, reason = b"", str(error)
        if is_image(start):
            return True
        if claims_to_be_image(member.name):
            self.skipped.bad.append((member.name, reason if member.size else "an empty file"))
        else:
            self.skipped.others += 1
        return False


class ZipImages(ArchiveImages):
    """The images of a zip archive, members stored or compressed."""

    kind = ZipFiles


class TarImages(ArchiveImages):
    """The images of a tar archive; a compressed one is read from front to back, a few times."""

    kind = TarFiles


def archive_reader(path: Path) -> type[ArchiveImages] | None:
    """The reader of a file that is an archive by its first bytes; None where it is none."""
    found = archive_kind(path)
    return next((reader for reader in (ZipImages, TarImages) if reader.kind is found), None)
