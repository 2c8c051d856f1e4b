"""A shard that is an uncompressed zip of images: its entries lie in the file as they are.

The class of an image is the first folder of its name, or what the entry `labels.csv` says (a header, then rows of name
and class). Dangerous archives are refused as a whole, see `genkit.data.archive_files`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from genkit.data.archive_files import DAMAGED_ARCHIVE
from genkit.data.images.archive import ZipImages
from genkit.data.images.class_labels import LARGEST_CSV, label_rows
from genkit.data.images.decoding import BadImage
from genkit.data.images.layout import class_of
from genkit.data.shards.shard import Shard
from genkit.errors import DataError
from genkit.printing import shown

LABELS = "labels.csv"


class ZipShard(Shard):
    """The images of a zip, in the order of the file.

    Attributes:
        images: The archive.

    Args:
        path: The file.

    Raises:
        DataError: damaged, dangerous, or compressed.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.images = path, ZipImages(path)
        packed = next((member for member in self.images.members if member.start is None), None)
        if packed is not None:
            raise DataError(
                f"{shown(path)}: {shown(packed.name)} is compressed, and entries of a shard are read by their offset: "
                "write shards with genkit data shard, or any zip without compression (zip -0)"
            )
        self.classes = self._classes()
        self.bad, self.names = self.images.skipped.bad, self.images.names

    def place(self, i: int) -> int:
        start = self.images.members[i].start
        assert start is not None
        return start

    def contents(self) -> Iterator[bytes | BadImage]:
        for i in range(len(self)):
            try:
                yield self.images.read(i)
            except BadImage as error:
                yield error

    def _classes(self) -> list[str]:
        archive, names = self.images.archive, self.images.names
        if LABELS not in archive.NameToInfo:
            return [class_of(name) for name in names]
        info = archive.NameToInfo[LABELS]
        if info.file_size > LARGEST_CSV:
            raise DataError(f"{shown(self.path)}: {LABELS} has {info.file_size:,} bytes, the limit is {LARGEST_CSV:,}")
        try:
            data = archive.read(info)
        except DAMAGED_ARCHIVE as error:
            raise DataError(f"{shown(self.path)}: damaged ({error}): make it again") from error
        found = dict(label_rows(data, self.path / LABELS))
        missing = [name for name in names if name not in found]
        if missing:
            raise DataError(
                f"{shown(self.path / LABELS)}: {len(missing):,} images without a row ({shown(missing[0])} first): "
                "every image needs one"
            )
        return [found[name] for name in names]
