"""A budget of time, as it is typed: `2min`, `1.5h` on the wall, `600cpu_s` of the processors."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from genkit.errors import ConfigError
from genkit.printing import shown

KEY = "budget"
UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
OTHER_NAMES = {"sec": "s", "second": "s", "seconds": "s", "m": "min", "minute": "min", "minutes": "min",
               "hour": "h", "hours": "h", "day": "d", "days": "d"}  # fmt: skip
LONGEST = 3.2e7  # seconds: a year
FORM = re.compile(r"(?P<number>\d+(?:\.\d*)?|\.\d+) ?(?P<cpu>cpu_)?(?P<unit>[a-z]+)")
EXAMPLES = "2min, 1.5h, or 600cpu_s for the seconds of the processors"


@dataclass(frozen=True)
class Budget:
    """Seconds that a command may take.

    Attributes:
        seconds: How many.
        clock: Of the clock on the wall, or of all processors.
    """

    seconds: float
    clock: Literal["wall", "cpu"]

    @classmethod
    def of(cls, value: Any) -> Budget:
        """The budget that a value of `budget=` means.

        Raises:
            ConfigError: it means none.
        """
        if type(value) in (int, float):
            raise ConfigError(f"{KEY}={value}: of what? Give a unit: {KEY}={value}s, {KEY}={value}min, {value}cpu_s")
        found = FORM.fullmatch(value.strip()) if isinstance(value, str) else None
        unit = None if found is None else OTHER_NAMES.get(found["unit"], found["unit"])
        if found is None or unit not in UNITS:
            raise ConfigError(f"{KEY}={shown(str(value), 40)}: no length of time: {KEY}={EXAMPLES}")
        seconds = float(found["number"]) * UNITS[unit]
        if not 0 < seconds <= LONGEST:
            raise ConfigError(f"{KEY}={shown(value, 40)}: a budget is longer than nothing and at most a year")
        return cls(seconds, "cpu" if found["cpu"] else "wall")

    def shown(self, seconds: float) -> str:
        """ "118.7 s", "41.2 CPU s" """
        return f"{seconds:,.1f} {'CPU s' if self.clock == 'cpu' else 's'}"

    def typed(self, seconds: float) -> str:
        """A value of `budget=` of at least so many seconds, on the same clock."""
        unit = next((unit for unit in ("h", "min") if seconds >= 2 * UNITS[unit]), "s")
        return f"{-(-seconds // UNITS[unit]):.0f}{'cpu_' if self.clock == 'cpu' else ''}{unit}"
