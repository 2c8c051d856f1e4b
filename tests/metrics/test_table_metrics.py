"""Metrics of tables by hand: closed forms, what copies and independent columns score, and who is accused."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from genkit.data.sources.table import Table
from genkit.data.spec import DataSpec
from genkit.errors import ConfigError
from genkit.metrics.base import Probe, ProbeMetric
from genkit.metrics.column_shapes import ColumnShapes
from genkit.metrics.detection import Detection
from genkit.metrics.efficacy import Efficacy
from genkit.metrics.pair_trends import PairTrends
from genkit.metrics.table_privacy import EXPOSED, ExactCopies, RowPrivacy

Rows = np.ndarray
LEVELS = ["x", "y", "z"]


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> DataSpec:
    """A number of many values that may be missing, a category, and a category of two levels."""
    draw = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("table") / "table.csv"
    lines = [f"{draw.normal():.6f},{draw.choice(LEVELS)},{draw.integers(2)}" for _ in range(300)]
    path.write_text("\n".join(["number,letter,bit", *lines, ",x,0"]) + "\n")
    return Table(root=str(path)).spec


def rows(n: int, seed: int) -> Rows:
    """(n, 3) cells of independent columns."""
    draw = np.random.default_rng(seed)
    return np.stack([draw.uniform(-2, 2, n), draw.integers(3, size=n), draw.integers(2, size=n)], 1).astype(float)


def fed(metric: ProbeMetric, spec: DataSpec, real: Rows, fake: Rows, train: Rows | None = None) -> ProbeMetric:
    sides = {"real": real, "fake": fake} | ({} if train is None else {"train": train})
    for name, cells in sides.items():
        feed(metric, spec, name, cells)
    return metric


def feed(metric: ProbeMetric, spec: DataSpec, name: str, cells: Rows) -> None:
    x = spec.kind.vectors(cells)
    metric.update(Probe(spec, {name: lambda: x}))


def scored(metric: ProbeMetric, spec: DataSpec, real: Rows, fake: Rows, train: Rows | None = None) -> float:
    return float(fed(metric, spec, real, fake, train).compute())


def test_shapes_are_the_distances_of_kolmogorov_and_of_variation(spec):
    real = np.array([[0.0, 0, 0], [1.0, 0, 0], [math.nan, 1, 0], [math.nan, 2, 0]])
    fake = np.array([[0.0, 0, 0], [1.0, 0, 1], [1.5, 0, 1], [math.nan, 0, 0]])
    metric = fed(ColumnShapes(), spec, real, fake)
    worst = metric.findings()["worst"]  # 1/4 fewer are missing; 1/2 of the letters and 1/2 of the bits differ
    assert worst == pytest.approx({"letter": 0.5, "bit": 0.5, "number": 0.75})
    assert float(metric.compute()) == pytest.approx((0.5 + 0.5 + 0.75) / 3)
    assert scored(ColumnShapes(), spec, real, real[::-1]) == 1.0


def test_pairs_see_what_shapes_do_not(spec):
    real = rows(4000, 0)
    real[:, 2] = real[:, 1] > 0  # the bit follows from the letter
    shuffled = real.copy()
    shuffled[:, 2] = np.random.default_rng(1).permutation(real[:, 2])
    assert scored(ColumnShapes(), spec, real, shuffled) == 1.0
    metric = fed(PairTrends(), spec, real, shuffled)
    first, second, score = metric.findings()["worst"][0]
    assert (first, second) == ("letter", "bit")
    assert score == pytest.approx(1 - 4 / 9, abs=0.02)  # ½ Σ |p − q| with P(letter 0) = P(bit 0) = 1/3
    assert scored(PairTrends(), spec, real, real) == 1.0


def test_detection_is_half_where_nothing_can_be_told_and_one_where_all_can(spec):
    real, other = rows(300, 0), rows(300, 1)
    assert scored(Detection(), spec, real, other) < 0.6
    other[:, 0] += 10
    assert scored(Detection(), spec, real, np.clip(other, 3, None) * [1, 0, 0]) == 1.0
    apart = rows(300, 2)
    apart[:, 2] = apart[:, 1] > 0
    assert scored(Detection(), spec, real, apart) > 0.65


def predictable(n: int, seed: int) -> Rows:
    """Rows whose bit follows from the number."""
    cells = rows(n, seed)
    cells[:, 2] = cells[:, 0] > 0
    return cells


def test_efficacy_is_what_trees_have_learned_from_the_samples(spec):
    real, good = predictable(300, 0), predictable(300, 1)
    shuffled = good.copy()
    shuffled[:, 2] = np.random.default_rng(2).permutation(shuffled[:, 2])
    wrong = good * [1, 1, 1]
    wrong[:, 2] = 1 - wrong[:, 2]
    assert scored(Efficacy(), spec, real, good) > 0.95
    assert scored(Efficacy(), spec, real, shuffled) == pytest.approx(0.5, abs=0.15)
    assert scored(Efficacy(), spec, real, wrong) < 0.05
    assert scored(Efficacy(), spec, real, good * [1, 1, 0]) == 0.5  # one level in all samples
    with pytest.raises(ConfigError, match="one level of bit alone"):
        scored(Efficacy(), spec, real * [1, 1, 0], good)


def test_copies_have_privacy_one_and_fresh_rows_a_half(spec):
    train, real, fresh = rows(800, 0), rows(400, 1), rows(400, 2)
    assert scored(RowPrivacy(), spec, real, train[::2], train) == 1.0
    assert scored(RowPrivacy(), spec, real, real, train) == 0.0
    metric = fed(RowPrivacy(), spec, real, fresh, train)
    low, high = metric.interval(0, 0)
    assert low < 0.5 < high < 0.62
    assert metric.expected() == 0.5
    assert list(metric.warnings(float(metric.compute()), 0.5)) == []
    assert metric.findings()["effective"] < 400  # some share their nearest row


def test_privacy_counts_equally_near_rows_by_their_number(spec):
    here, there = [0.0, 0, 0], [1.0, 0, 0]
    train, real, fake = np.array([here] * 3 + [there]), np.array([here, there]), np.array([here] * 2)
    s, p = 3 / 4, 4 / 6
    assert scored(RowPrivacy(), spec, real, fake, train) == pytest.approx(s * (1 - p) / (s * (1 - p) + (1 - s) * p))


def accused(spec: DataSpec, seed: int) -> bool:
    """Tell whether 400 samples that repeat 8 fresh rows are said to be copies."""
    collapsed = np.repeat(rows(8, seed), 50, 0)
    metric = fed(RowPrivacy(), spec, rows(300, seed + 1000), collapsed, rows(300, seed + 2000))
    assert metric.findings()["effective"] <= 8
    return metric.interval(0, 0)[0] > EXPOSED


def test_few_different_samples_are_not_accused_for_their_number(spec):
    assert sum(accused(spec, seed) for seed in range(40)) <= 2


def test_exact_copies_are_counted_against_rows_that_repeat(spec):
    train = rows(100, 0)
    train[:10] = train[10:20]
    fake = np.concatenate([train[50:80], rows(70, 1)])
    metric = fed(ExactCopies(), spec, rows(50, 2), fake, train)
    assert float(metric.compute()) == pytest.approx(0.3)
    assert metric.expected() == pytest.approx(0.2)
    assert "30 % of the samples equal a training row" in "".join(metric.warnings(0.3, 0.2))


@pytest.mark.parametrize(
    "make", [ColumnShapes, PairTrends, Detection, Efficacy, RowPrivacy, ExactCopies], ids=lambda make: make.__name__
)
def test_order_and_batches_change_nothing(spec, make):
    real, fake, train = predictable(120, 0), predictable(100, 1), predictable(150, 2)
    whole = scored(make(), spec, real, fake, train)
    metric = make()
    for name, cells in {"real": real, "fake": fake, "train": train}.items():
        for part in torch.randperm(len(cells), generator=torch.Generator().manual_seed(0)).split(33):
            feed(metric, spec, name, cells[part.numpy()])
    assert float(metric.compute()) == whole
