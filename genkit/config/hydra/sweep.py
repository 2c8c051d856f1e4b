"""The common state of the jobs of one `-m` command: the keys that are swept, the folder, what became of each job.

A job's folder is called after its number and the swept values, `0-model=vae,seed=1`, in letters that every file system
takes and never longer than one takes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from genkit.config.hydra.explanation import key_of

LONGEST = 80  # letters of the values in a name
_CURRENT: list[Sweep] = []


@dataclass
class Row:
    """A job for the closing table.

    Attributes:
        values: The swept keys with this job's values, as text.
        status: "done", "skipped", "exit 5", …
        folder: What it wrote, None where it wrote nothing.
        score: Its best monitored value or its first score, None where there is none.
        label: What was trained, as "vae-digits".
    """

    values: Mapping[str, str]
    status: str = "done"
    folder: Path | None = None
    score: float | None = None
    label: str = ""


@dataclass
class Sweep:
    """The running command.

    Attributes:
        keys: The keys that take several values.
        command: As it was typed.
        folder: Where the jobs' folders lie, None as long as no job has needed one.
        rows: What became of the jobs, by number.
        score: What the scores are of, e.g. "val/loss".
        mode: "min" or "max": which score is best, None where they cannot be compared.
        next: The command to type next, None for none.
        picture: Of the scores, None where there is none.
    """

    keys: tuple[str, ...] = ()
    command: str = ""
    folder: Path | None = None
    rows: dict[int, Row] = field(default_factory=dict)
    score: str = "score"
    mode: str | None = None
    next: str | None = None
    picture: Path | None = None

    @property
    def rankable(self) -> bool:
        """Tell whether its scores are of one kind: losses of two models or of two data sets are not."""
        return self.score.startswith("quick/") or not {"model", "data", "experiment"} & {*self.keys}

    def row(self, number: int, overrides: Sequence[str] = ()) -> Row:
        """The row of a job, made at the first call."""
        return self.rows.setdefault(number, Row(swept_values(overrides, self.keys)))


def current_sweep() -> Sweep:
    """The sweep of the running command; one without keys where there is none, or in a launcher's own process."""
    return _CURRENT[-1] if _CURRENT else Sweep()


@contextmanager
def sweeping(overrides: Sequence[str], command: str) -> Iterator[Sweep]:
    """Makes a sweep over these overrides the current one."""
    _CURRENT.append(Sweep(swept_keys(overrides), command))
    try:
        yield _CURRENT[-1]
    finally:
        _CURRENT.pop()


def swept_keys(overrides: Sequence[str]) -> tuple[str, ...]:
    """The keys of overrides that Hydra's grammar reads as several values."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    found = []
    for word in overrides:
        try:
            override = OverridesParser.create().parse_override(word)
        except HydraException:
            continue
        if override.is_sweep_override():
            found.append(key_of(word))
    return tuple(dict.fromkeys(found))


def swept_values(overrides: Sequence[str], keys: Sequence[str]) -> dict[str, str]:
    """The values of the swept keys in the overrides of one job, without quotes."""
    values = {key_of(word): word.partition("=")[2].strip("'\"") for word in overrides}
    return {key: values[key] for key in keys if key in values}


def short_keys(keys: Sequence[str]) -> dict[str, str]:
    """Key -> its last part where no other key ends so, as lr for optimizer.lr."""
    leaves = [key.rpartition(".")[2] for key in keys]
    return {key: leaf if leaves.count(leaf) == 1 else key for key, leaf in zip(keys, leaves, strict=True)}


def label_of_values(values: Mapping[str, str]) -> str:
    """ "model=vae,lr=0.001" """
    names = short_keys(tuple(values))
    return ",".join(f"{names[key]}={value}" for key, value in values.items())


def job_name(number: int | str, label: str) -> str:
    """The name of a job's folder, ASCII and short; a long label keeps its beginning and a hash of the whole."""
    text = re.sub(r"[^A-Za-z0-9._=,+-]+", "_", label).strip("_")
    if len(text) > LONGEST:
        text = f"{text[: LONGEST - 9]}-{hashlib.sha256(label.encode()).hexdigest()[:8]}"
    return f"{number}-{text}" if text else str(number)
