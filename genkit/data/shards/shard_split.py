"""A split whose images are decoded when they are asked for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genkit.data.epoch_order import EpochOrder, WindowedShards
from genkit.data.images.decoding import BadImage, decode
from genkit.data.images.framing import Frame
from genkit.data.shards.store import ShardStore
from genkit.data.shards.workers import pool_of
from genkit.data.split import Examples, Split, Subset
from genkit.errors import DataError
from genkit.printing import shown

RULES = 1  # of how pixels are made; raised when these change, and fingerprints with it


class ShardSplit(Split):
    """Some images of shards, as frames of uint8.

    Args:
        store: The shards.
        rows: (N,) numbers of the images in the store, increasing.
        labels: (N,) int64, or None.
        frame: What becomes of an image.
        channels: 1 or 3.
        window: Examples that an epoch mixes with each other.
        workers: Threads that decode; nothing but the time depends on them.
    """

    dtype = torch.uint8
    ahead = 2

    def __init__(
        self,
        store: ShardStore,
        rows: NDArray[np.int64],
        labels: Tensor | None,
        frame: Frame,
        channels: int,
        *,
        window: int,
        workers: int,
    ) -> None:
        self.store, self.rows, self.frame, self.channels = store, rows, frame, channels
        self.window, self.workers, self._labels = window, workers, labels
        self.shape = (channels, *frame.stored)

    @property
    def labels(self) -> Tensor | None:
        return self._labels

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, index: Tensor) -> Examples:
        """Raises DataError where a shard was changed meanwhile, or an image cannot be decoded."""
        numbers = self.rows[index.numpy()]
        out = torch.empty((len(numbers), *self.shape), dtype=torch.uint8)
        places = numbers.argsort(kind="stable")  # what lies beside each other is read one after the other
        shares = [share.tolist() for share in np.array_split(places, min(self.workers, max(1, len(places))))]

        def fill(share: Sequence[int]) -> None:
            values = out.numpy()
            for i in share:
                values[i] = self._pixels(int(numbers[i]))

        if len(shares) > 1:
            list(pool_of(self.workers).map(fill, shares))
        else:
            fill(shares[0])
        return Examples(out, None if self._labels is None else self._labels.index_select(0, index))

    def between(self, low: int, high: int) -> Examples:
        """Errors as `take`."""
        return self.take(torch.arange(low, high))

    def __getitem__(self, index: Tensor) -> Subset:
        return Subset(self, torch.arange(len(self))[index])

    def epoch_order(self, seed: int, epoch: int) -> EpochOrder:
        return WindowedShards(np.searchsorted(self.rows, self.store.blocks), self.window, seed, epoch)

    def content_keys(self) -> NDArray[np.void]:
        """The hashes of the encoded images."""
        return np.concatenate(self._hashes())

    @cached_property
    def values_hash(self) -> str:
        """sha256 of the hashes of the encoded images and of what becomes of them: nothing is decoded for it."""
        made = {"rules": RULES, "channels": self.channels, "frame": asdict(self.frame), "n": len(self)}
        digest = hashlib.sha256(b"shards " + json.dumps(made, sort_keys=True).encode())
        for hashes in self._hashes():
            digest.update(hashes.tobytes())
        return digest.hexdigest()

    def _hashes(self) -> list[NDArray[np.void]]:
        """Of the images of each shard."""
        bounds, starts = np.searchsorted(self.rows, self.store.starts), self.store.starts
        own = (self.rows[low:high] for low, high in pairwise(bounds))
        found = zip(self.store.indexes, own, starts.tolist(), strict=False)
        return [index.entries["hash"][rows - start] for index, rows, start in found]

    def _pixels(self, number: int) -> NDArray[np.uint8]:
        """(C, H, W) of one image."""
        data = self.store.read(number)
        try:
            return self.frame.apply(decode(data, self.channels)).transpose(2, 0, 1)
        except BadImage as error:
            shard, name = self.store.paths[self.store.place(number)[0]], self.store.name(number)
            raise DataError(
                f"{shown(shard)}: {shown(name)}: {error}: take it out, or leave such images out by data.check=true and "
                "data.max_bad=1"
            ) from error
