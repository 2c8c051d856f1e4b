"""Flips and shifts: the right pixels, the right odds, and the same for an example whatever its batch."""

import pytest
import torch

from genkit.data.augmentation import crop, flip_and_shift
from genkit.data.counter_stream import ViewStream
from genkit.noise import generator_of

N = 4_000


def images(n: int = N, channels: int = 2) -> torch.Tensor:
    return torch.randint(1, 17, (n, channels, 5, 7), generator=generator_of(0, "images")).to(torch.uint8)


def changed(x: torch.Tensor, index: torch.Tensor, flip: bool, shift: int) -> torch.Tensor:
    return flip_and_shift(x[index], index, ViewStream(1, 0), flip=flip, shift=shift, fill=0)


@pytest.mark.parametrize(("flip", "shift"), [(True, 0), (False, 2), (True, 1)])
def test_augmentation_of_an_example_is_independent_of_its_batch(flip: bool, shift: int) -> None:
    x = images(100)
    whole = changed(x, torch.arange(100), flip, shift)
    some = torch.tensor([7, 93, 0, 41])
    assert torch.equal(changed(x, some, flip, shift), whole[some])


def test_flip_turns_half_of_the_images() -> None:
    x = images()
    out = changed(x, torch.arange(N), flip=True, shift=0)
    same, turned = (out == x).flatten(1).all(1), (out == x.flip(-1)).flatten(1).all(1)
    assert (same | turned).all()
    assert turned.double().mean() == pytest.approx(0.5, abs=0.04)


def test_shift_is_one_of_the_moves_and_fills_with_the_lowest_level() -> None:
    x, shift = images(), 1
    out = changed(x, torch.arange(N), flip=False, shift=shift)
    padded = torch.nn.functional.pad(x, [shift] * 4)
    hits = [
        (out == padded[:, :, row : row + 5, column : column + 7]).flatten(1).all(1)
        for row in range(3)
        for column in range(3)
    ]
    share = torch.stack(hits).double().mean(1)
    assert share.sum() == pytest.approx(1.0)
    assert (share - 1 / 9).abs().max() < 0.03


def test_an_image_is_moved_whether_or_not_it_is_flipped() -> None:
    x, index = images(), torch.arange(N)
    flipped, moved = changed(x, index, flip=True, shift=0), changed(x, index, flip=False, shift=1)
    turned = (flipped == x.flip(-1)).flatten(1).all(1)
    padded = torch.nn.functional.pad(x, [1] * 4)
    for row in range(3):
        for column in range(3):
            hit = (moved == padded[:, :, row : row + 5, column : column + 7]).flatten(1).all(1)
            assert turned[hit].double().mean() == pytest.approx(0.5, abs=0.12)  # the standard error is 0.024
    assert torch.equal(
        changed(x, index, flip=True, shift=1),
        flip_and_shift(flipped, index, ViewStream(1, 0), flip=False, shift=1, fill=0),
    )


def test_crop_takes_the_window_at_its_corner() -> None:
    x, offsets = images(3), torch.tensor([[0, 0], [2, 1], [1, 3]])
    out = crop(x, offsets, 3, 4)
    for i, (row, column) in enumerate(offsets.tolist()):
        assert torch.equal(out[i], x[i, :, row : row + 3, column : column + 4])
