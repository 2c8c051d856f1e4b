"""The worth of drawn examples: gains and their intervals by hand, equal footing of arms, what is worth something."""

from __future__ import annotations

from math import sqrt

import pytest
import torch

from genkit.data.spec import DataSpec
from genkit.data.split import Examples
from genkit.evaluation.training_value import BOTH, FAKE, REAL, Comparison, TrainingValue, filtered

SPEC = DataSpec((2,), "vector", num_classes=2)


def blobs(n: int, seed: int, apart: float = 2.0, wrong: float = 0.0) -> Examples:
    """Two normal classes, a share of them under the other label."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % 2
    x = torch.randn(n, 2, generator=generator) + apart * y[:, None]
    flipped = torch.rand(n, generator=generator) < wrong
    return Examples(x, torch.where(flipped, 1 - y, y))


def value_of(drawn: Examples, real: Examples, steps: int = 60) -> TrainingValue:
    return TrainingValue(SPEC, real, blobs(400, 9), 2, steps, 0, drawn)


def test_a_gain_and_its_error_are_those_of_the_formula() -> None:
    one = Comparison("a", torch.tensor([[1, 1, 0, 1], [1, 0, 0, 1]]).bool())
    other = Comparison("b", torch.tensor([[1, 0, 0, 0], [1, 0, 0, 1]]).bool())
    gain, interval = one.gain(other)
    assert gain == pytest.approx(2 / 8)
    each = torch.tensor([0.0, 0.5, 0.0, 0.5]).double()
    error = sqrt(float(each.var()) / 4 + float(torch.tensor([0.5, 0.0]).var()) / 2)
    assert interval == pytest.approx((0.25 - 1.96 * error, 0.25 + 1.96 * error), rel=1e-3)
    assert one.gain(one)[0] == 0.0


def test_labels_that_are_right_are_worth_something_and_wrong_ones_cost() -> None:
    few = blobs(12, 1)
    right = {arm.arm: arm for arm in value_of(blobs(500, 2), few).compare(3)}
    assert right[FAKE].gain(right[REAL])[1][0] > 0  # type: ignore[index]
    assert right[FAKE].accuracy > 0.88  # the best there is has 0.921
    noise = {arm.arm: arm for arm in value_of(blobs(500, 2, wrong=1.0), blobs(500, 1)).compare(2)}
    assert noise[FAKE].accuracy < 0.15
    assert noise[BOTH].accuracy < noise[REAL].accuracy


def test_arms_of_the_same_examples_and_seed_are_the_same_classifier() -> None:
    same = blobs(64, 1)
    real, _, drawn, _ = value_of(same, same, steps=10).compare(2)
    assert torch.equal(real.right, drawn.right)


def test_examples_under_a_wrong_label_are_filtered_out() -> None:
    judge = value_of(blobs(500, 1), blobs(500, 1)).judge()
    batches = iter([blobs(100, seed, apart=6.0, wrong=0.5) for seed in range(10)])
    kept, seen = filtered(batches, judge, 0.5, 150)
    assert len(kept.x) == 150
    assert seen == 400  # about half of each hundred
    assert kept.y is not None
    assert float(((kept.x.sum(1) > 2) == kept.y.bool()).double().mean()) > 0.95  # the line between the real classes
