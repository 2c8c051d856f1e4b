"""Orders that are functions of the set of examples alone."""

import numpy as np
import pytest
import torch
from torch import Tensor

from genkit.data.order import canonical_order, drawn, settled
from genkit.data.split import InMemory


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def numbers(low: int, high: int, *shape: int) -> Tensor:
    return torch.randint(low, high, shape, generator=seeded(0))


ROWS = {
    "real": torch.randn(200, 3, generator=seeded(0), dtype=torch.float64),
    "of both signs": numbers(-2, 3, 300, 4).float(),
    "bytes": numbers(0, 256, 100, 1, 5, 5).to(torch.uint8),
    "equal in the first columns": torch.cat([torch.zeros(150, 130), numbers(0, 3, 150, 3)], 1),
    "mostly equal": numbers(0, 2, 100, 1),
    "all equal": torch.zeros(5, 2),
    "one": torch.zeros(1, 2),
    "minus zero": torch.tensor([[0.0, 1.0], [-0.0, 0.0], [0.0, -1.0]]),
}


@pytest.mark.parametrize("x", ROWS.values(), ids=ROWS.keys())
def test_rows_are_sorted_as_words_are(x: Tensor) -> None:
    rows = x.flatten(1).double()
    wanted = np.lexsort(rows.numpy().T[::-1])
    assert torch.equal(rows[canonical_order(x)], rows[torch.from_numpy(wanted.copy())])


@pytest.mark.parametrize("x", ROWS.values(), ids=ROWS.keys())
def test_a_draw_and_its_labels_do_not_depend_on_the_list(x: Tensor) -> None:
    listed = InMemory(x, torch.arange(len(x)) % 3)
    other = listed[torch.randperm(len(x), generator=seeded(1))]
    for a, b in ((settled(listed), settled(other)), (drawn(listed, len(x) // 2, 4), drawn(other, len(x) // 2, 4))):
        assert a.y is not None
        assert b.y is not None
        assert torch.equal(a.x, b.x)
        assert torch.equal(a.y, b.y)


def test_a_draw_is_without_replacement_by_seed_and_no_head_of_a_sorted_list() -> None:
    listed = InMemory(torch.arange(1000.0)[:, None], torch.arange(1000) // 100)
    some = drawn(listed, 300, 0)
    assert len(some.x.unique()) == 300
    assert torch.equal(some.x[:, 0].long() // 100, some.y)
    assert some.y is not None
    assert int(torch.bincount(some.y, minlength=10).min()) > 15
    assert not torch.equal(some.x, drawn(listed, 300, 1).x)
    assert len(settled(listed).x.unique()) == 1000
