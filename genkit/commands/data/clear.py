"""`genkit data clear`: delete prepared data from the cache; it is prepared again when it is asked for.

Nothing that a running process is known to use is deleted, and nothing outside of the cache.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from genkit.data.kept import Kept, chosen, clear, clear_remains, kept, unused
from genkit.errors import ConfigError
from genkit.printing import shown

USAGE = "genkit data clear NAME… | all | older=DAYS"
HELP = f"""usage: {USAGE}

Deletes prepared data from the cache, without asking; it is prepared again when it is asked for.

  NAME        of genkit data list, or its beginning
  all         all of it
  older=30    what was not used for so many days"""


@dataclass(frozen=True)
class Choice:
    """The data that is to be deleted.

    Attributes:
        names: Of data; () with one of the others.
        days: Without use; None with names. 0 means all.
    """

    names: tuple[str, ...]
    days: float | None

    @classmethod
    def of(cls, argv: Sequence[str]) -> Self:
        """Raises ConfigError."""
        words = [word for word in argv if not word.startswith("debug=")]
        if not words:
            raise ConfigError(f"genkit data clear: say what; usage: {USAGE}")
        special = [word for word in words if word == "all" or "=" in word or word.startswith("-")]
        if not special:
            return cls(tuple(words), None)
        if len(words) > 1:
            raise ConfigError(f"genkit data clear: {shown(special[0])} stands alone; usage: {USAGE}")
        key, _, value = words[0].partition("=")
        if words[0] == "all":
            return cls((), 0.0)
        if key == "name" and value:
            return cls((value,), None)
        if key != "older":
            raise ConfigError(f"{shown(words[0])}: unknown argument; usage: {USAGE}")
        return cls((), _days(value))


def run(argv: list[str]) -> int:
    """Delete, and print what that freed.

    Raises:
        ConfigError: nothing is called so, or nothing is said.
        StorageError: what was named is in use, or the disk refuses.
    """
    if {"-h", "--help"} & set(argv):
        print(HELP)
        return 0
    choice, everything = Choice.of(argv), kept()
    left: list[Kept] = []
    if choice.days is None:
        going = chosen(choice.names, everything)
    else:
        going = unused(choice.days, everything) if choice.days else everything
        left = [one for one in going if one.held]
    freed = 0
    for one in going:
        if one not in left:
            clear(one)
            freed += one.bytes
            print(f"freed {one.bytes:,} bytes: {one.name}{_origin(one)}")
    for one in left:
        print(f"left: {one.name}{_origin(one)}: in use by a process that runs")
    if choice.days == 0:
        freed += clear_remains()
    print(f"{len(going) - len(left):,} cleared, {freed:,} bytes")
    return 0


def _origin(one: Kept) -> str:
    return f", {shown(one.source)}" if one.source else ""


def _days(text: str) -> float:
    try:
        days = float(text.removesuffix("d"))
    except ValueError:
        days = math.nan
    if not 0 < days < 1e6:
        raise ConfigError(f"older={shown(text)}: a number of days is asked for, as in older=30")
    return days
