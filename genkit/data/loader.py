"""Batches in an exact order: micro-batch m is a pure function of (data, seed, m), so a run can start at any of them.

An epoch is one random order of the training examples, a function of (seed, epoch), see `genkit.data.epoch_order`; with
B examples in a micro-batch and W processes it has N // (B W) micro-batches, and the examples left over are dropped
until the next epoch. Micro-batch m of the run is number m mod per_epoch of epoch m // per_epoch; process r takes the
r-th of its W slices. There is no state: only the number m is restored on resume.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count, islice

import torch
from torch import Tensor

from genkit.data.counter_stream import ViewStream
from genkit.data.dataset import Dataset
from genkit.data.epoch_order import EpochOrder
from genkit.data.resident import Resident, resident
from genkit.data.spec import Batch, DataSpec
from genkit.data.split import Examples, Split
from genkit.errors import DataError


def batch_of(examples: Examples, spec: DataSpec) -> Batch:
    """Stored values to {"x": float32 (B, *shape) in model units, "y": (B,) int64 if labelled, "c": of pairs}."""
    batch = {"x": spec.scale(examples.x)}
    if examples.y is not None:
        batch["y"] = examples.y
    if examples.c is not None:
        batch["c"] = spec.scale(examples.c)
    return batch


LARGEST = 512
AHEAD = 2  # batches that a GPU finds ready
CPU = torch.device("cpu")


def forward_batch(dataset: Dataset) -> int:
    """Number of examples at once where no gradient is needed.

    Nothing is kept for a backward pass then, so four training batches fit where one trains.
    A smaller data.batch_size, set to save memory, makes these smaller too.
    """
    return min(LARGEST, 4 * dataset.batch_size)


class TrainLoader:
    """An endless iterable over the training micro-batches of one process, from micro-batch `start` on.

    A split that is smaller than the batch gives batches of the whole split.

    Args:
        dataset: Gives the training split, the batch size per process, and the view of each example.
        seed: Of the order and the views.
        start: Number of the first micro-batch; iterating again starts there again.
        world_size: Number of processes.
        rank: Number of this one.
        device: That which trains. For a GPU batches are made ahead in memory that it fetches them from by itself.
        room: Bytes that the training split may take there, unless its views are random, which are drawn on the CPU.

    Attributes:
        batch_size: Examples in a micro-batch of this process.
        per_epoch: Micro-batches in an epoch.

    Raises:
        DataError: there are fewer examples than processes.
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        seed: int,
        start: int = 0,
        world_size: int = 1,
        rank: int = 0,
        device: torch.device = CPU,
        room: int = 0,
    ) -> None:
        self.dataset, self.seed, self.start = dataset, seed, start
        self.world_size, self.rank = world_size, rank
        self.train = resident(dataset.view_source, device, 0 if dataset.random_views else room)
        self.pinned = device.type == "cuda" and not isinstance(self.train, Resident)
        self.ahead = max(self.train.ahead, AHEAD) if self.pinned else self.train.ahead
        self.batch_size = min(dataset.batch_size, len(self.train) // world_size)
        if self.batch_size == 0:
            raise DataError(
                f"the training split has {len(self.train):,} examples for {world_size} processes; use fewer"
            )
        self.per_epoch = len(self.train) // (self.batch_size * world_size)
        self._stream = ViewStream(seed, 0)
        self._order: tuple[int, EpochOrder] | None = None

    def __iter__(self) -> Iterator[Batch]:
        numbers = count(self.start)
        return self._ahead(numbers) if self.ahead else map(self.batch, numbers)

    def _ahead(self, numbers: Iterator[int]) -> Iterator[Batch]:
        """The batches of these numbers, made by another thread while the latest one is trained on."""
        with ThreadPoolExecutor(1, thread_name_prefix="loader") as thread:
            made = deque(thread.submit(self.batch, m) for m in islice(numbers, self.ahead))
            while True:
                batch = made.popleft().result()
                made.append(thread.submit(self.batch, next(numbers)))
                yield batch

    def batch(self, m: int) -> Batch:
        """Micro-batch m of this process."""
        index = self.index(m)
        found = self.train.take(index)
        stream = self.stream(m // self.per_epoch)
        values = self.dataset.view(found.x, index, stream)
        # the same random numbers again: both images of a pair are moved alike
        given = None if found.c is None else self.dataset.view(found.c, index, stream)
        batch = batch_of(Examples(values, found.y, given), self.dataset.spec)
        return {name: value.pin_memory() for name, value in batch.items()} if self.pinned else batch

    def index(self, m: int) -> Tensor:
        """(B,) numbers, in the training split, of the examples of micro-batch m of this process."""
        epoch, number = divmod(m, self.per_epoch)
        low = (number * self.world_size + self.rank) * self.batch_size
        return self.order(epoch).between(low, low + self.batch_size)

    def order(self, epoch: int) -> EpochOrder:
        """The order of one epoch; the latest one is kept."""
        if self._order is None or self._order[0] != epoch:
            self._order = epoch, self.train.epoch_order(self.seed, epoch)
        return self._order[1]

    def stream(self, epoch: int) -> ViewStream:
        """The random numbers of the views of one epoch; the latest one is kept."""
        if epoch != self._stream.epoch:
            self._stream = ViewStream(self.seed, epoch)
        return self._stream


class ValLoader:
    """A split in its own order, in batches of at most `batch_size`, without augmentation; of W processes each takes
    every W-th batch.

    Args:
        split: The examples.
        spec: What they are.
        batch_size: Examples at once, at most; fewer where some process would have none.
        world_size, rank: Number of processes, and which one this is.

    Raises:
        DataError: there are fewer examples than processes.
    """

    def __init__(self, split: Split, spec: DataSpec, batch_size: int, *, world_size: int = 1, rank: int = 0) -> None:
        self.split, self.spec = split, spec
        self.world_size, self.rank = world_size, rank
        self.batch_size = min(batch_size, len(split) // world_size) if world_size > 1 else batch_size
        if self.batch_size == 0:
            raise DataError(f"the validation split has {len(split):,} examples for {world_size} processes; use fewer")

    @property
    def batches(self) -> int:
        """Batches of all processes."""
        return -(-len(self.split) // self.batch_size)

    def __len__(self) -> int:
        return len(range(self.rank, self.batches, self.world_size))

    def __iter__(self) -> Iterator[Batch]:
        for number in range(self.rank, self.batches, self.world_size):
            low = number * self.batch_size
            yield batch_of(self.split.take(torch.arange(low, min(low + self.batch_size, len(self.split)))), self.spec)

    def place(self, turn: int) -> tuple[int, int]:
        """The number of a batch of this process among those of all, and that of its first example in the split."""
        number = turn * self.world_size + self.rank
        return number, number * self.batch_size
