"""The digits: fixed stratified splits, floors of half-splits, augmentation."""

import hashlib

import pytest
import torch

from genkit.data.counter_stream import ViewStream
from genkit.data.sources.digits import Digits, load, stratified_order
from genkit.errors import DataError
from genkit.noise import generator_of

PARTS = ("train", "val", "test")


@pytest.fixture(scope="module")
def digits() -> Digits:
    return Digits()


def digest(x: torch.Tensor) -> str:
    return hashlib.sha256(x.contiguous().numpy().tobytes()).hexdigest()[:16]


def test_images_are_the_pinned_ones() -> None:
    x, y = load()
    assert (x.shape, x.dtype, int(x.min()), int(x.max())) == ((1797, 1, 8, 8), torch.uint8, 0, 16)
    assert (digest(x), digest(y)) == ("8f26b2bd9d135c25", "a3c91c262eddcf7b")


def test_splits_are_pinned(digits: Digits) -> None:
    """Scores of different versions compare only while the split stays what it is."""
    assert {name: (len(digits.split(name)), digest(digits.index[name])) for name in PARTS} == {
        "train": (798, "352fd7f81ac3a730"),
        "val": (100, "d384c7ef840b0519"),
        "test": (899, "10e4bda97ac7a8b6"),
    }


def test_splits_partition_the_data(digits: Digits) -> None:
    together = torch.cat([digits.index[name] for name in PARTS])
    assert torch.equal(together.sort().values, torch.arange(1797))
    for name in PARTS:
        assert torch.equal(digits.split(name).x, digits.everything.x[digits.index[name]])


def test_splits_are_stratified(digits: Digits) -> None:
    everything = load()[1].bincount()
    for name in PARTS:
        y = digits.split(name).y
        assert y is not None
        assert (y.bincount(minlength=10) - len(y) * everything / 1797).abs().max() <= 2


def test_every_prefix_of_a_stratified_order_holds_the_classes_in_proportion() -> None:
    y = torch.tensor([0] * 60 + [1] * 30 + [2] * 10)
    order = stratified_order(y, generator_of(0, "test"))
    assert torch.equal(order.sort().values, torch.arange(100))
    shares = torch.nn.functional.one_hot(y[order]).cumsum(0) - torch.arange(1, 101)[:, None] * torch.tensor(
        [0.6, 0.3, 0.1]
    )
    assert shares.abs().max() <= 2


def test_real_pair_is_a_seeded_half_split(digits: Digits) -> None:
    first, reference = digits.real_pair(898, repeat=0)
    assert (len(first), len(reference)) == (898, 899)
    everything = torch.cat([first.x, reference.x]).flatten(1)
    assert torch.equal(everything.unique(dim=0), load()[0].flatten(1).unique(dim=0))
    assert everything.sum() == load()[0].sum()
    assert torch.equal(first.x, digits.real_pair(898, repeat=0)[0].x)
    assert not torch.equal(first.x, digits.real_pair(898, repeat=1)[0].x)


def test_smaller_floor_subsamples_one_half(digits: Digits) -> None:
    first, reference = digits.real_pair(100, repeat=3)
    assert torch.equal(first.x, digits.real_pair(898, repeat=3)[0].x[:100])
    assert torch.equal(reference.x, digits.real_pair(898, repeat=3)[1].x)
    with pytest.raises(DataError, match=r"n=899.*n=898"):
        digits.real_pair(899, repeat=0)


def test_no_augmentation_unless_asked(digits: Digits) -> None:
    x = digits.split("train").x[:5]
    assert torch.equal(digits.view(x, torch.arange(5), ViewStream(0, 0)), x)


def test_augmentation_moves_training_images() -> None:
    digits = Digits(flip=True, shift=1)
    x = digits.split("train").x
    moved = digits.view(x, torch.arange(len(x)), ViewStream(0, 0))
    assert moved.dtype == torch.uint8
    assert 0.02 < (moved == x).flatten(1).all(1).double().mean() < 0.09  # 1/2 · 1/9
