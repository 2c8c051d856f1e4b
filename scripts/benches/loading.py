"""Decoding and reading images: CIFAR-10 from its archive, and data in memory.

The other side is what a training script of PyTorch does: a DataLoader that decodes each image with Pillow when it is
asked for; for data in memory a permutation, an index and a scale by hand.
"""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from benches.comparison import Bench, Costs, cpu_of, in_turns, installed
from genkit.data.dataset import Dataset
from genkit.data.images.archive import ZipImages
from genkit.data.images.decoding import decode
from genkit.data.loader import TrainLoader
from genkit.data.root import find_inside
from genkit.data.sources.cifar10 import CIFAR10
from genkit.data.sources.digits import Digits
from genkit.data.sources.mnist import MNIST

NAMES = ("cifar10.zip", "cifar10_jpeg.zip")
DECODED, READ, STEPS = 4000, 40, 2000  # images, micro-batches from the archive and in memory, of a round
BATCH = 128


def archive() -> Path:
    return find_inside(Path(os.environ.get("GENKIT_DATA", ".")), NAMES)


def no_archive() -> str | None:
    return None if archive().is_file() else "there is no archive of CIFAR-10 in $GENKIT_DATA"


def no_mnist() -> str | None:
    there = (Path(os.environ.get("GENKIT_DATA", ".")) / "mnist.npz").is_file()
    return None if there else "there is no mnist.npz in $GENKIT_DATA"


def decoding(rounds: int) -> Costs:
    images = ZipImages(archive())
    encoded = [images.read(i) for i in range(0, len(images), len(images) // DECODED)]
    ours, theirs = partial(each, partial(decode, channels=3), encoded), partial(each, pillow_decode, encoded)
    return in_turns(cpu_of(ours), cpu_of(theirs), rounds).over(len(encoded))


def from_archive(rounds: int) -> Costs:
    """An image of a training on CIFAR-10, which was prepared before, against one that is decoded when it is read."""
    with cache_of_its_own():
        ours = TrainLoader(CIFAR10(str(archive()), flip=False, batch_size=BATCH), seed=0)
        theirs = DataLoader(PerItem(archive()), batch_size=BATCH, shuffle=True, drop_last=True)
        costs = in_turns(cpu_of(partial(read, ours, READ)), cpu_of(partial(read, theirs, READ)), rounds)
    return costs.over(READ * BATCH)


def in_memory(data: Callable[..., Dataset], rounds: int) -> Costs:
    found = data(batch_size=BATCH)
    ours, theirs = TrainLoader(found, seed=0), ByHand(found)
    return in_turns(cpu_of(partial(read, ours, STEPS)), cpu_of(partial(read, theirs, STEPS)), rounds).over(STEPS)


@contextmanager
def cache_of_its_own() -> Iterator[None]:
    """What is prepared here is neither kept nor found."""
    before = os.environ.get("GENKIT_CACHE")
    with tempfile.TemporaryDirectory() as cache:
        os.environ["GENKIT_CACHE"] = cache
        try:
            yield
        finally:
            del os.environ["GENKIT_CACHE"]
            if before is not None:
                os.environ["GENKIT_CACHE"] = before


def each(work: Callable[[bytes], object], items: list[bytes]) -> None:
    for item in items:
        work(item)


def read(loader: Iterable[dict[str, Tensor]], batches: int) -> None:
    for batch in islice(loader, batches):
        assert len(batch["x"]) == BATCH


def pillow_decode(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


class PerItem(TorchDataset):
    """Images of an archive that are decoded one by one, scaled as a model wants them."""

    def __init__(self, root: Path) -> None:
        self.images = ZipImages(root)
        parts, classes = self.images.parts, self.images.classes
        assert parts is not None
        assert classes is not None
        self.numbers = [i for i, part in enumerate(parts) if part == "train"][:45_000]
        order = sorted(set(classes))
        self.labels = [order.index(name) for name in classes]

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, i: int) -> dict[str, Tensor | int]:
        number = self.numbers[i]
        pixels = torch.from_numpy(pillow_decode(self.images.read(number)).copy())
        return {"x": pixels.permute(2, 0, 1).float().add_(0.5).div_(128).sub_(1), "y": self.labels[number]}


class ByHand:
    """Batches of tensors: a permutation for each epoch, an index, a scale."""

    def __init__(self, data: Dataset) -> None:
        self.scale, split = data.spec.scale, data.view_source
        found = split.between(0, len(split))
        self.x, self.y = found.x, found.y

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        while True:
            order = torch.randperm(len(self.x))
            for index in order[: len(order) - len(order) % BATCH].split(BATCH):
                batch = {"x": self.scale(self.x.index_select(0, index))}
                yield batch if self.y is None else batch | {"y": self.y.index_select(0, index)}


LOADER, HAND = "DataLoader that decodes", "tensors indexed by hand"
JPEG = [installed("simplejpeg"), no_archive]
BENCHES = [
    Bench("loader-decode", "an image of CIFAR-10 decoded", "Pillow", "CPU s", decoding, 5, needs=JPEG),
    Bench("loader-epoch", "an image of CIFAR-10, prepared", LOADER, "CPU s", from_archive, 5, True, [no_archive]),
    Bench("loader-digits", "a batch of the digits in memory", HAND, "CPU s", partial(in_memory, Digits), 5),
    Bench("loader-mnist", "a batch of MNIST in memory", HAND, "CPU s", partial(in_memory, MNIST), 5, needs=[no_mnist]),
]
