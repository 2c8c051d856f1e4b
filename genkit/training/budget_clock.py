"""Seconds of a budget that a training has spent, over all of its processes and all commands that worked at it."""

from __future__ import annotations

from dataclasses import dataclass

from genkit.ranks import gathered, world
from genkit.stopwatch import Stopwatch


@dataclass(frozen=True)
class BudgetClock:
    """The clock of a budget.

    Attributes:
        stopwatch: Of this command, in this process.
        processors: Whether the seconds are those of processors.
        before: Seconds that earlier commands spent.
    """

    stopwatch: Stopwatch
    processors: bool = False
    before: float = 0.0

    def here(self) -> float:
        """Seconds by this process alone; processors count as if every process worked as much."""
        return self.before + (self.stopwatch.cpu() * world() if self.processors else self.stopwatch.wall())

    def spent(self) -> float:
        """Seconds of all processes, by the clock of the first one; every process has to ask for them."""
        own = gathered(self.stopwatch.cpu() if self.processors else self.stopwatch.wall())
        return self.before + (sum(own) if self.processors else own[0])
