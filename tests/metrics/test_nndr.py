"""The test for copies: by hand, against scipy, and what it must and must not accuse."""

import math

import pytest
import torch
from scipy.stats import mannwhitneyu
from torch import Tensor

from genkit.data.spec import DataSpec
from genkit.metrics.base import Probe
from genkit.metrics.nndr import COPIED, DistanceRatio, NearestExamples, z_of_ratios


def normal(n: int, d: int, seed: int) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def scored(train: Tensor, real: Tensor, fake: Tensor) -> DistanceRatio:
    metric, sides = DistanceRatio(), {"train": train, "real": real, "fake": fake}
    for side, rows in sides.items():
        for part in rows.split(97):
            metric.update(Probe(DataSpec((2,), "vector"), {f"{side}_features": lambda part=part: part}))
    return metric


def z(train: Tensor, real: Tensor, fake: Tensor) -> float:
    return float(scored(train, real, fake).compute())


def test_rows_that_come_after_a_value_count() -> None:
    train, real, fake = normal(50, 8, 0), normal(40, 8, 1), normal(30, 8, 2)
    metric = scored(train, real[:20], fake)
    metric.compute()
    metric.update(Probe(DataSpec((2,), "vector"), {"real_features": lambda: real[20:]}))
    assert float(metric.compute()) == z(train, real, fake)


def test_ratios_by_hand() -> None:
    train = torch.tensor([[0.0], [1.0], [1.0], [10.0]], dtype=torch.float64)
    found = NearestExamples.of(torch.tensor([[0.25], [1.0], [9.0], [0.0]], dtype=torch.float64), train)
    assert found.ratio.tolist() == pytest.approx([0.25 / 0.75, 0.0, 1.0 / 8.0, 0.0])
    assert found.which.tolist() == [0, 1, 3, 0]
    assert found.effective == pytest.approx(16 / 6)  # the first is nearest twice


def test_it_is_the_mann_whitney_test_where_all_rows_are_independent() -> None:
    samples = NearestExamples(
        torch.rand(40, generator=torch.Generator().manual_seed(0)).double(), torch.arange(40), torch.ones(40)
    )
    held_out = NearestExamples(
        torch.rand(30, generator=torch.Generator().manual_seed(1)).double(), torch.arange(30), torch.ones(30)
    )
    u = mannwhitneyu(samples.ratio, held_out.ratio).statistic
    wanted = (u - 40 * 30 / 2) / math.sqrt(40 * 30 * 71 / 12)
    assert z_of_ratios(samples, held_out) == pytest.approx(wanted)


def test_fresh_data_has_mean_zero_and_no_more_than_unit_variance() -> None:
    values = torch.tensor(
        [z(normal(150, 8, 3 * i), normal(60, 8, 3 * i + 1), normal(90, 8, 3 * i + 2)) for i in range(100)]
    )
    assert abs(float(values.mean())) < 0.35
    assert 0.5 < float(values.std()) < 1.15
    assert float(values.min()) > COPIED


@pytest.mark.parametrize("d", [2, 8, 64])
def test_copies_are_seen_with_and_without_noise_and_among_other_samples(d: int) -> None:
    train, real, fresh = normal(300, d, 0), normal(150, d, 1), normal(200, d, 2)
    noise = 0.02 * normal(200, d, 3)
    assert z(train, real, train[:200]) < COPIED
    assert z(train, real, train[:200] + noise) < COPIED
    half = torch.cat([train[:100], fresh[:100]])
    assert z(train, real, half) < COPIED


def test_smooth_collapsed_and_bad_samples_are_no_copies() -> None:
    """Shrunken samples are nearer to everything, a single point repeated has one nearest neighbour: neither copies."""
    train, real = normal(400, 16, 0), normal(200, 16, 1)
    for samples in (
        0.5 * normal(300, 16, 2),
        torch.zeros(300, 16).double(),
        normal(1, 16, 3).repeat(300, 1),
        normal(300, 16, 4) + 5,
    ):
        assert z(train, real, samples) > COPIED


def test_the_pairs_are_named_by_their_places_whatever_the_order() -> None:
    train, real = normal(60, 4, 0), normal(40, 4, 1)
    fake = torch.cat([normal(20, 4, 2), train[[7, 33]] + 1e-6])
    pairs = scored(train, real, fake).findings()["pairs"]
    assert {(sample, example) for sample, example, *_ in pairs[:2]} == {(20, 7), (21, 33)}
    turned = scored(train.flip(0), real, fake.flip(0))
    assert float(turned.compute()) == z(train, real, fake)
    assert {(s, e) for s, e, *_ in turned.findings()["pairs"][:2]} == {(1, 52), (0, 26)}
