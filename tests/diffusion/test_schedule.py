"""Schedules: falling signal-to-noise, an inverse, the ends that their papers state."""

import pytest
import torch
from diffusion_cases import SCHEDULES

from genkit.diffusion.schedule import KarrasSchedule, RectifiedSchedule
from genkit.errors import ConfigError

T = torch.linspace(0, 1, 501, dtype=torch.float64)


def log_snr(schedule, t):
    alpha, sigma = schedule(t)
    return 2 * (alpha / sigma).log()


@pytest.mark.parametrize("name", SCHEDULES)
class TestEverySchedule:
    def test_signal_to_noise_falls_strictly_and_is_finite(self, name):
        value = log_snr(SCHEDULES[name], T)
        assert torch.isfinite(value).all()
        assert (value.diff() < 0).all()

    def test_the_inverse_undoes_it(self, name):
        schedule = SCHEDULES[name]
        torch.testing.assert_close(schedule.inverse(log_snr(schedule, T)), T, rtol=0, atol=1e-9)

    def test_it_undoes_the_inverse(self, name):
        schedule = SCHEDULES[name]
        low, high = log_snr(schedule, T[-1]).item(), log_snr(schedule, T[0]).item()
        inside = torch.linspace(low, high, 99, dtype=torch.float64)
        torch.testing.assert_close(log_snr(schedule, schedule.inverse(inside)), inside, rtol=1e-7, atol=1e-7)

    def test_beyond_its_ends_the_inverse_stays_in_the_unit_interval(self, name):
        far = torch.tensor([1e3, 60.0, -60.0, -1e3])
        assert SCHEDULES[name].inverse(far).tolist() == [0, 0, 1, 1]

    def test_shapes_and_types_are_those_of_t(self, name):
        for t in (torch.tensor(0.3), torch.rand(4, 1), T[:3]):
            for value in SCHEDULES[name](t):
                assert (value.shape, value.dtype) == (t.shape, t.dtype)


def test_karras_ends_at_its_sigmas_and_is_straight_in_the_root():
    alpha, sigma = KarrasSchedule(sigma_min=0.1, sigma_max=10.0, rho=3.0)(T)
    assert (alpha == 1).all()
    assert sigma[[0, -1]].tolist() == pytest.approx([0.1, 10.0])
    assert (sigma ** (1 / 3)).diff().std() < 1e-12


def test_rectified_is_straight_and_kept_off_its_ends():
    alpha, sigma = RectifiedSchedule(t_min=0.01)(T)
    torch.testing.assert_close(alpha + sigma, torch.ones_like(T))
    assert sigma[[0, 250, -1]].tolist() == pytest.approx([0.01, 0.5, 0.99])


@pytest.mark.parametrize("sigma_min", [1.0, 2.0])
def test_an_empty_range_of_noise_is_refused_by_its_keys(sigma_min):
    with pytest.raises(ConfigError, match=r"schedule\.sigma_min=.* must be below schedule\.sigma_max=1"):
        KarrasSchedule(sigma_min=sigma_min, sigma_max=1.0)
