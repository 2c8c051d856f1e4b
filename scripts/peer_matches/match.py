"""What a match is: a preset and whom it is set beside."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path


@dataclass(frozen=True)
class Peer:
    """Somebody else's tool.

    Attributes:
        recipe: File of `peer_recipes/`.
        packages: What its environment holds.
        words: Its options.
        source: A repository that its recipe imports from, where the tool is no package.
    """

    recipe: str
    packages: tuple[str, ...]
    words: tuple[str, ...] = ()
    source: str = ""


@dataclass(frozen=True)
class Match:
    """A preset and whom it is set beside.

    Attributes:
        ours: Our training, but for its seed and folder.
        peers: Names.
        kind: What it is scored by, a name of `peer_matches.kinds`.
        labels: Whether both sides know the labels.
        n: Samples, or examples that are scored.
        data: Words of the data in an evaluation of samples.
        table: A table of statsmodels, which lies in OUT/NAME.csv; the words of a match name OUT as {out}.
    """

    ours: tuple[str, ...]
    peers: tuple[str, ...]
    kind: str = "images"
    labels: bool = False
    n: int = 898  # of the digits: as many as are held out, less one
    data: tuple[str, ...] = ("data=digits",)
    table: str = ""

    def at(self, out: Path) -> Match:
        """The match with its folder in its words."""
        ours, data = (tuple(word.replace("{out}", str(out)) for word in words) for words in (self.ours, self.data))
        return replace(self, ours=ours, data=data)


@dataclass
class Result:
    """What a side has reached with one seed.

    Attributes:
        seconds: CPU seconds of its training.
        scores: What is scored -> metric -> value; of `fid` the multiple of the floor.
    """

    seconds: float
    scores: dict[str, dict[str, float]] = field(default_factory=dict)
