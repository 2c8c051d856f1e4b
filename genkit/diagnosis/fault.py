"""One sentence of a diagnosis: what was seen, how sure it is, and what to change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Certainty = Literal["sure", "likely", "possible"]
RANKS: dict[Certainty, int] = {"sure": 0, "likely": 1, "possible": 2}


@dataclass(frozen=True)
class Fault:
    """A fault of a training, or of what is known about it.

    Attributes:
        name: Of the fault, as the field calls it: "mode collapse".
        seen: A sentence with the numbers that it rests on.
        certainty: How far the numbers decide it.
        advice: A sentence about what to change.
        words: Of `genkit train`, which would change it: ("ema.decay=0.99",); none where no word does.
    """

    name: str
    seen: str
    certainty: Certainty
    advice: str
    words: tuple[str, ...] = ()
