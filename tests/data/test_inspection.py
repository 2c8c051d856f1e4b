"""What is said about data: moments, equal examples, and test images that resemble one of training."""

import pytest
import torch

from genkit.data import split as split_module
from genkit.data.inspection.near_duplicates import NEXT, near_duplicates, thumbnails
from genkit.data.inspection.statistics import class_counts, duplicates, hashes, moments
from genkit.data.split import Split
from genkit.report.data_text import BAR, bar

GENERATOR = torch.Generator().manual_seed(0)


def pictures(n: int, side: int = 20) -> torch.Tensor:
    """(n, 3, side, side): smooth ones, as photographs are."""
    coarse = torch.rand(n, 3, 4, 4, generator=GENERATOR)
    fine = torch.nn.functional.interpolate(coarse, size=(side, side), mode="bilinear")
    return (255 * fine).round().to(torch.uint8)


@pytest.mark.parametrize("x", [pictures(30), 1e6 + torch.randn(500, 3, generator=GENERATOR)], ids=["images", "vectors"])
def test_moments_do_not_depend_on_the_chunks(x, monkeypatch):
    rows = x.double().movedim(1, 0).flatten(1)
    for size in (2**24, 4000):
        monkeypatch.setattr(split_module, "CHUNK", size)
        found = moments(Split(x))
        torch.testing.assert_close(found.mean, rows.mean(1))
        torch.testing.assert_close(found.std, rows.std(1, correction=0), rtol=1e-6, atol=0)


def test_equal_examples_are_counted_within_and_between_splits():
    x = pictures(12)
    train, val, test = Split(x[[0, 1, 1, 1, 2]]), Split(x[[3, 1]]), Split(x[[4, 2, 2, 3]])
    found = duplicates({"train": hashes(train), "val": hashes(val), "test": hashes(test)}, most=1)
    assert found.within == {"train": 2, "val": 0, "test": 1}
    assert found.between == {"train, val": 1, "train, test": 2, "val, test": 1}
    assert found.first == [(4, 1)]
    assert class_counts(Split(x, torch.arange(12) % 3), 4) == [4, 4, 4, 0]


def test_a_changed_copy_resembles_its_original_and_nothing_else_does():
    """A darker copy, a noisier one, a blurred one, one of five: all are found; new pictures are not."""
    train, new = pictures(300), pictures(20)
    noise = torch.randn(3, 20, 20, generator=GENERATOR)
    half = train[7].float() / 2
    noisy = train[8].float() + 4 * noise
    blurred = (train[9].float() + train[9].float().roll(1, 2)) / 2
    copies = [(train[10].float() + k).clamp(0, 255).to(torch.uint8) for k in range(1, NEXT)]
    held = torch.cat([new, torch.stack([half, noisy, blurred, train[10].float()]).clamp(0, 255).to(torch.uint8)])
    found = near_duplicates(Split(torch.cat([train, torch.stack(copies)])), Split(held), 0.4)
    assert {(pair.test, pair.train) for pair in found if pair.test != 23} == {(20, 7), (21, 8), (22, 9)}
    assert {pair.train for pair in found if pair.test == 23} <= {10, *range(300, 304)}
    assert 23 in {pair.test for pair in found}
    assert [pair.ratio for pair in found] == sorted(pair.ratio for pair in found)


def test_where_nothing_can_be_said_nothing_is_found():
    flat = torch.full((9, 1, 4, 4), 3, dtype=torch.uint8)
    assert not thumbnails(flat).any()
    assert not near_duplicates(Split(flat), Split(flat), 0.4)
    few = pictures(NEXT)
    assert not near_duplicates(Split(few), Split(few), 1.0)


def test_bars():
    assert [bar(share) for share in (0, 1 / (8 * BAR), 1)] == ["", "▏", "█" * BAR]
