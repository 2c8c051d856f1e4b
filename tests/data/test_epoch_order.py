"""Orders of an epoch: every example once, a function of (seed, epoch, position), shards and windows kept together."""

import numpy as np
import pytest
import torch

from genkit.data.epoch_order import EpochOrder, WholeOrder, WindowedShards

STARTS = np.array([0, 5, 5, 18, 40, 47])  # one shard is empty
N = 47


def orders(seed: int, epoch: int) -> list[EpochOrder]:
    return [WholeOrder(N, seed, epoch), *(WindowedShards(STARTS, window, seed, epoch) for window in (1, 7, 20, 1000))]


@pytest.mark.parametrize("kind", range(5))
def test_every_example_once_and_the_same_from_anywhere(kind: int) -> None:
    whole = orders(3, 1)[kind].between(0, N)
    assert sorted(whole.tolist()) == list(range(N))
    for low in range(0, N, 6):
        assert torch.equal(orders(3, 1)[kind].between(low, low + 6), whole[low : low + 6])
    again = orders(3, 1)[kind]
    backwards = [again.between(low, low + 5) for low in range(40, -1, -5)]  # from any place to any other
    assert torch.equal(torch.cat(backwards[::-1]), whole[:45])
    for seed, epoch in ((3, 2), (4, 1)):
        assert not torch.equal(orders(seed, epoch)[kind].between(0, N), whole)


def test_a_window_holds_what_follows_each_other_in_the_order_of_shards() -> None:
    """So few shards are read from at a time."""
    window = 10
    order = WindowedShards(STARTS, window, 0, 0).between(0, N).tolist()
    shards = np.searchsorted(STARTS, order, side="right") - 1
    unmixed = WindowedShards(STARTS, 1, 0, 0).between(0, N).tolist()
    for low in range(0, N, window):
        assert sorted(order[low : low + window]) == sorted(unmixed[low : low + window])
    by_shard = np.searchsorted(STARTS, unmixed, side="right") - 1
    assert int((np.diff(by_shard) != 0).sum()) == 3  # four shards that hold something, one after the other
    assert len(set(shards[:window].tolist())) <= 3
    assert order != unmixed
