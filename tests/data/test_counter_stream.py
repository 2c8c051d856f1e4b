"""The random numbers of views: functions of (seed, epoch, example), independent of each other, of the right odds."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from genkit.data.counter_stream import GAMMA, ViewStream, splitmix64

Draw = Callable[[ViewStream, Tensor], Tensor]
DRAWS: dict[str, Draw] = {
    "uniform": lambda stream, index: stream.uniform("a", index, 3),
    "normal": lambda stream, index: stream.normal("a", index, 3),
    "integers": lambda stream, index: stream.integers("a", index, 1000, 3),
    "bytes": lambda stream, index: stream.bytes_below("a", index, 255, 5, 7),
    "bytes, half of them drawn again": lambda stream, index: stream.bytes_below("a", index, 129, 11),
}
EVERY = torch.arange(20_000)
drawn = pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS.keys())


def test_the_generator_is_splitmix64() -> None:
    """The outputs that its authors' program gives for the seed 1234567."""
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    assert splitmix64(np.uint64(1234567) + np.arange(1, 5, dtype=np.uint64) * GAMMA).tolist() == expected


@drawn
def test_an_example_has_its_numbers_whichever_batch_it_is_in(draw: Draw) -> None:
    whole, some = draw(ViewStream(3, 1), EVERY), torch.tensor([7, 19_999, 0, 7, 511])
    assert torch.equal(draw(ViewStream(3, 1), some), whole[some])
    assert torch.equal(draw(ViewStream(3, 1), some[1:2]), whole[some[1:2]])


@drawn
def test_examples_epochs_seeds_and_names_are_independent(draw: Draw) -> None:
    first = draw(ViewStream(3, 1), EVERY).double().flatten(1)
    others = [draw(ViewStream(*stream), EVERY).double().flatten(1) for stream in ((3, 2), (4, 1))]
    pairs = [*((first, other) for other in others), (first[1:], first[:-1]), (first[256:], first[:-256])]
    pairs += [(first[:, :1], first[:, 1:2])]
    for a, b in pairs:
        both = torch.stack([a.flatten(), b.flatten()])
        assert abs(float(torch.corrcoef(both)[0, 1])) < 5 / both.shape[1] ** 0.5
        assert (a != b).any(1).double().mean() > 0.9
    stream = ViewStream(3, 1)
    assert not torch.equal(stream.uniform("a", EVERY), stream.uniform("b", EVERY))


@drawn
def test_numbers_have_the_distribution_that_they_claim(draw: Draw) -> None:
    x = draw(ViewStream(0, 0), EVERY).double().flatten()
    if x.min() < 0:
        x = torch.special.ndtr(x)
    elif x.max() >= 1:
        top = {255: 255, 129: 129, 1000: 1000}[int(x.max()) + 1]
        x = (x + 0.5) / top
    edges = torch.linspace(0, 1, len(x) + 1)[1:].double()
    gap = float((x.sort().values - edges).abs().max())  # of Kolmogorov and Smirnov; integers add half a step
    assert gap < 2 / len(x) ** 0.5 + 0.5 / 129


@pytest.mark.parametrize("high", [1, 2, 16, 129, 255, 256])
def test_bytes_are_uniform_below_their_bound(high: int) -> None:
    x = ViewStream(0, 0).bytes_below("a", EVERY, high, 30).flatten()
    counts = torch.bincount(x.to(torch.int64), minlength=high).double()
    assert len(counts) == high
    expected = len(x) / high
    chi2, freedom = float(((counts - expected) ** 2 / expected).sum()), high - 1
    assert chi2 <= freedom + 5 * (2 * freedom) ** 0.5


def test_an_empty_batch_has_no_numbers() -> None:
    none = torch.arange(0)
    assert [len(draw(ViewStream(0, 0), none)) for draw in DRAWS.values()] == [0] * len(DRAWS)
