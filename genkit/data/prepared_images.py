"""Datasets of images that are prepared once: what folders, archives, arrays and the usual benchmarks share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from genkit.data.augmentation import crop as windows_of
from genkit.data.augmentation import flip_and_shift
from genkit.data.batch_size import default_batch_size
from genkit.data.counter_stream import ViewStream
from genkit.data.dataset import Dataset, SplitName
from genkit.data.images.class_labels import FOLDER, NONE, labels_file_hash
from genkit.data.images.collection import ImageCollection
from genkit.data.images.preparation import ImageOptions, ImagePreparation
from genkit.data.on_disk import aloud
from genkit.data.prepared import Prepared, Writer, prepare
from genkit.data.provenance import Provenance
from genkit.data.source_state import content_hash_of
from genkit.data.spec import DataSpec
from genkit.data.split import Split
from genkit.data.window import CentreWindow
from genkit.printing import shown

LEVELS = 256
EVAL_N = 10_000
RULES = 1  # of how pixels are made; raised when these change, and all data is prepared again


class PreparedImages(Dataset):
    """Images of 256 levels in [−1, 1), prepared once from a collection.

    Attributes:
        prepared: The arrays on disk and what was written about them.
        class_names: Of the labels, () without.

    Args:
        source: The file or folder that they come from.
        collection: Lists the images there.
        options: What is done to each.
        batch_size: Images in one training micro-batch; None: by their size.
        flip: Whether training images are flipped left to right.
        shift: Training images move by up to so many pixels each way, black coming in.
    """

    prepared: Prepared

    def __init__(
        self,
        source: Path,
        collection: Callable[[], ImageCollection],
        options: ImageOptions,
        *,
        batch_size: int | None,
        flip: bool,
        shift: int,
    ) -> None:
        self.flip, self.shift = flip, shift
        self.prepared = prepared_images(source, collection(), options)
        about = self.prepared.about
        channels, height, width = about["shape"]
        self.class_names = tuple(about["classes"])
        self.spec = DataSpec(
            (channels, height, width), "image", (-1.0, 1.0), LEVELS, num_classes=len(self.class_names) or None
        )
        self.batch_size = batch_size or default_batch_size(self.spec)
        self.random_window = options.crop == "random"
        self.splits: dict[SplitName, Split] = {
            name: CentreWindow(split, height, width) if self.random_window else split
            for name, split in self.prepared.splits.items()
        }
        self.eval_n = min(EVAL_N, len(self.splits["train"]))
        aloud(f"{shown(source)}: {about['line']}")

    def split(self, name: SplitName) -> Split:
        return self.splits[name]

    @property
    def provenance(self) -> Provenance:
        bad = [(name, reason) for name, reason in self.prepared.about["bad"]]
        return Provenance(self.prepared.folder, self.class_names, bad, self.prepared.source_names)

    @property
    def view_source(self) -> Split:
        """The training images, in their larger frame where windows of it are shown."""
        return self.prepared.splits["train"]

    @property
    def random_views(self) -> bool:
        return self.flip or self.shift > 0 or self.random_window

    def view(self, values: Tensor, index: Tensor, stream: ViewStream) -> Tensor:
        if self.random_window:
            height, width = self.spec.shape[1:]
            rows = stream.integers("window rows", index, values.shape[2] - height + 1)
            columns = stream.integers("window columns", index, values.shape[3] - width + 1)
            values = windows_of(values, torch.stack([rows, columns], 1), height, width)
        return flip_and_shift(values, index, stream, flip=self.flip, shift=self.shift)


def prepared_images(source: Path, images: ImageCollection, options: ImageOptions) -> Prepared:
    """The arrays of a collection, made now or before."""
    content = content_hash_of(source, images.state(), images.content)
    facts = {"rules": RULES, "content": content, **asdict(options)}
    if options.labels not in (None, FOLDER, NONE):
        facts["labels"] = labels_file_hash(options.labels)

    def make(writer: Writer) -> None:
        if len(images):
            aloud(f"{shown(source)}: preparing {len(images):,} images")
        ImagePreparation(source, images, options).write(writer, facts)

    return prepare(facts, make)
