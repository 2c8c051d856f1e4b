"""Images of any source to shards: uncompressed zips, which are read by offset.

    train-00000-of-00012.zip   entries CLASS/NUMBER-NAME; without classes, NUMBER-NAME
    shards.json                the order of the classes, and what the shards were made from

An encoded image is written as it is, unless its size or colours are to be others; pixels are written as PNG. Either way
the shards hold the pixels that the source had. Shards called train, val and test hold these splits of the source; of a
source without, `part-…` hold all of it.

A source may be sorted by class. Images therefore go in turn to as many shards as are open at a time, and no shard has
more than MOST_IMAGES of them: a window of some shards then is a sample of far more of the source than it holds.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from genkit.data.images.class_labels import Classes, classes_of
from genkit.data.images.collection import EncodedImages, ImageCollection
from genkit.data.images.decoding import JPEG, BadImage, Header, Pixels, decode, read_header
from genkit.data.images.framing import Frame
from genkit.data.images.layout import claims_to_be_image
from genkit.data.images.preparation import ImageOptions, refuse_bad
from genkit.data.on_disk import aloud
from genkit.data.shards.shard_images import DESCRIPTION, FORMAT
from genkit.data.shards.workers import default_workers, pool_of
from genkit.data.shards.zip_shard import LABELS
from genkit.errors import DataError
from genkit.printing import shown
from genkit.progress import with_progress
from genkit.storage.atomic import write_file

MOST_IMAGES = 16384  # in one shard
OPEN = 16  # shards that are written at the same time
AT_ONCE = 64  # images that are held
WHEN = (1980, 1, 1, 0, 0, 0)  # the date of every entry: the same images are the same bytes
LONGEST = 100  # letters of a name
OF_A_PATH = re.compile(r"[^\w.+-]+")


@dataclass(frozen=True)
class Written:
    """The result of a pass.

    Attributes:
        images: Their number.
        bytes: Of them.
        shards: Their number.
        bad: (name, reason) of what was left out.
    """

    images: int
    bytes: int
    shards: int
    bad: Sequence[tuple[str, str]]


class ShardWriting:
    """One pass over the images of a source.

    Args:
        source: For messages.
        images: They.
        options: What is done to each: sizes and colours where they are given, labels, how many may be left out.
        megabytes: Of a shard, about.
    """

    def __init__(self, source: Path, images: ImageCollection, options: ImageOptions, megabytes: int) -> None:
        self.source, self.images, self.options = source, images, options
        self.limit = megabytes * 10**6
        self.workers = default_workers()
        self.frame = None if options.size is None else Frame(*options.size, options.crop, options.interpolation)

    def write(self, folder: Path) -> Written:
        """Write shards and description into a new folder.

        Raises:
            DataError: too little of the source can be used, or nothing.
            OSError: the disk refuses.
        """
        images, n = self.images, len(self.images)
        if not n:
            raise DataError(f"{shown(self.source)}: no images in it")
        classes = classes_of(images.names, images.classes, self.options.labels, self.source, images.order)
        if "" in classes.names:
            raise DataError(f"{shown(self.source)}: a class without a name: name it, or say data.labels=none")
        parts: Sequence[str] = images.parts or ["part"] * n
        counts = Counter(parts)
        size = self.expected_bytes()
        outputs = {part: _Output(folder, part, k, size * k // n, self.limit) for part, k in counts.items()}
        try:
            bad, written = self._write(outputs, parts, classes)
            shards = sum(output.close() for output in outputs.values())
        except BaseException:
            for output in outputs.values():
                output.abandon()
            raise
        write_file(folder / DESCRIPTION, [_json(self._about(classes, written))])
        return Written(written, sum(output.bytes for output in outputs.values()), shards, bad)

    def _write(
        self, outputs: Mapping[str, _Output], parts: Sequence[str], classes: Classes
    ) -> tuple[list[tuple[str, str]], int]:
        """Hand each image to the shards of its split; returns what cannot be used, and the number of the others."""
        in_folders = all(OF_A_PATH.sub("", name) == name and not name.startswith(".") for name in classes.names)
        images, bad, written = self.images, list(self.images.skipped.bad), 0
        for i, found in with_progress(self._encoded(), "writing shards", len(images)):
            if isinstance(found, BadImage):
                bad.append((images.names[i], str(found)))
                continue
            label = None if classes.numbers is None else classes.names[classes.numbers[i]]
            name = entry_name(i, images.names[i], found, label if in_folders else None)
            outputs[parts[i]].add(name, found, label, in_folders)
            written += 1
        refuse_bad(self.source, bad, written, self.options.max_bad, aloud)
        return bad, written

    def expected_bytes(self) -> int:
        """Of all images, about: those of the source's files, or of pixels as PNG."""
        if isinstance(self.images, EncodedImages):
            files = sum(row[1] for row in self.images.state() if len(row) > 1 and isinstance(row[1], int))
            return files if self.frame is None else min(files, self._pixel_bytes(*self.frame.stored))
        if self.frame is not None:
            return self._pixel_bytes(*self.frame.stored)
        header = self.images.header(0) if len(self.images) else Header(0, 0, grey=True)
        return self._pixel_bytes(header.height, header.width)

    def _pixel_bytes(self, height: int, width: int) -> int:
        return len(self.images) * height * width * 3

    def _about(self, classes: Classes, written: int) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "classes": list(classes.names),
            "images": written,
            "source": str(self.source),
            "size": self.options.size,
        }

    def _encoded(self) -> Iterator[tuple[int, bytes | BadImage]]:
        """The bytes of each image in turn; they are read by this thread, decoded and encoded by several."""
        for low in range(0, len(self.images), AT_ONCE):
            numbers = range(low, min(low + AT_ONCE, len(self.images)))
            found = [self._found(i) for i in numbers]
            made = pool_of(self.workers).map(self._made, found)
            yield from zip(numbers, made, strict=True)

    def _found(self, i: int) -> bytes | Pixels | BadImage:
        """The bytes of an image, or its pixels where it has none of its own."""
        try:
            if isinstance(self.images, EncodedImages):
                return self.images.read(i)
            header = self.images.header(i)
            return self.images.pixels(i, self._channels(header.grey))
        except BadImage as error:
            return error

    def _made(self, found: bytes | Pixels | BadImage) -> bytes | BadImage:
        try:
            match found:
                case BadImage():
                    return found
                case bytes():
                    return self._as_asked(found)
                case _:
                    return png(found if self.frame is None else self.frame.apply(found))
        except BadImage as error:
            return error

    def _as_asked(self, data: bytes) -> bytes:
        """An encoded image; the same bytes where they have the size and the colours that were asked for."""
        grey = read_header(data).grey
        channels = self._channels(grey)
        pixels = decode(data, channels)
        framed = pixels if self.frame is None else self.frame.apply(pixels)
        return data if framed is pixels and grey == (channels == 1) else png(framed)

    def _channels(self, grey: bool) -> int:
        return (1 if grey else 3) if self.options.channels == "auto" else self.options.channels


class _Output:
    """The shards of one split."""

    def __init__(self, folder: Path, name: str, images: int, size: int, limit: int) -> None:
        self.folder, self.name, self.limit = folder, name, limit
        self.slots = min(OPEN, max(1, -(-size // limit), -(-images // MOST_IMAGES)))
        self.open: list[_Shard | None] = [None] * self.slots
        self.closed: list[Path] = []
        self.turn = self.bytes = 0

    def add(self, name: str, data: bytes, label: str | None, in_folders: bool) -> None:
        slot = self.turn % self.slots
        self.turn += 1
        self.bytes += len(data)
        shard = self.open[slot]
        if shard is not None and (shard.bytes + len(data) > self.limit or shard.images >= MOST_IMAGES):
            shard.close()
            shard = None
        if shard is None:
            self.closed.append(self.folder / f"{self.name}-{len(self.closed):05}")
            shard = self.open[slot] = _Shard(self.closed[-1], labelled=label is not None and not in_folders)
        shard.add(name, data, label)

    def abandon(self) -> None:
        for shard in self.open:
            if shard is not None:
                shard.abandon()

    def close(self) -> int:
        """Finish the files and give them their names; returns their number."""
        for shard in self.open:
            if shard is not None:
                shard.close()
        for path in self.closed:
            path.rename(path.with_name(f"{path.name}-of-{len(self.closed):05}.zip"))
        return len(self.closed)


class _Shard:
    """One file that is being written."""

    def __init__(self, path: Path, labelled: bool) -> None:
        self.file = open(path, "xb")  # noqa: SIM115 (open until the shard is full)
        self.archive = zipfile.ZipFile(self.file, "w")
        self.rows: list[tuple[str, str]] | None = [] if labelled else None
        self.images = self.bytes = 0

    def add(self, name: str, data: bytes, label: str | None) -> None:
        self.archive.writestr(zipfile.ZipInfo(name, WHEN), data)
        self.images += 1
        self.bytes += len(data)
        if self.rows is not None and label is not None:
            self.rows.append((name, label))

    def close(self) -> None:
        if self.rows is not None:
            self.archive.writestr(zipfile.ZipInfo(LABELS, WHEN), _csv(self.rows))
        self.archive.close()
        self.file.close()

    def abandon(self) -> None:
        """Let go of the file without another write, which the disk may have refused."""
        self.archive.fp = None  # else the list of entries is written when the archive is forgotten
        with suppress(OSError):
            self.file.close()


def entry_name(number: int, name: str, data: bytes, folder: str | None) -> str:
    """The name of an entry: its class, its number, and the end of the name that the image had."""
    last = OF_A_PATH.sub("_", name.rpartition("/")[2])[-LONGEST:].lstrip(".")
    ending = "" if claims_to_be_image(last) else ".jpg" if data.startswith(JPEG) else ".png" if _is_png(data) else ""
    return f"{'' if folder is None else folder + '/'}{number:08}-{last}{ending}"


def png(pixels: Pixels) -> bytes:
    """Pixels (H, W, C) as a PNG, which keeps them as they are."""
    file = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(file, "PNG")
    return file.getvalue()


def _is_png(data: bytes) -> bool:
    return data.startswith(b"\x89PNG")


def _csv(rows: Sequence[tuple[str, str]]) -> bytes:
    import csv

    file = io.StringIO(newline="")
    csv.writer(file).writerows([("image", "class"), *rows])
    return file.getvalue().encode()


def _json(value: object) -> bytes:
    return f"{json.dumps(value, indent=1, ensure_ascii=False)}\n".encode()
