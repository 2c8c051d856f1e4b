"""Noise of training and validation by an example's position, however the batch is divided.

A model's losses draw here, not from torch, what each example of a batch gets. As long as nobody says otherwise that is
torch's own draw from its global generator. `share_of_batch` divides a training batch among processes: each fills the
whole batch and takes its rows, so that two processes with B examples draw what one with 2 B draws. `by_example` gives
an example of a validation what its number says: it is filled in blocks of BLOCK examples, each from a seed of its own,
for any batches.

A whole batch is filled W times by W processes. That is cheap beside a network (a standard normal costs some
nanoseconds), and it is exact for every distribution, since no generator has to be taken apart.

What draws from torch itself, as models of other packages may, is still seeded: by process in training, by batch in
validation.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor
from torch.nn import functional as F

from genkit.noise import seed_of

BLOCK = 64  # examples
Shape = tuple[int, ...]
Fill = Callable[[Shape, torch.Generator | None], Tensor]


class Division(ABC):
    """The place of a batch in a larger whole."""

    @abstractmethod
    def rows(self, fill: Fill, shape: Shape, dim: int, device: torch.device) -> Tensor:
        """Of what `fill` makes of the whole, the part of shape `shape` whose examples are the batch's along `dim`."""


class Share(Division):
    """The rank-th of equal parts of a training batch.

    Arguments:
        seed: Of the micro-batch, the same in all processes.
        rank, world_size: Which part, of how many.
    """

    def __init__(self, seed: int, rank: int, world_size: int) -> None:
        self.seed, self.rank, self.world_size = seed, rank, world_size
        self.generators: dict[torch.device, torch.Generator] = {}

    def generator(self, device: torch.device) -> torch.Generator:
        """The generator of the whole batch, in the same state in all processes."""
        if device not in self.generators:
            self.generators[device] = torch.Generator(device).manual_seed(self.seed)
        return self.generators[device]

    def rows(self, fill: Fill, shape: Shape, dim: int, device: torch.device) -> Tensor:
        n = shape[dim]
        whole = fill(_resized(shape, dim, n * self.world_size), self.generator(device))
        return whole.narrow(dim, self.rank * n, n)


class Numbered(Division):
    """Successive examples of a split.

    Arguments:
        seed: Of the split.
        first: Number of the batch's first example.
    """

    def __init__(self, seed: int, first: int) -> None:
        self.seed, self.first, self.calls = seed, first, 0

    def rows(self, fill: Fill, shape: Shape, dim: int, device: torch.device) -> Tensor:
        n, generator = shape[dim], torch.Generator(device)
        low, high = self.first // BLOCK, (self.first + n - 1) // BLOCK
        size = _resized(shape, dim, BLOCK)
        blocks = [
            fill(size, generator.manual_seed(seed_of(self.seed, self.calls, block))) for block in range(low, high + 1)
        ]
        self.calls += 1
        return torch.cat(blocks, dim).narrow(dim, self.first - low * BLOCK, n)


_division: ContextVar[Division | None] = ContextVar("division", default=None)


@contextmanager
def share_of_batch(seed: int, rank: int, world_size: int) -> Iterator[None]:
    """Inside, draws are those of the rank-th of `world_size` parts of a batch; with one part, torch's own."""
    with _divided(None if world_size == 1 else Share(seed, rank, world_size)):
        yield


@contextmanager
def by_example(seed: int, first: int) -> Iterator[None]:
    """Inside, draws are those of the examples from number `first` on."""
    with _divided(Numbered(seed, first)):
        yield


def drawn(fill: Fill, shape: Shape, device: torch.device, dim: int = 0) -> Tensor:
    """The rows of this process, of what `fill(shape, generator)` makes for the whole batch.

    Args:
        fill: Makes a tensor of any number of examples, from a generator, or from torch's global one where it is None.
        shape: Of the examples here.
        device: Of the tensor and of the generator.
        dim: Where the examples are counted.
    """
    division = _division.get()
    return fill(shape, None) if division is None else division.rows(fill, shape, dim, device)


def normal(*shape: int, device: torch.device, dim: int = 0) -> Tensor:
    """Standard normal float32."""
    return drawn(lambda size, g: torch.randn(size, generator=g, device=device), shape, device, dim)


def normal_like(x: Tensor) -> Tensor:
    """Standard normal, of the shape and type of x (B, …)."""

    def fill(size: Shape, g: torch.Generator | None) -> Tensor:
        return torch.randn_like(x) if g is None else torch.randn(size, generator=g, device=x.device, dtype=x.dtype)

    return drawn(fill, x.shape, x.device)


def uniform(*shape: int, device: torch.device, dtype: torch.dtype | None = None) -> Tensor:
    """Uniform in [0, 1)."""
    return drawn(lambda size, g: torch.rand(size, generator=g, device=device, dtype=dtype), shape, device)


def uniform_like(x: Tensor) -> Tensor:
    """Uniform in [0, 1), of the shape and type of x (B, …)."""

    def fill(size: Shape, g: torch.Generator | None) -> Tensor:
        return torch.rand_like(x) if g is None else torch.rand(size, generator=g, device=x.device, dtype=x.dtype)

    return drawn(fill, x.shape, x.device)


def stratified(n: int, device: torch.device) -> Tensor:
    """(n,) uniform in [0, 1), one in each N-th of the interval for the N examples of the whole."""

    def fill(size: Shape, g: torch.Generator | None) -> Tensor:
        return (torch.rand(1, generator=g, device=device) + torch.arange(size[0], device=device) / size[0]) % 1

    return drawn(fill, (n,), device)


def integers(high: int, *shape: int, device: torch.device) -> Tensor:
    """Uniform in 0 … high − 1, int64."""
    return drawn(lambda size, g: torch.randint(high, size, generator=g, device=device), shape, device)


def permutation(n: int, device: torch.device) -> Tensor:
    """(n,) 0 … n − 1 in a random order, the same one in all processes."""
    division = _division.get()
    generator = division.generator(device) if isinstance(division, Share) else None
    return torch.randperm(n, generator=generator, device=device)


def signs_like(x: Tensor) -> Tensor:
    """−1 or 1, each as likely, of the shape and type of x (B, …)."""

    def fill(size: Shape, g: torch.Generator | None) -> Tensor:
        drawn = torch.randint_like(x, 2) if g is None else torch.randint(2, size, generator=g, device=x.device)
        return drawn.to(x.dtype) * 2 - 1

    return drawn(fill, x.shape, x.device)


def choices(weights: Tensor, count: int) -> Tensor:
    """(B, count) columns of weights (B, K), drawn with replacement with these probabilities."""

    def fill(size: Shape, g: torch.Generator | None) -> Tensor:
        rows = weights.repeat(-(-size[0] // len(weights)), 1)[: size[0]]  # of a share, in its own place too
        return rows.multinomial(count, replacement=True, generator=g)

    if isinstance(_division.get(), Numbered):  # the rows of others are not known
        return fill((len(weights), count), None)
    return drawn(fill, (len(weights), count), weights.device)


def dropout(x: Tensor, p: float) -> Tensor:
    """x (B, …) with a share p of its values dropped and the others scaled up, as `torch.nn.functional.dropout`.

    Divided or not, the same values are dropped on a CPU; a GPU's own kernel draws in an order of its own.
    """

    def fill(size: Shape, g: torch.Generator | None) -> Tensor:
        if g is None:
            return F.dropout(x if x.is_cuda else x.contiguous(), p)  # a CPU draws in the order of the memory
        kept = torch.empty(size, device=x.device, dtype=x.dtype).bernoulli_(1 - p, generator=g)
        return kept.div_(1 - p)

    if _division.get() is None:
        return fill(x.shape, None)
    return x * drawn(fill, x.shape, x.device)


@contextmanager
def _divided(division: Division | None) -> Iterator[None]:
    token = _division.set(division)
    try:
        yield
    finally:
        _division.reset(token)


def _resized(shape: Shape, dim: int, n: int) -> Shape:
    return (*shape[:dim], n, *shape[dim + 1 :])
