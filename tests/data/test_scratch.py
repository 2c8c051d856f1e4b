"""Examples on their way to the splits: the same values in another order, and nothing of them in memory."""

from pathlib import Path

import numpy as np
import pytest

from genkit.data.content_split import NAMES
from genkit.data.prepared import Prepared, Writer, prepare
from genkit.data.scratch import Scratch

N = 40


@pytest.mark.parametrize(("shape", "dtype"), [((3, 4, 4), "uint8"), ((5,), "float32")])
def test_values_and_labels_reach_the_splits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...], dtype: str
) -> None:
    monkeypatch.setenv("GENKIT_CACHE", str(tmp_path))
    values = np.random.default_rng(0).integers(0, 256, (N, *shape)).astype(dtype)
    labels = np.arange(N)
    mapped: list[bool] = []

    def make(writer: Writer) -> None:
        with Scratch(writer, shape, dtype) as scratch:
            for row in values:
                scratch.add(row)
            placed = scratch.place(None, labels, "a test")
            some = np.array([7, 3, 3, N - 1])
            assert np.array_equal(scratch.read(some), values[some])
            mapped.append(str(scratch.path) in Path("/proc/self/maps").read_text())
        assert sorted(np.concatenate(list(placed.rows.values())).tolist()) == list(range(N))
        writer.describe({}, {name: [] for name in NAMES}, {})

    found: Prepared = prepare({}, make)
    assert mapped == [False]  # pages of a map would count as the process's memory, as many as there is data
    for split in found.splits.values():
        whole = split.between(0, len(split))
        assert whole.y is not None
        assert np.array_equal(whole.x.numpy(), values[whole.y.numpy()])
