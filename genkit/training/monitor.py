"""A monitored value: what is looked at, and which of two values is better.

Only finite values are compared. A NaN compares as false with everything, so the first one would always stay the best;
an infinite one is a loss that overflowed, or in the other direction a bound that broke.
"""

from __future__ import annotations

import math
from abc import ABC
from dataclasses import dataclass
from typing import Literal

Mode = Literal["min", "max"]


def improves(value: float, best: float | None, mode: Mode, min_delta: float = 0.0) -> bool:
    """Tell whether `value` is finite and better than `best` by more than `min_delta`; any finite value beats none.

    Args:
        value: The new value.
        best: The best so far; None, or a number that is not finite, where there is none.
        mode: Whether the least or the greatest is best.
        min_delta: By how much it must be better.
    """
    if not math.isfinite(value):
        return False
    if best is None or not math.isfinite(best):
        return True
    return (best - value if mode == "min" else value - best) > min_delta


@dataclass(frozen=True)
class Monitored:
    """One choice of what to monitor, for the check before the first step.

    Attributes:
        at: Where it was made, "checkpoint" or "callbacks.early_stopping".
        term: The validation term, e.g. "val/loss".
        mode: Whether the least or the greatest is best.
    """

    at: str
    term: str
    mode: Mode

    @property
    def said(self) -> str:
        """ "checkpoint.monitor=val/loss" """
        return f"{self.at}.monitor={self.term}"


class Monitors(ABC):
    """Ability of a callback: it looks at one validation term, whose name is checked before the first step.

    Attributes:
        monitor: The term, e.g. "val/loss".
        mode: Whether the least or the greatest is best.
    """

    monitor: str
    mode: Mode
