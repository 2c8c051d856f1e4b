"""A folder of shards to three splits: which images, which labels, which size and colours."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from genkit.data.content_split import NAMES, split_of_each
from genkit.data.dataset import SplitName
from genkit.data.images.class_labels import FOLDER, NONE, in_order
from genkit.data.images.preparation import MOST_NAMED, ImageOptions, refuse_bad
from genkit.data.images.split_files import split_files
from genkit.data.images.survey import ImageSizes, chosen_frame, described
from genkit.data.on_disk import aloud
from genkit.data.shards.index_file import NO_LABEL, ShardIndex
from genkit.data.shards.indexing import indexes_of
from genkit.data.shards.shard_split import ShardSplit
from genkit.data.shards.store import ShardStore
from genkit.errors import DataError
from genkit.printing import shown
from genkit.storage.regular import read_regular

SUFFIXES = (".zip", ".parquet")
WANTED = "give data.root=FOLDER of uncompressed zips, as genkit data shard writes them, or of Parquet files"
DESCRIPTION, FORMAT, LARGEST = "shards.json", "genkit.shards/1", 2**24


@dataclass(frozen=True)
class Reading:
    """The way in which shards are read, beside what is done to each image.

    Attributes:
        window: Examples that an epoch mixes with each other.
        workers: Threads that decode.
        check: Whether each image is decoded once before training.
    """

    window: int
    workers: int
    check: bool


class ShardImages:
    """The images of a folder of shards.

    Attributes:
        store: Their bytes.
        splits: Frames of them.
        frame: What a model sees of an image.
        class_names: Of the labels, () without.
        bad: (name, reason) of what cannot be used.
        line: What was found and decided, in one line.

    Args:
        root: The folder, or one shard.
        options: What is done to each image.
        reading: How shards are read.

    Raises:
        DataError: no shards, damaged ones, or too much in them that cannot be used.
    """

    def __init__(self, root: Path, options: ImageOptions, reading: Reading) -> None:
        self.root = root
        files = split_files(root, SUFFIXES, WANTED)
        indexes = indexes_of(root, files, reading.check, reading.workers)
        paths = [file.path for file in files]
        self.bad = [
            (f"{path.name}/{name}", reason)
            for path, index in zip(paths, indexes, strict=True)
            for name, reason in index.bad
        ]
        self.store = ShardStore(paths, indexes)
        if not len(self.store) and not self.bad:
            raise DataError(f"{shown(root)}: no images in its shards: {WANTED}")
        refuse_bad(root, self.bad, len(self.store), options.max_bad, aloud)
        self.bad = self.bad[:MOST_NAMED]
        parts = [file.split for file in files]
        classes = ShardClasses.of(root, indexes, options.labels)
        sizes = ShardSizes(self.store)
        self.frame = chosen_frame(sizes, options.size, options.crop, options.interpolation)
        channels = (1 if sizes.grey else 3) if options.channels == "auto" else options.channels
        self.class_names = classes.names
        window = self.store.window_of(reading.window)
        number = self._split_numbers(parts)
        self.splits: dict[SplitName, ShardSplit] = {}
        for i, name in enumerate(NAMES):
            rows = np.flatnonzero(number == i)
            labels = None if classes.numbers is None else torch.from_numpy(classes.numbers[rows])
            self.splits[name] = ShardSplit(
                self.store, rows, labels, self.frame, channels, window=window, workers=reading.workers
            )
        found = f"{len(classes.names):,} classes" if classes.names else classes.note
        left = f", {len(self.bad):,} left out" if self.bad else ""
        shards = f"{len(files):,} shard{'s' * (len(files) > 1)}"
        self.line = f"{len(self.store):,} images in {shards}, {found}, {described(sizes, self.frame, channels)}{left}"

    def names(self) -> dict[SplitName, Sequence[str]]:
        """The name of each image, by split, read from the shards."""
        found: list[str] = []
        for shard, index in enumerate(self.store.indexes):
            own, path = self.store.names(shard), self.store.paths[shard].name
            found += [f"{path}/{own[number]}" for number in index.entries["number"].tolist()]
        return {name: [found[i] for i in split.rows.tolist()] for name, split in self.splits.items()}

    def _split_numbers(self, parts: Sequence[SplitName | None]) -> NDArray[np.uint8]:
        """(N,) the number of the split of each image in NAMES."""
        counts = [len(index.entries) for index in self.store.indexes]
        whole = [part for part, n in zip(parts, counts, strict=True) if part for _ in range(n)]
        hashes = np.asarray(self.store.column("hash"))
        split = split_of_each(hashes, whole or None, shown(self.root))
        numbers = {name: i for i, name in enumerate(NAMES)}
        return np.fromiter((numbers[name] for name in split), np.uint8, len(split))


@dataclass(frozen=True, eq=False)
class ShardClasses:
    """Classes by name and by number.

    Attributes:
        names: Of all classes, in order; () without.
        numbers: (N,) int64 of each image, None without.
        note: Why there are none.
    """

    names: tuple[str, ...]
    numbers: NDArray[np.int64] | None
    note: str = ""

    @classmethod
    def of(cls, root: Path, indexes: Sequence[ShardIndex], labels: str | None) -> ShardClasses:
        """The classes that the entries of shards have.

        Args:
            root: Of the shards.
            indexes: Of each.
            labels: "folder", "none", or None: where there are two classes or more.

        Raises:
            DataError: classes are asked for and there are none.
        """
        if labels == NONE:
            return cls((), None, "no labels")
        found = {name for index in indexes for name in index.classes}
        outside = sum(int((index.entries["label"] == NO_LABEL).sum()) for index in indexes)
        if outside or len(found) < 2:
            reason = f"{outside:,} images have no class" if found and outside else "no classes"
            reason = "one class" if len(found) == 1 and not outside else reason
            if labels == FOLDER:
                raise DataError(
                    f"{shown(root)}: {reason}: the first folder of an entry's name is its class, or a row of the entry "
                    "labels.csv; or say data.labels=none"
                )
            return cls((), None, "no labels" if not found else f"no labels ({reason})")
        orders = {index.classes if index.ordered else None for index in indexes}
        (order,) = orders if len(orders) == 1 else (None,)
        names = list(order or _known_order(root, found))
        number = {name: i for i, name in enumerate(names)}
        parts = [
            np.array([number[name] for name in index.classes], np.int64)[index.entries["label"]] for index in indexes
        ]
        return cls(tuple(names), np.concatenate(parts))


class ShardSizes(ImageSizes):
    """The sizes and colours of the images of shards."""

    def __init__(self, store: ShardStore) -> None:
        self._width = np.asarray(store.column("width")).astype(np.int64)
        self._height = np.asarray(store.column("height")).astype(np.int64)
        self._grey = bool(store.column("grey").all())

    @cached_property
    def _different(self) -> list[tuple[int, int]]:
        """(width, height) of all sizes, by number of pixels."""
        pairs = np.unique(np.stack([self._width * self._height, self._width, self._height], 1), axis=0)
        return [(int(width), int(height)) for _, width, height in pairs]

    @property
    def smallest(self) -> tuple[int, int]:
        return self._different[0]

    @property
    def largest(self) -> tuple[int, int]:
        return self._different[-1]

    @property
    def median_side(self) -> int:
        short = np.sort(np.minimum(self._width, self._height))
        return int(short[len(short) // 2])

    @property
    def one_size(self) -> bool:
        return len(self._different) == 1

    @property
    def grey(self) -> bool:
        return self._grey


def _known_order(root: Path, found: set[str]) -> list[str]:
    """The classes in the order that is written beside the shards, else by number or alphabet.

    Raises DataError where what is written lacks one.
    """
    file = root / DESCRIPTION if root.is_dir() else root.parent / DESCRIPTION
    if not file.exists():
        return in_order(found)
    wrong = DataError(f"{shown(file)}: not what genkit data shard wrote: delete it, or write the shards again")
    try:
        about = json.loads(read_regular(file, LARGEST, inside=file.parent))
        names = about["classes"]
        fine = about["format"] == FORMAT and isinstance(names, list) and all(type(name) is str for name in names)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise wrong from error
    if not fine or len(set(names)) != len(names):
        raise wrong
    if missing := sorted(found - set(names)):
        raise DataError(f"{shown(file)}: lacks the class {shown(missing[0])} of the shards beside it: delete it")
    return names
