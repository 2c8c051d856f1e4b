"""Two ways to do the same work, measured in turns: whatever else the machine does falls on both."""

from __future__ import annotations

import importlib.util
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Work = Callable[[], object]
Cost = Callable[[], float]  # does the work once and says what it cost


@dataclass(frozen=True)
class Costs:
    """What a round of work cost either side, one number per round.

    Attributes:
        ours, theirs: Of the same work, in the same unit.
    """

    ours: tuple[float, ...]
    theirs: tuple[float, ...]

    @property
    def ratios(self) -> tuple[float, ...]:
        """Ours divided by theirs, round by round."""
        return tuple(a / b for a, b in zip(self.ours, self.theirs, strict=True))

    def over(self, works: float) -> Costs:
        """Of one of so many equal parts of the work."""
        return Costs(tuple(a / works for a in self.ours), tuple(b / works for b in self.theirs))


@dataclass(frozen=True)
class Bench:
    """One row of the page.

    Attributes:
        name: By which it is chosen, with the name of its group first.
        work: Done by both sides.
        peer: Who the other side is.
        unit: Of the costs: "CPU s" of all threads or "s" on the clock.
        measure: Runs so many rounds and gives their costs, each of one work.
        rounds: In a quick page; `--full` has three times as many.
        full: Whether it takes so long that it is left out of a quick page unless it is named.
        needs: What must be there, as `missing` understands it.
    """

    name: str
    work: str
    peer: str
    unit: str
    measure: Callable[[int], Costs]
    rounds: int = 5
    full: bool = False
    needs: Sequence[Callable[[], str | None]] = ()

    def missing(self) -> str | None:
        """The reason why it cannot be measured here."""
        return next((reason for need in self.needs if (reason := need()) is not None), None)


def in_turns(ours: Cost, theirs: Cost, rounds: int) -> Costs:
    """The costs of both, one after the other in each round; which one is first alternates."""
    found: list[tuple[float, float]] = []
    for number in range(rounds):
        if number % 2:
            second = theirs()
            found.append((ours(), second))
        else:
            found.append((ours(), theirs()))
    return Costs(tuple(a for a, _ in found), tuple(b for _, b in found))


def cpu_of(work: Work) -> Cost:
    """CPU seconds of all threads of this process while it works."""
    return _measured(work, time.process_time)


def wall_of(work: Work) -> Cost:
    """Seconds on the clock."""
    return _measured(work, time.perf_counter)


def cpu_of_command(*words: str) -> Cost:
    """CPU seconds of a Python that is started with these words."""

    def work() -> None:
        subprocess.run([sys.executable, *words], check=True, capture_output=True)

    return _measured(work, _children)


def installed(package: str) -> Callable[[], str | None]:
    """The need of a package that genkit does not depend on."""
    return lambda: None if importlib.util.find_spec(package) else f"{package} is not installed"


def median(costs: Sequence[float]) -> float:
    return statistics.median(costs)


def _measured(work: Work, clock: Callable[[], float]) -> Cost:
    def cost() -> float:
        started = clock()
        work()
        return clock() - started

    return cost


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
