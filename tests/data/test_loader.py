"""The exact order: a micro-batch is a pure function of its number, ranks partition an epoch, nothing is lost."""

from itertools import islice

import pytest
import torch
from torch import Tensor

from genkit.data.counter_stream import ViewStream
from genkit.data.dataset import Dataset, SplitName
from genkit.data.loader import TrainLoader, ValLoader, forward_batch
from genkit.data.spec import Batch, DataSpec
from genkit.data.split import InMemory, Split
from genkit.errors import DataError


class Counted(Dataset):
    """N examples whose stored value is their number; their view adds a random hundred drawn per example."""

    spec = DataSpec(shape=(1,), modality="vector")
    eval_n = 1

    def __init__(self, n: int, batch_size: int, labelled: bool = True, noisy: bool = False) -> None:
        self.batch_size, self.noisy = batch_size, noisy
        numbers = torch.arange(n)
        self.train = InMemory(numbers[:, None].float(), numbers if labelled else None)

    def split(self, name: SplitName) -> Split:
        return self.train

    def view(self, values: Tensor, index: Tensor, stream: ViewStream) -> Tensor:
        return values + 100 * stream.integers("hundreds", index, 100, 1) if self.noisy else values


def numbers(batches: list[Batch]) -> list[int]:
    return [int(y) for batch in batches for y in batch["y"]]


def same(first: list[Batch], second: list[Batch]) -> bool:
    return len(first) == len(second) and all(
        a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)
        for a, b in zip(first, second, strict=True)
    )


@pytest.mark.parametrize("start", [0, 1, 4, 5, 13])
def test_start_is_the_same_as_skipping(start: int) -> None:
    data = Counted(23, 5, noisy=True)
    straight = list(islice(TrainLoader(data, seed=3), 20))
    assert same(list(islice(TrainLoader(data, seed=3, start=start), 20 - start)), straight[start:])


def test_iterating_again_starts_again() -> None:
    loader = TrainLoader(Counted(10, 3), seed=0, start=2)
    assert same(list(islice(loader, 7)), list(islice(loader, 7)))


@pytest.mark.parametrize(("n", "batch_size", "world_size"), [(24, 4, 1), (24, 4, 2), (24, 4, 3), (25, 4, 2), (5, 8, 1)])
def test_an_epoch_shows_every_example_once(n: int, batch_size: int, world_size: int) -> None:
    """Over all ranks together, but for what does not fill a micro-batch of every rank."""
    data = Counted(n, batch_size)
    loaders = [TrainLoader(data, seed=1, world_size=world_size, rank=rank) for rank in range(world_size)]
    seen = [number for loader in loaders for number in numbers(list(islice(loader, loader.per_epoch)))]
    whole = loaders[0].batch_size * world_size
    assert len(seen) == len(set(seen)) == n - n % whole


def test_two_ranks_make_one_twice_as_wide() -> None:
    two = [TrainLoader(Counted(24, 4), seed=1, world_size=2, rank=rank) for rank in range(2)]
    wide = TrainLoader(Counted(24, 8), seed=1)
    for m in range(7):
        together = torch.cat([loader.batch(m)["x"] for loader in two])
        assert torch.equal(together, wide.batch(m)["x"])


def test_epochs_and_seeds_have_different_orders() -> None:
    data = Counted(64, 64)
    first, second = islice(TrainLoader(data, seed=0), 2)
    other = next(iter(TrainLoader(data, seed=1)))
    assert not torch.equal(first["y"], second["y"])
    assert not torch.equal(first["y"], other["y"])


def test_a_batch_is_no_function_of_those_before() -> None:
    loader = TrainLoader(Counted(20, 3, noisy=True), seed=5)
    forwards = [loader.batch(m) for m in range(15)]
    backwards = [loader.batch(m) for m in reversed(range(15))]
    assert same(forwards, backwards[::-1])


def test_a_view_is_independent_of_the_batch() -> None:
    """With another batch size the same example of the same epoch has the same view."""
    seen = []
    for batch_size in (4, 12):
        loader = TrainLoader(Counted(24, batch_size, noisy=True), seed=2)
        batches = list(islice(loader, loader.per_epoch))
        seen.append({int(y): float(x) for batch in batches for x, y in zip(batch["x"], batch["y"], strict=True)})
    assert seen[0] == seen[1]
    assert len(seen[0]) == 24


def test_views_change_with_the_epoch() -> None:
    first, second = islice(TrainLoader(Counted(32, 32, noisy=True), seed=2), 2)
    assert not torch.equal(first["x"].sort(0).values, second["x"].sort(0).values)


def test_small_split_gives_batches_of_all_of_it() -> None:
    loader = TrainLoader(Counted(3, 8), seed=0)
    assert (loader.batch_size, loader.per_epoch) == (3, 1)
    assert sorted(numbers([loader.batch(4)])) == [0, 1, 2]
    with pytest.raises(DataError, match="3 examples for 4 processes"):
        TrainLoader(Counted(3, 8), seed=0, world_size=4)


def test_batches_are_scaled_and_unlabelled_data_has_no_y() -> None:
    class Pixels(Counted):
        spec = DataSpec(shape=(1,), modality="vector", value_range=(-1.0, 1.0), levels=4)

    batch = TrainLoader(Pixels(4, 4, labelled=False), seed=0).batch(0)
    assert batch.keys() == {"x"}
    assert batch["x"].dtype == torch.float32
    assert batch["x"].sort(0).values.flatten().tolist() == [-0.75, -0.25, 0.25, 0.75]


@pytest.mark.parametrize(("n", "sizes"), [(10, [4, 4, 2]), (8, [4, 4]), (3, [3])])
def test_validation_is_finite_and_in_order(n: int, sizes: list[int]) -> None:
    data = Counted(n, 1)
    loader = ValLoader(data.split("val"), data.spec, batch_size=4)
    batches = list(loader)
    assert [len(batch["x"]) for batch in batches] == sizes
    assert len(loader) == len(sizes)
    assert numbers(batches) == list(range(n))
    assert same(batches, list(loader))


@pytest.mark.parametrize(("batch_size", "expected"), [(1, 4), (128, 512), (4096, 512)])
def test_a_batch_without_gradients_follows_the_training_batch(batch_size: int, expected: int) -> None:
    assert forward_batch(Counted(8, batch_size)) == expected
