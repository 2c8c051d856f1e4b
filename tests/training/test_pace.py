"""Laws of positions under corrections, and of the arithmetic of plans."""

from __future__ import annotations

import pytest

from genkit.training.lr_schedule import ConstantLR, CosineLR, LRSchedule
from genkit.training.pace import Correction, Pace
from genkit.training.plan import Costs, Intervals, on_validation, plan_for, steps_for

PACES = {
    "plan": Pace(100, 200),
    "corrected longer": Pace(100, 200).corrected(20, 150),
    "corrected shorter": Pace(100, 200).corrected(20, 60),
    "corrected beyond its recipe": Pace(100, 200).corrected(20, 600),
    "recipe and more": Pace(300, 200),
    "less more": Pace(300, 200).corrected(250, 270),
    "much more": Pace(300, 200).corrected(50, 900).corrected(300, 1500),
    "not even the recipe": Pace(300, 200).corrected(50, 120),
    "back and forth": Pace(300, 200).corrected(50, 120).corrected(60, 700).corrected(650, 660),
    "at once": Pace(100, 200).corrected(20, 3),
}
SCHEDULES = [ConstantLR(5), CosineLR(5, 0.1)]


@pytest.mark.parametrize("pace", PACES.values(), ids=PACES)
def test_progress_rises_from_the_beginning_to_the_end(pace: Pace) -> None:
    progress = [pace.progress(step) for step in range(pace.steps + 1)]
    assert progress == sorted(progress)
    assert (progress[0], progress[-1]) == (0, pytest.approx(1))


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("pace", PACES.values(), ids=PACES)
def test_a_correction_leaves_the_rate_where_it_is(pace: Pace, schedule: LRSchedule) -> None:
    for each in pace.corrections:
        before = pace.until(each.step - 1)
        now, then = ([one.factor(schedule, step) for step in range(each.step + 1)] for one in (pace, before))
        assert now == then
        assert [pace.averaged(step) for step in range(each.step + 1)] == [
            before.averaged(step) for step in range(each.step + 1)
        ]
    assert pace.factor(schedule, pace.steps) == pytest.approx(schedule.curve(1.0), abs=0.1)
    assert all(0 <= pace.factor(schedule, step) <= 1 for step in range(pace.steps))


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_longer_training_begins_with_the_recipe(schedule: LRSchedule) -> None:
    for pace in (Pace(300, 200), Pace(300, 200).corrected(50, 900), Pace(200, 200)):
        assert [pace.factor(schedule, step) for step in range(200)] == [
            schedule.factor(step, 200) for step in range(200)
        ]
        assert {pace.averaged(step) for step in range(200)} == {200}
        assert [pace.progress(step) for step in range(200)] == [step / 200 for step in range(200)]
    assert Pace(300, 200).factor(CosineLR(0), 200) == 0.5  # half the length, half the rate
    assert Pace(600, 200).factor(CosineLR(0), 200) == 1.0


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_shorter_training_passes_through_all_of_the_schedule(schedule: LRSchedule) -> None:
    pace = Pace(80, 200)
    assert [pace.factor(schedule, step) for step in range(80)] == pytest.approx(
        [schedule.factor(k, 80) for k in range(80)]
    )


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_run_without_a_budget_is_at_its_own_steps(schedule: LRSchedule) -> None:
    pace = Pace(70)
    assert [pace.factor(schedule, step) for step in range(90)] == [schedule.factor(step, 70) for step in range(90)]
    assert [pace.progress(step) for step in range(70)] == [step / 70 for step in range(70)]


def test_what_was_known_after_a_step() -> None:
    pace = PACES["much more"]
    assert pace.until(50).corrections == (Correction(50, 900),)
    assert pace.until(49).corrections == ()
    assert PACES["at once"].steps == 21  # one more step than were done


COSTS = Costs(step=0.01, validation=0.2, score=0.5, picture=2.0, checkpoint=0.1, closing=1.0)
CASES = {
    "all": COSTS,
    "steps alone": Costs(step=0.01),
    "slow steps": Costs(step=3.0, validation=0.2, picture=2.0, checkpoint=0.1),
    "slow validations": Costs(step=0.01, validation=30.0, checkpoint=5.0),
    "slow pictures": Costs(step=0.001, picture=50.0),
}


@pytest.mark.parametrize("phases", [1, 3])
@pytest.mark.parametrize("seconds", [100.0, 3600.0])
@pytest.mark.parametrize("costs", CASES.values(), ids=CASES)
def test_a_plan_takes_the_time_that_there_is(costs: Costs, seconds: float, phases: int) -> None:
    plan = plan_for(seconds, costs, recipe=1000, warmup=50, log=10, phases=phases)
    takes = plan.steps * costs.step + plan.every.seconds(costs, 0, plan.steps)
    assert takes == pytest.approx(seconds, rel=0.05, abs=2 * phases * costs.step)
    assert plan.every.validation % phases == 0 or plan.every.validation == plan.steps
    assert plan.every.picture % plan.every.validation == plan.every.score % plan.every.validation == 0
    assert plan.warmup == min(50, plan.steps // 20)
    assert plan.hold == pytest.approx(max(0.0, 1 - plan.steps / 1000))
    assert plan.log <= plan.every.validation


def test_steps_that_would_validate_do_so_still() -> None:
    """As far as twice the share of the time goes; otherwise there are fewer."""
    for seconds, often in ((100.0, 250), (1000.0, 2500), (30.0, 1200)):
        assert often % plan_for(seconds, COSTS, recipe=1000, warmup=0, log=10, often=often).every.validation == 0
    slow = plan_for(100.0, CASES["slow validations"], recipe=1000, warmup=0, log=10, often=250)
    assert slow.every.validation == slow.steps > 250


def test_what_is_not_a_step_has_its_share_of_the_time_or_is_done_once() -> None:
    for costs in CASES.values():
        plan = plan_for(600.0, costs, recipe=1000, warmup=0, log=10)
        for (cost, interval), share in zip(plan.every.pairs(costs), (0.08, 0.08, 0.06, 0.04), strict=True):
            times = -(-plan.steps // interval)
            assert times == 1 or times * cost <= 1.1 * share * 600
    assert plan_for(600.0, COSTS, recipe=1000, warmup=0, log=10, pictures=False).every.picture == 0


@pytest.mark.parametrize("done", [0, 1000, 4321])
@pytest.mark.parametrize("costs", CASES.values(), ids=CASES)
def test_the_steps_of_the_rest_take_the_rest(costs: Costs, done: int) -> None:
    every = Intervals(validation=100, score=200, picture=1000, checkpoint=500)
    steps = steps_for(500.0, costs, every, done)
    takes = (steps - done) * costs.step + every.seconds(costs, done, steps)
    assert takes == pytest.approx(500.0, abs=costs.step + costs.ending)
    assert steps_for(-3.0, costs, every, done) == done + 1


def test_a_round_number_of_validations_where_that_costs_little() -> None:
    assert on_validation(3049, 2000, 0.5, 0.01, 100) == 3000
    assert on_validation(3050, 2000, 0.1, 0.01, 100) == 3050
    assert on_validation(2010, 2005, 0.5, 0.01, 100) == 2010  # not one that is over
