"""Closed forms of the rate's factor, and the rates that a run really had."""

import math

import pytest
import torch
from training_cases import TinyGAN, module_of

from genkit.training.lr_schedule import ConstantLR, CosineLR, LRSchedule


@pytest.mark.parametrize("schedule", [ConstantLR(warmup_steps=4), CosineLR(warmup_steps=4, final=0.1)])
def test_the_warm_up_is_linear_and_ends_at_one(schedule: LRSchedule) -> None:
    assert [schedule.factor(step, 50) for step in range(4)] == [0.25, 0.5, 0.75, 1.0]
    assert schedule.factor(4, 50) == 1.0


def test_a_constant_one_is_constant() -> None:
    assert {ConstantLR().factor(step, 9) for step in range(9)} == {1.0}


@pytest.mark.parametrize("final", [0.0, 0.2])
def test_half_a_cosine(final: float) -> None:
    schedule = CosineLR(warmup_steps=10, final=final)
    assert schedule.factor(60, 110) == pytest.approx((1 + final) / 2)
    assert schedule.factor(110, 110) == pytest.approx(final)
    third = final + (1 - final) * (1 + math.cos(math.pi / 4)) / 2
    assert schedule.factor(35, 110) == pytest.approx(third)
    factors = [schedule.factor(step, 110) for step in range(10, 110)]
    assert factors == sorted(factors, reverse=True)
    assert schedule.factor(500, 110) == pytest.approx(final)


def test_a_rate_that_is_held_falls_as_a_shorter_cosine() -> None:
    held, short = CosineLR(warmup_steps=10, hold=0.75, final=0.1), CosineLR(warmup_steps=0, final=0.1)
    assert {held.factor(step, 110) for step in range(10, 86)} == {1.0}
    assert [held.factor(85 + k, 110) for k in range(26)] == pytest.approx([short.factor(k, 25) for k in range(26)])


def test_a_warm_up_longer_than_the_run_only_rises() -> None:
    assert [CosineLR(warmup_steps=50).factor(step, 3) for step in range(3)] == [1 / 50, 2 / 50, 3 / 50]


@pytest.mark.parametrize("schedule", [ConstantLR(warmup_steps=2), CosineLR(warmup_steps=2)])
def test_needs_horizon_tells_whether_a_longer_run_changes_the_past(schedule: LRSchedule) -> None:
    changes = any(schedule.factor(step, 10) != schedule.factor(step, 20) for step in range(10))
    assert schedule.needs_horizon == changes


def test_the_optimizer_follows_it() -> None:
    schedule = CosineLR(warmup_steps=3, final=0.5)
    parts = module_of(TinyGAN(), lr_schedule=schedule, max_steps=8).configure_optimizers()
    optimizer, scheduler = parts["optimizer"], parts["lr_scheduler"]["scheduler"]
    assert isinstance(optimizer, torch.optim.Optimizer)
    for step in range(8):
        assert optimizer.param_groups[0]["lr"] == pytest.approx(1e-2 * schedule.factor(step, 8))
        optimizer.step()
        scheduler.step()
