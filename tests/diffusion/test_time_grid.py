"""Grids: from 1 to 0, falling, and as their formulas space them."""

import pytest
import torch
from diffusion_cases import SCHEDULES

from genkit.diffusion.time_grid import KarrasGrid, LogSNRGrid, UniformGrid

GRIDS = {"uniform": UniformGrid(), "log-snr": LogSNRGrid(), "karras": KarrasGrid(), "rho-1": KarrasGrid(rho=1.0)}
MEASURE = {
    "uniform": lambda t, level: t,
    "log-snr": lambda t, level: level.log(),
    "karras": lambda t, level: level ** (1 / 7),
    "rho-1": lambda t, level: level,
}


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
@pytest.mark.parametrize("name", GRIDS)
def test_steps_are_equal_in_the_grids_own_measure(schedule, name):
    times = GRIDS[name](33, schedule)
    assert (times[0], times[-1]) == (1, 0)
    assert (times.diff() < 0).all()
    measure = MEASURE[name](times, schedule.level(times))
    torch.testing.assert_close(
        measure / measure[0].abs(),
        torch.linspace(*measure[[0, -1]], 33).double() / measure[0].abs(),
        rtol=1e-5,
        atol=1e-6,
    )


@pytest.mark.parametrize("name", GRIDS)
def test_one_step_is_all_of_it(name):
    assert GRIDS[name](1, SCHEDULES["karras"]).tolist() == [1.0]
    assert GRIDS[name](2, SCHEDULES["karras"]).tolist() == [1.0, 0.0]


def test_the_schedule_of_karras_has_the_grid_of_karras():
    torch.testing.assert_close(KarrasGrid()(18, SCHEDULES["karras"]), UniformGrid()(18, SCHEDULES["karras"]))
