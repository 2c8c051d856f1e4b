"""Time and disk that a training is going to take, from the costs of its parts."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from genkit.assembly.budgeting import every_of
from genkit.assembly.run import Parts
from genkit.checkpoint.run_folder import METRICS
from genkit.config.memory import shown_bytes
from genkit.training.plan import Costs


@dataclass(frozen=True)
class Occurrences:
    """Number of times that each part of a training happens.

    Attributes:
        steps, validations, scores, pictures, checkpoints: Of the whole run; checkpoints that are
            written because a validation was the best so far are not known before.
    """

    steps: int
    validations: int
    scores: int
    pictures: int
    checkpoints: int

    @classmethod
    def of(cls, parts: Parts) -> Occurrences:
        """Those of a run: it ends with a picture and a checkpoint, and with a validation where it has a budget."""
        steps, every = parts.trainer.max_steps, every_of(parts)
        last = parts.validates_last
        return cls(
            steps,
            validations=_times(steps, every.validation, last),
            scores=0 if parts.quick is None else _times(steps, every.score, last),
            pictures=_times(steps, every.picture, True) if every.picture else 0,
            checkpoints=_times(steps, every.checkpoint, True),
        )

    def seconds(self, costs: Costs) -> dict[str, float]:
        """Seconds of each kind, in words, without what does not happen."""
        found = {
            self._many(self.validations, "validation"): self.validations * costs.validation,
            self._many(self.scores, "set of scores", "sets of scores"): self.scores * costs.score,
            self._many(self.pictures, "picture"): self.pictures * costs.picture,
            self._many(self.checkpoints, "checkpoint"): self.checkpoints * costs.checkpoint,
        }
        return {words: value for words, value in found.items() if not words.startswith("0 ")}

    @staticmethod
    def _many(n: int, one: str, more: str = "") -> str:
        return f"{n:,} {one if n == 1 else more or one + 's'}"


def _times(steps: int, interval: int, last: bool) -> int:
    return ceil(steps / interval) if last else steps // interval


def time_line(parts: Parts, costs: Costs) -> str:
    """ "6 min: 349 s for 3,000 steps, 3 s for 12 validations, 6 s for 12 pictures, 1 s for 6 checkpoints" """
    times = Occurrences.of(parts)
    more = times.seconds(costs)
    steps = times.steps * costs.step
    total = steps + sum(more.values()) + costs.closing
    beside = "".join(f", {in_words(value)} for {words}" for words, value in more.items())
    return f"{in_words(total)}: {in_words(steps)} for {times.steps:,} steps{beside}"


def disk_line(parts: Parts, scratch: Path, checkpoint: int, target: Path) -> str:
    """ "38.9 MiB of checkpoints, 1.2 MiB of pictures, 52.0 KiB of metrics; 51.0 GiB are free"

    Args:
        parts: Of the run.
        scratch: The folder of its trial, in which one picture was drawn.
        checkpoint: Bytes of one.
        target: The folder below which the run will lie.
    """
    times = Occurrences.of(parts)
    kept = min(parts.checkpoint.keep + 1, times.checkpoints)  # the best one may be another
    picture = sum(path.stat().st_size for path in scratch.glob("samples/*"))
    log = scratch / METRICS
    line = log.stat().st_size / max(1, log.read_bytes().count(b"\n")) if log.is_file() else 0.0
    lines = times.steps // parts.trainer.log_every_n_steps + times.validations + times.pictures
    found = {"checkpoints": kept * checkpoint, "pictures": times.pictures * picture, "metrics": lines * line}
    words = ", ".join(f"{shown_bytes(size)} of {name}" for name, size in found.items() if size)
    return f"{words}; {shown_bytes(_free(target))} are free"


def _free(target: Path) -> int:
    while not target.exists():
        target = target.parent
    return shutil.disk_usage(os.path.realpath(target)).free


def in_words(seconds: float) -> str:
    """ "80 ms", "95 s", "12 min", "3.4 h" """
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
