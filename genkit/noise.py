"""Random numbers as pure functions of seed and purpose, never of earlier draws.

Four uses:

* `seed_of(seed, *names)`: a 63-bit seed for a named stream, e.g. `seed_of(seed, "val")`. What training and validation
  draw for an example is in `genkit/batch_noise.py`.
* `noise_of(x, seed)`: noise of examples x, a function of the seed and their values.
* `dequantisation_noise(seed, indices, shape)`: where in its bin a stored value is put.
* `SampleNoise`: the noise that a model samples from. Its k-th call returns one row per sample; the row of sample i is
  a function of (seed, i, k) alone, so sample i is the same in a batch of 1 and in a batch of 500, on one device and
  on eight. Made with Philox, a counter-based generator (Salmon et al., SC 2011): key = seed, counter = (·, ·, k, i).
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import numpy as np
import torch
from torch import Tensor


def seed_of(seed: int, *names: int | str) -> int:
    """A seed in [0, 2⁶³) for the stream `names` of `seed`; different names give unrelated streams."""
    text = "/".join(str(part) for part in (seed, *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def generator_of(seed: int, *names: int | str) -> torch.Generator:
    """A CPU generator at the start of the stream `names` of `seed`."""
    return torch.Generator().manual_seed(seed_of(seed, *names))


def seed_global(seed: int, device: torch.device) -> None:
    """Seeds the generators that layers draw from on `device`, and the CPU's.

    `torch.manual_seed` also queues the seed for every backend that is not running, which costs two milliseconds.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed_all(seed)
    elif device.type != "cpu":
        torch.manual_seed(seed)


@contextmanager
def generators_kept() -> Iterator[None]:
    """Leave the global generators of torch, numpy and Python as they were found, also after draws or seeding inside.

    A CUDA generator that did not run before continues from the seed that torch has for it.
    """
    python, numpy, running = random.getstate(), np.random.get_state(), torch.cuda.is_initialized()
    try:
        with torch.random.fork_rng(range(torch.cuda.device_count()) if running else []):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        if torch.cuda.is_initialized() and not running:
            torch.cuda.manual_seed_all(torch.initial_seed())


class Noise(Protocol):
    """The randomness of a sampling model: `noise(*shape)` is (n, *shape) standard normal float32."""

    def __call__(self, *shape: int) -> Tensor: ...


class SampleNoise:
    """Standard normal noise for the samples `indices`, row by row a function of (seed, index, call number).

    Args:
        seed: The user's sampling seed.
        indices: Global numbers i of the samples in this batch.
        device: Where the noise is moved; it is always made on the CPU in float32.
    """

    def __init__(self, seed: int, indices: Sequence[int], device: torch.device | str = "cpu") -> None:
        self.key = seed_of(seed, "sample")
        self.indices = indices
        self.device = torch.device(device)
        self.calls = 0

    def __call__(self, *shape: int) -> Tensor:
        """(n, *shape) float32 standard normal, n = len(indices)."""
        out = np.empty((len(self.indices), *shape), dtype=np.float32)
        for row, index in zip(out, self.indices, strict=True):
            bits = np.random.Philox(key=self.key, counter=[0, 0, self.calls, index])
            row[...] = np.random.Generator(bits).standard_normal(shape, dtype=np.float32)
        self.calls += 1
        return torch.from_numpy(out).to(self.device)


def noise_of(x: Tensor, seed: int = 0) -> SampleNoise:
    """Noise whose row of each example of x (B, …) is a function of the seed and that example's values alone.

    What a score draws for an example is then the same in every batch, and independent between examples.
    """
    rows = x.detach().cpu().contiguous().flatten(1).numpy()
    return SampleNoise(seed, [seed_of(0, hashlib.sha256(row.tobytes()).hexdigest()) for row in rows], x.device)


def dequantisation_noise(seed: int, indices: range, shape: tuple[int, ...]) -> Tensor:
    """u in [0, 1), (n, *shape) float32: the row of example i is a function of (seed, i)."""
    key = seed_of(seed, "dequantise")
    rows = (np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, i])) for i in indices)
    return torch.from_numpy(np.stack([row.random(shape, dtype=np.float32) for row in rows]))
