"""Noise by position: without a division torch's own, the same however a batch is divided, and of its distribution."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from genkit import batch_noise as noise
from genkit.noise import generator_of

CPU = torch.device("cpu")
X = torch.randn(24, 3, 4, generator=generator_of(0, "x"))
WEIGHTS = torch.rand(24, 5, generator=generator_of(0, "weights"))

# draws for n examples that begin at number `at`, the same draw of torch itself, and where examples are counted
Draw = Callable[[int, int], Tensor]
DRAWS: dict[str, tuple[Draw, Callable[[], Tensor], int]] = {
    "normal": (lambda at, n: noise.normal(n, 5, device=CPU), lambda: torch.randn(24, 5), 0),
    "second dimension": (lambda at, n: noise.normal(3, n, 5, device=CPU, dim=1), lambda: torch.randn(3, 24, 5), 1),
    "normal like": (lambda at, n: noise.normal_like(X[at : at + n]), lambda: torch.randn_like(X), 0),
    "uniform": (lambda at, n: noise.uniform(n, device=CPU), lambda: torch.rand(24), 0),
    "uniform like": (lambda at, n: noise.uniform_like(X[at : at + n]), lambda: torch.rand_like(X), 0),
    "integers": (lambda at, n: noise.integers(9, n, 2, device=CPU), lambda: torch.randint(9, (24, 2)), 0),
    "signs": (lambda at, n: noise.signs_like(X[at : at + n]), lambda: torch.randint_like(X, 2) * 2 - 1, 0),
    "stratified": (
        lambda at, n: noise.stratified(n, CPU),
        lambda: (torch.rand(1) + torch.arange(24) / 24) % 1,
        0,
    ),
    "choices": (
        lambda at, n: noise.choices(WEIGHTS[at : at + n], 3),
        lambda: WEIGHTS.multinomial(3, replacement=True),
        0,
    ),
    "dropout": (lambda at, n: noise.dropout(X[at : at + n], 0.4), lambda: F.dropout(X, 0.4), 0),
}
BY_EXAMPLE = [name for name in DRAWS if name != "choices"]


@pytest.mark.parametrize("name", DRAWS)
def test_an_undivided_batch_draws_from_torch(name: str) -> None:
    draw, own, _ = DRAWS[name]
    torch.manual_seed(5)
    drawn = draw(0, 24), draw(0, 24)
    torch.manual_seed(5)
    assert torch.equal(drawn[0], own())
    assert torch.equal(drawn[1], own())


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize("processes", [2, 3])
def test_the_parts_of_a_batch_draw_what_the_whole_draws(name: str, processes: int) -> None:
    draw, own, dim = DRAWS[name]
    n = 24 // processes
    torch.manual_seed(5)
    wholes = own(), own()
    parts = []
    for rank in range(processes):
        with noise.share_of_batch(5, rank, processes):
            parts.append((draw(rank * n, n), draw(rank * n, n)))
    for whole, part in zip(wholes, zip(*parts, strict=True), strict=True):
        assert torch.equal(torch.cat(part, dim), whole)


@pytest.mark.parametrize("name", BY_EXAMPLE)
def test_an_example_draws_the_same_in_batches_of_any_size(name: str) -> None:
    draw, _, dim = DRAWS[name]

    def drawn(size: int) -> list[Tensor]:
        both = []
        for at in range(0, 24, size):
            with noise.by_example(5, 7 + 50 + at):  # a block ends within
                both.append((draw(at, size), draw(at, size)))
        return [torch.cat(parts, dim) for parts in zip(*both, strict=True)]

    once, again = drawn(24)
    for size in (1, 8):
        assert torch.equal(drawn(size)[0], once)
        assert torch.equal(drawn(size)[1], again)
    assert not torch.equal(once, again)


def test_examples_of_different_blocks_and_seeds_draw_differently() -> None:
    drawn = []
    for seed, first in ((1, 0), (1, noise.BLOCK), (2, 0)):
        with noise.by_example(seed, first):
            drawn.append(noise.normal(4, device=CPU))
    assert len({tuple(z.tolist()) for z in drawn}) == 3


def test_a_division_ends_with_its_block() -> None:
    with pytest.raises(ZeroDivisionError), noise.by_example(5, 0):
        1 / 0  # noqa: B018
    torch.manual_seed(5)
    drawn = noise.normal(4, device=CPU)
    torch.manual_seed(5)
    assert torch.equal(drawn, torch.randn(4))
