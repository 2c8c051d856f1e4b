"""What every split promises, wherever its values lie: one body of laws over all kinds."""

from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest
import torch
from torch import Tensor

from genkit.data.dataset import Dataset, SplitName
from genkit.data.loader import TrainLoader, ValLoader
from genkit.data.on_disk import Layout, prepared
from genkit.data.order import canonical_order, drawn
from genkit.data.spec import DataSpec
from genkit.data.split import InMemory, Split, Subset, content_hash
from genkit.errors import ConfigError

N = 23
X = torch.randint(0, 3, (N, 1, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
Y = torch.arange(N) % 3


Make = Callable[[Tensor, Tensor | None], Split]


@pytest.fixture(params=["in memory", "a subset", "on disk", "a subset of what is on disk"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """Makes a split of one kind of these values and labels."""

    def on_disk(x: Tensor, y: Tensor | None) -> Split:
        layout = Layout(len(x), tuple(x.shape[1:]), str(x.dtype).removeprefix("torch."), y is not None)
        facts = {"values": content_hash(x), "labels": None if y is None else content_hash(y)}
        return prepared(InMemory(x, y).chunks(5), layout, facts, folder=tmp_path, say=lambda line: None)

    def part_of(whole: Make) -> Make:
        """Of a larger split that lists the examples backwards, between others."""

        def part(x: Tensor, y: Tensor | None) -> Split:
            more = torch.cat([x[:2] + 1, x.flip(0), x[:3]])
            labels = None if y is None else torch.cat([y[:2], y.flip(0), y[:3]])
            return whole(more, labels)[2 + torch.arange(N - 1, -1, -1)]

        return part

    def subset(x: Tensor, y: Tensor | None) -> Split:
        return Subset(InMemory(x, y), torch.arange(len(x)))

    kinds: dict[str, Make] = {"in memory": InMemory, "on disk": on_disk, "a subset": part_of(subset)}
    return {**kinds, "a subset of what is on disk": part_of(on_disk)}[request.param]


@pytest.mark.parametrize("x", [X, X[:, 0].float() / 7 - 0.1, X.flatten(1).to(torch.int64)], ids=["u8", "f32", "i64"])
@pytest.mark.parametrize("y", [Y, None], ids=["labelled", "plain"])
def test_a_split_is_what_indexing_its_values_gives(make: Make, x: Tensor, y: Tensor | None) -> None:
    split = make(x, y)
    assert (len(split), split.shape, split.dtype) == (N, tuple(x.shape[1:]), x.dtype)
    assert (split.labels is None) if y is None else torch.equal(split.labels, y)
    index = torch.tensor([3, 3, N - 1, 0, 7])
    for picked in (index, torch.randperm(N), torch.arange(5, 9), index[:0]):
        for taken in (split.take(picked), split[picked].between(0, len(picked))):
            assert torch.equal(taken.x, x[picked])
            assert (taken.y is None) if y is None else torch.equal(taken.y, y[picked])
            assert taken.x.dtype == x.dtype
    mask = torch.arange(N) % 4 == 1
    assert torch.equal(split[mask].take(torch.arange(2)).x, x[mask][:2])
    for size in (1, 5, N, 100):
        chunks = list(split.chunks(size))
        assert [len(chunk) for chunk in chunks[:-1]] == [size] * (len(chunks) - 1)
        assert torch.equal(torch.cat([chunk.x for chunk in chunks]), x)
    assert torch.equal(canonical_order(split), canonical_order(x))
    assert torch.equal(drawn(split, 9, 0).x, drawn(InMemory(x, y), 9, 0).x)


def test_what_is_taken_is_a_copy(make: Make) -> None:
    split = make(X.clone(), Y)
    split.take(torch.arange(4)).x.fill_(77)
    assert torch.equal(split.take(torch.arange(4)).x, X[:4])


def test_the_fingerprint_is_that_of_the_values(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read in chunks of any size, in memory or not; the sha256 that runs of earlier versions have noted."""
    known = "28fc3512"
    for size in (1, 40, 2**24):
        monkeypatch.setattr("genkit.data.split.CHUNK", size)
        split = make(X, Y)
        assert split.fingerprint == f"{content_hash(X)} {content_hash(Y)}"
        assert make(X, None).fingerprint == split.values_hash == content_hash(X)
    assert content_hash(torch.arange(3)).startswith(known)
    assert make(X.flip(0), Y).fingerprint != split.fingerprint != make(X, 2 - Y).fingerprint


class Held(Dataset):
    """A dataset of one split."""

    spec = DataSpec((1, 4, 4), "image", (-1.0, 1.0), 4, 3)
    batch_size = eval_n = 4

    def __init__(self, split: Split) -> None:
        self.held = split

    def split(self, name: SplitName) -> Split:
        return self.held


def test_batches_are_the_same(make: Make) -> None:
    one, other = Held(InMemory(X, Y)), Held(make(X, Y))
    training = [list(islice(TrainLoader(data, seed=1), 9)) for data in (one, other)]
    validation = [list(ValLoader(data.held, data.spec, 5)) for data in (one, other)]
    for pair in (*zip(*training, strict=True), *zip(*validation, strict=True)):
        assert all(torch.equal(pair[0][key], pair[1][key]) for key in ("x", "y"))


def test_a_split_of_tensors_is_in_memory() -> None:
    assert isinstance(Split(X, Y), InMemory)


def test_a_dataset_for_the_version_before_views_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"Old: augment\(x, index, generator\) is no longer called: rename"):

        class Old(Held):
            def augment(self, x: Tensor, index: Tensor, generator: torch.Generator) -> Tensor:
                return x
