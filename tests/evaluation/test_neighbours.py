"""Nearest training examples, and the two choices of samples that are shown beside them."""

import pytest
import torch

from genkit.data.order import settled
from genkit.data.sources.digits import Digits
from genkit.data.spec import DataSpec
from genkit.data.split import InMemory
from genkit.evaluation.evaluator import Evaluator
from genkit.evaluation.neighbours import neighbourhoods
from genkit.evaluation.reference import Reference
from genkit.evaluation.source import SampleSource
from genkit.features.classifier import ClassifierFeatures
from genkit.metrics import distances
from genkit.metrics.distances import nearest_squared, tiles
from genkit.metrics.frechet import FrechetDistance

SPEC = DataSpec((1, 1, 2), "image")


def rows(n: int, seed: int) -> torch.Tensor:
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("k", [1, 3])
def test_nearest_rows_are_those_of_a_full_table(k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distances, "BLOCK_ELEMENTS", 1000)
    points, others = rows(40, 0), rows(90, 1)
    distance, which = nearest_squared(points, others, k)
    expected, order = torch.cdist(points, others, compute_mode="donot_use_mm_for_euclid_dist").sort(1)
    torch.testing.assert_close(distance.sqrt(), expected[:, :k])
    assert torch.equal(which, order[:, :k])


@pytest.mark.parametrize("k", [1, 2])
def test_of_equally_near_ones_in_several_tiles_the_first_is_nearest(k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distances, "BLOCK_ELEMENTS", 4)
    others = rows(3, 0).repeat(3, 1)
    distance, which = nearest_squared(others[:3], others, k)
    assert torch.equal(distance, torch.zeros(3, k).double())
    assert torch.equal(which, torch.tensor([[0, 3], [1, 4], [2, 5]])[:, :k])


@pytest.mark.parametrize(("n", "m"), [(1, 1), (3, 20), (20, 3), (7, 7)])
def test_tiles_cover_every_pair_once(n: int, m: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distances, "BLOCK_ELEMENTS", 17)
    seen = torch.zeros(n, m)
    for part, tile in tiles(n, m):
        seen[part, tile] += 1
        assert seen[part, tile].numel() <= 17
    assert torch.equal(seen, torch.ones(n, m))


def test_first_samples_and_the_least_new_ones_are_shown() -> None:
    x, known = rows(30, 0), rows(50, 1)
    x[17] = known[4]
    shaped = [values.reshape(-1, 1, 1, 2) for values in (x, known)]
    shown = neighbourhoods((shaped[0], x), (InMemory(shaped[1]), known), SPEC, rows=5)
    assert shown.first.shape == shown.closest.shape == (5, 4, 1, 1, 2)
    assert torch.equal(shown.first[:, 0], shaped[0][:5])
    assert torch.equal(shown.closest[0, 0], shown.closest[0, 1])
    gaps = (shown.closest[:, 0] - shown.closest[:, 1]).flatten(1).norm(dim=1)
    assert torch.equal(gaps, gaps.sort().values)
    few = neighbourhoods((shaped[0][:2], x[:2]), (InMemory(shaped[1][:1]), known[:1]), SPEC, rows=5)
    assert few.first.shape == (2, 2, 1, 1, 2)


def test_copies_stand_beside_their_originals() -> None:
    data = Digits()
    score = Evaluator(
        {"fid": FrechetDistance()}, ClassifierFeatures("digits"), Reference.of(data, "digits"), named=True
    )
    copies = data.split("train").x[100:160]
    shown = score.neighbours(SampleSource(InMemory(copies)), 4)
    assert shown is not None
    assert torch.equal(shown.first[:, 0], shown.first[:, 1])
    assert torch.equal(shown.first[:, 0], data.spec.scale(settled(InMemory(copies)).x[:4]))
