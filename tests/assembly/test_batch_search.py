"""The largest batch that fits, by straight lines of memory; and what the system says of memory."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from genkit.assembly import memory_limit
from genkit.assembly.batch_search import largest
from genkit.errors import OutOfMemory

MIB = 2**20


class Machine:
    """A training whose memory is a line of its examples, on a device that has so much.

    Attributes:
        asked: The batches that were tried.
    """

    def __init__(self, base: int, each: int, has: int) -> None:
        self.base, self.each, self.has = base, each, has
        self.asked: list[int] = []

    def peak(self, n: int) -> int:
        self.asked.append(n)
        if self.base + n * self.each > self.has:
            raise OutOfMemory("out of memory")
        return self.base + n * self.each


@pytest.mark.parametrize("tries", [False, True])
@pytest.mark.parametrize(("each", "most"), [(MIB, 10**6), (MIB // 10, 10**6), (50 * MIB, 10**6), (MIB, 100), (10, 5)])
def test_the_line_says_what_fits(each: int, most: int, tries: bool) -> None:
    limit = 2000 * MIB
    machine = Machine(200 * MIB, each, limit)
    size, peak = largest(machine.peak, most, limit, tries)
    fits = min(most, (limit - machine.base) // each)
    assert fits * 0.95 - 8 <= size <= fits
    assert peak == pytest.approx(machine.base + size * each)
    assert size in (most, fits) or size < 16 or size % 8 == 0
    if not tries:  # the rest is arithmetic: nothing near the limit is tried
        assert max(machine.asked) * each <= 4 * 32 * MIB + 8 * each


def test_a_device_with_less_than_it_says() -> None:
    machine = Machine(200 * MIB, MIB, 1000 * MIB)
    size, _ = largest(machine.peak, 10**6, 2000 * MIB, tries=True)
    assert 600 <= size <= 800


def test_one_example_is_the_least() -> None:
    assert largest(Machine(0, 300 * MIB, 1000 * MIB).peak, 100, 900 * MIB, tries=True)[0] == 3
    with pytest.raises(OutOfMemory):
        largest(Machine(0, 3000 * MIB, 1000 * MIB).peak, 100, 900 * MIB, tries=True)


def test_without_a_limit_nothing_is_extrapolated() -> None:
    assert largest(Machine(0, MIB, 10**12).peak, 10**6, None, tries=False)[0] <= 128


def test_the_peak_of_this_process_shows_what_was_held() -> None:
    device = torch.device("cpu")
    memory_limit.lower_peak(device)
    before = memory_limit.peak(device)
    held = torch.ones(64 * MIB // 4)
    assert memory_limit.peak(device) >= before + 60 * MIB or memory_limit.peak(device) >= memory_limit.held(device)
    del held
    free = memory_limit.free(device)
    assert free is None or 0 < free < 2**50


def test_a_control_group_has_the_last_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "max").write_text(f"{300 * MIB}\n")
    (tmp_path / "current").write_text(f"{100 * MIB}\n")
    monkeypatch.setattr(memory_limit, "GROUPS", ((tmp_path / "max", tmp_path / "current"),))
    assert memory_limit.free(torch.device("cpu")) == 200 * MIB
    (tmp_path / "max").write_text("max\n")
    assert memory_limit.free(torch.device("cpu")) != 200 * MIB
