"""The splits of a dataset of images as a collection: what is written to shards where there are no files."""

from __future__ import annotations

from itertools import accumulate

import numpy as np
import torch

from genkit.data.content_split import NAMES
from genkit.data.dataset import Dataset
from genkit.data.framed_images import LEVELS
from genkit.data.images.collection import ImageCollection, Skipped
from genkit.data.images.decoding import Header, Pixels
from genkit.errors import DataError


class SplitImages(ImageCollection):
    """The images of a dataset, in the order train, val, test.

    Args:
        dataset: It.
        name: What it is called, for messages.

    Raises:
        DataError: it holds no images of 256 levels.
    """

    def __init__(self, dataset: Dataset, name: str) -> None:
        spec = dataset.spec
        if spec.modality != "image" or spec.levels != LEVELS or spec.shape[0] not in (1, 3):
            raise DataError(f"data={name} is {spec.words}: shards hold grey or colour images of {LEVELS} levels")
        self.skipped = Skipped()
        self.splits = [dataset.split(part) for part in NAMES]
        self.starts = [0, *accumulate(map(len, self.splits))]
        self.parts = [part for part, split in zip(NAMES, self.splits, strict=True) for _ in range(len(split))]
        self.names = [f"{name}-{i}" for i in range(self.starts[-1])]
        self.shape = spec.shape
        classes = dataset.provenance.class_names or tuple(map(str, range(spec.num_classes or 0)))
        self.order = classes or None
        labels = [split.labels for split in self.splits]
        self.classes = None
        if classes and all(found is not None for found in labels):
            self.classes = [classes[y] for found in labels if found is not None for y in found.tolist()]

    def content(self) -> str:
        return " ".join(split.fingerprint for split in self.splits)

    def state(self) -> list[list[object]]:
        return []

    def header(self, i: int) -> Header:
        channels, height, width = self.shape
        return Header(width, height, channels == 1)

    def pixels(self, i: int, channels: int) -> Pixels:
        part = next(k for k in (0, 1, 2) if i < self.starts[k + 1])
        found = self.splits[part].take(torch.tensor([i - self.starts[part]])).x[0].numpy()
        return np.repeat(found.transpose(1, 2, 0), channels // self.shape[0] or 1, 2)
