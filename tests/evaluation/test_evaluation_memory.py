"""Memory of a Fréchet distance does not grow with the number of samples: features are summed as they come.

What torch holds is counted tensor by tensor, so that sizes can be small and nothing depends on an allocator.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from genkit.data.spec import DataSpec
from genkit.data.split import InMemory
from genkit.evaluation import probe
from genkit.evaluation.evaluator import Evaluator
from genkit.evaluation.reference import Reference
from genkit.evaluation.source import SampleSource
from genkit.features.raw import RawFeatures
from genkit.metrics import folding
from genkit.metrics.frechet import FrechetDistance

SPEC = DataSpec((3, 4, 4), "image", (-1.0, 1.0), 256)
ROW = 48 * 8  # bytes of the features of a sample


class TensorsHeld(TorchDispatchMode):
    """Bytes of the tensors that were made since, now and at most."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor):
                self._count(tensor.untyped_storage())
        return made

    def _count(self, storage: torch.UntypedStorage) -> None:
        if (key := storage._cdata) not in self._known:
            self._known.add(key)
            self.now += storage.nbytes()
            self.most = max(self.most, self.now)
            weakref.finalize(storage, self._freed, key, storage.nbytes())

    def _freed(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size


def images(n: int, seed: int) -> InMemory:
    generator = torch.Generator().manual_seed(seed)
    return InMemory(torch.randint(0, 256, (n, *SPEC.shape), dtype=torch.uint8, generator=generator))


def most_held(n: int) -> int:
    """At most, while n samples are scored with their interval against a reference, beyond what there was."""
    score = Evaluator(
        {"fid": FrechetDistance()},
        RawFeatures("std"),
        Reference(SPEC, images(400, 0), "file"),
        named=True,
        batch_size=100,
        floor_repeats=0,
        look_for_copies=False,
    )
    source = SampleSource(images(n, 1))
    with TensorsHeld() as held:
        [record] = score.score(source)
    assert record.scored
    assert record.ci95 is not None
    return held.most


def test_memory_does_not_grow_with_the_number_of_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (folding, probe):
        monkeypatch.setattr(module, "KEPT", 300 * ROW)
    monkeypatch.setattr(folding, "PIECE", 100)
    few, many = most_held(1_000), most_held(8_000)
    assert many < few + 0.05 * 7_000 * ROW
    monkeypatch.setattr(folding, "KEPT", 2**28)  # the same measure where nothing is folded
    assert most_held(8_000) > many + 0.9 * 7_000 * ROW
