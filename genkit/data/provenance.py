"""Facts about the source of a dataset's examples, for people: names, classes, what was left out, where it lies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from genkit.data.dataset import SplitName


def nameless() -> Mapping[SplitName, Sequence[str]]:
    """No names."""
    return {}


@dataclass(frozen=True)
class Provenance:
    """Facts about a dataset that no model needs.

    Attributes:
        folder: Of its arrays where it was prepared; None of data that is read or made at each start.
        class_names: Of the labels 0, 1, …; () where they have none.
        bad: (name, reason) of what could not be used.
        names: Gives the name of each example in its source, by split, in the order of the split; {} where they have
            none.
    """

    folder: Path | None = None
    class_names: tuple[str, ...] = ()
    bad: Sequence[tuple[str, str]] = ()
    names: Callable[[], Mapping[SplitName, Sequence[str]]] = nameless
