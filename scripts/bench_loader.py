"""Speed of data: decoding, preparing and reading CIFAR-10 from its archive; part of `scripts/bench.py`.

The other side is what a training script of PyTorch does: a DataLoader that decodes each image with Pillow when it is
asked for. What lies in memory is compared with the loader as it was before splits could lie on disk.
"""

from __future__ import annotations

import importlib.util
import io
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from rich.table import Table
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from genkit.data.dataset import Dataset
from genkit.data.images.archive import ZipImages
from genkit.data.images.decoding import decode
from genkit.data.loader import TrainLoader
from genkit.data.root import find_inside
from genkit.data.sources.cifar10 import CIFAR10
from genkit.data.sources.digits import Digits
from genkit.data.sources.mnist import MNIST
from genkit.noise import generator_of

ROUNDS = 5
NAMES = ("cifar10.zip", "cifar10_jpeg.zip")
DECODED, READ = 4000, 80  # images and micro-batches of a round
BATCH = 128


def bench_loader(table: Table) -> None:
    """Rows for decoding, preparing, an epoch of what was prepared, and data in memory."""
    root = find_inside(Path(os.environ.get("GENKIT_DATA", ".")), NAMES)
    if root.is_file():
        with tempfile.TemporaryDirectory() as cache:
            os.environ["GENKIT_CACHE"] = cache
            bench_archive(table, root)
    else:
        table.add_row("CIFAR-10", "", "no archive in $GENKIT_DATA", "")
    for name, data in (("digits", Digits), ("mnist", MNIST)):
        if name == "digits" or (Path(os.environ.get("GENKIT_DATA", ".")) / "mnist.npz").is_file():
            bench_memory(table, name, data(batch_size=BATCH))


def bench_archive(table: Table, root: Path) -> None:
    images = ZipImages(root)
    encoded = [images.read(i) for i in range(0, len(images), len(images) // DECODED)]
    quick = "simplejpeg" if importlib.util.find_spec("simplejpeg") else "Pillow, simplejpeg is not installed"
    ours, plain, ratio = compared(
        partial(each, partial(decode, channels=3), encoded), partial(each, pillow_decode, encoded)
    )
    row(table, f"decoding by {quick}", ours / len(encoded), plain / len(encoded), ratio)
    started = time.perf_counter()
    data = CIFAR10(str(root), flip=False, batch_size=BATCH)
    seconds = time.perf_counter() - started
    table.add_row("preparing 60,000 images", f"{seconds:.1f} s, {60_000 / seconds:,.0f} images/s", "", "")
    loader = TrainLoader(data, seed=0)
    peer = DataLoader(PerItem(root), batch_size=BATCH, shuffle=True, drop_last=True)
    ours, plain, ratio = compared(partial(read, loader, 5 * READ), partial(read, peer, READ), 5)
    per_epoch = loader.per_epoch
    row(table, "an epoch of 45,000, read or decoded", per_epoch * ours / (5 * READ), per_epoch * plain / READ, ratio)


def bench_memory(table: Table, name: str, data: Dataset) -> None:
    steps = 2000
    ours, plain, ratio = compared(partial(read, TrainLoader(data, seed=0), steps), partial(read, Earlier(data), steps))
    row(table, f"a batch of {name}, in memory before and now", ours / steps, plain / steps, ratio)


def compared(first: Callable[[], object], second: Callable[[], object], more: int = 1) -> tuple[float, float, float]:
    """Median CPU seconds of both, in turns, and the median of more x second / first."""
    pairs = [(cpu_seconds(first), cpu_seconds(second)) for _ in range(ROUNDS)]
    ratio = statistics.median(more * b / a for a, b in pairs)
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs), ratio


def cpu_seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def row(table: Table, name: str, ours: float, plain: float, ratio: float) -> None:
    """Times in CPU seconds; the ratio says how many times as fast genkit is."""
    table.add_row(name, f"{seconds_text(ours)} CPU", f"{seconds_text(plain)} CPU", f"{ratio:.2f} x as fast")


def seconds_text(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds > 0.1 else f"{1e6 * seconds:.1f} µs"


def each(work: Callable[[bytes], object], items: list[bytes]) -> None:
    for item in items:
        work(item)


def read(loader: TrainLoader | DataLoader | Earlier, batches: int) -> None:
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


class Earlier:
    """The loader as it was while every split was a tensor: each batch had a generator of its own for augmentation."""

    def __init__(self, data: Dataset) -> None:
        self.data, split = data, data.view_source
        found = split.between(0, len(split))
        self.x, self.y = found.x, found.y
        self.per_epoch = len(self.x) // BATCH
        self.epoch, self.order = -1, torch.empty(0, dtype=torch.int64)

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        m = 0
        while True:
            yield self.batch(m)
            m += 1

    def batch(self, m: int) -> dict[str, Tensor]:
        epoch, number = divmod(m, self.per_epoch)
        if epoch != self.epoch:
            self.order = torch.randperm(len(self.x), generator=generator_of(0, "order", epoch))
            self.epoch = epoch
        index = self.order[number * BATCH : (number + 1) * BATCH]
        x = self.augment(self.x.index_select(0, index), index, generator_of(0, "augment", epoch))
        batch = {"x": self.data.spec.scale(x)}
        return batch if self.y is None else batch | {"y": self.y.index_select(0, index)}

    def augment(self, x: Tensor, index: Tensor, generator: torch.Generator) -> Tensor:
        return x
