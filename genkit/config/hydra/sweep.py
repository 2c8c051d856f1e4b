"""The state of one `-m` command: the keys that are swept, the folder, and its jobs with what became of each.

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
from genkit.errors import NumericalError

LONGEST = 80  # letters of the values in a name
DIVERGED = NumericalError.exit_code
WAITING, RUNNING, DONE, SKIPPED, INTERRUPTED = "waiting", "running", "done", "skipped", "interrupted"
PRUNED = "pruned"  # ended by a search, since it fell behind
TABLE = "sweep.csv"  # in the sweep's folder
_CURRENT: list[Sweep] = []


@dataclass
class SweepJob:
    """One job of a sweep.

    Attributes:
        number: Its place in the grid, from 0.
        overrides: Its words, as Hydra's sweeper spells them.
        values: The swept keys with this job's values, as text.
        status: "waiting", "running", "done", "skipped" (it was done before), "interrupted", "pruned", "exit 5".
        folder: What it writes into, None where it writes nothing.
        words: The overrides that it is started with.
        identity: What it is found by when the sweep is typed again.
        score: Its best monitored value or its first score, None where there is none.
        label: What was trained, as "vae-digits".
        step: How far a training is, None where there is none.
        steps: How far it is to go.
        devices: How many it trains on.
        seconds: Wall time of this command's part of it, None while it has not ended.
        exit_code: None while it has not ended.
        line: Why it failed.
        pid: Of its own process, while it runs.
        costs: What it cost, by the name of an objective.
        in_pareto_set: Whether no other job is better in one objective and as good in all.
    """

    number: int
    overrides: tuple[str, ...]
    values: Mapping[str, str]
    status: str = WAITING
    folder: Path | None = None
    words: tuple[str, ...] = ()
    identity: Mapping[str, object] = field(default_factory=dict)
    score: float | None = None
    label: str = ""
    step: int | None = None
    steps: int | None = None
    devices: int = 1
    seconds: float | None = None
    exit_code: int | None = None
    line: str = ""
    pid: int | None = None
    costs: dict[str, float] = field(default_factory=dict)
    in_pareto_set: bool = False

    @property
    def failed(self) -> bool:
        return self.status.startswith("exit")

    @property
    def finished(self) -> bool:
        """Tell whether its results stand."""
        return self.status in (DONE, SKIPPED, PRUNED)


@dataclass
class Sweep:
    """The running command.

    Attributes:
        verb: Of the command.
        keys: The keys that take several values.
        command: As it was typed.
        at_once: How many jobs run at the same time in processes of their own.
        folder: Where the jobs' folders lie, None where there is none.
        jobs: By number.
        score: What the scores are of, e.g. "val/loss".
        mode: "min" or "max": which score is best, None where they cannot be compared.
        next: The commands to type next.
        picture: Of the scores, None where there is none.
        sweeper: What chose the values, "" for a grid.
        asked: How many trials a search is to complete, None where there is no search.
        objectives: Of a search: the score's name and names of costs, of which less is better.
        pareto_picture: Of two objectives, None where there is none.
    """

    verb: str = ""
    keys: tuple[str, ...] = ()
    command: str = ""
    at_once: int = 1
    folder: Path | None = None
    jobs: dict[int, SweepJob] = field(default_factory=dict)
    score: str = "score"
    mode: str | None = None
    next: list[str] = field(default_factory=list)
    picture: Path | None = None
    sweeper: str = ""
    asked: int | None = None
    objectives: tuple[str, ...] = ()
    pareto_picture: Path | None = None

    @property
    def costs(self) -> tuple[str, ...]:
        """The objectives besides the score."""
        return tuple(name for name in self.objectives if name != self.score)

    @property
    def total(self) -> int:
        """The number of jobs that there are to be."""
        return len(self.jobs) if self.asked is None else self.asked

    @property
    def done(self) -> int:
        """The number of jobs with results, or that count in a search though they diverged."""
        return sum(job.finished or (self.asked is not None and job.exit_code == DIVERGED) for job in self.jobs.values())

    @property
    def rankable(self) -> bool:
        """Tell whether its scores are of one kind: losses of two models or of two data sets are not."""
        return self.score.startswith("quick/") or not {"model", "data", "experiment"} & {*self.keys}

    @property
    def best(self) -> SweepJob | None:
        """The job with the best score, None where there are fewer than two, none can be told, or costs count too."""
        whole = [job for job in self.jobs.values() if not job.failed and job.status != PRUNED]
        scored = [job for job in whole if job.score is not None]
        if self.mode is None or len(scored) < 2 or not self.rankable or self.costs:
            return None
        return min(scored, key=lambda job: (job.score or 0.0) * (-1 if self.mode == "max" else 1))

    @property
    def pareto_set(self) -> list[SweepJob]:
        """The jobs that no other one dominates, by their score."""
        chosen = [job for job in self.jobs.values() if job.in_pareto_set]
        return sorted(chosen, key=lambda job: (job.score or 0.0) * (-1 if self.mode == "max" else 1))

    def values_of(self, job: SweepJob) -> tuple[float, ...] | None:
        """The objectives of a job, None where it has not all of them."""
        found = [job.score if name == self.score else job.costs.get(name) for name in self.objectives]
        values = tuple(value for value in found if value is not None)
        return values if job.finished and len(values) == len(found) else None

    def mark_pareto_set(self) -> None:
        """Note which jobs are in the Pareto set of several objectives."""
        signs = [-1 if name == self.score and self.mode == "max" else 1 for name in self.objectives]
        points = dict[int, tuple[float, ...]]()
        for job in self.jobs.values():
            if len(signs) > 1 and (values := self.values_of(job)) is not None:
                points[job.number] = tuple(sign * value for sign, value in zip(signs, values, strict=True))
        for job in self.jobs.values():
            own = points.get(job.number)
            job.in_pareto_set = own is not None and not any(_dominates(other, own) for other in points.values())

    def job(self, number: int, overrides: Sequence[str] = ()) -> SweepJob:
        """The job of a number, made at the first call."""
        made = SweepJob(number, tuple(overrides), swept_values(overrides, self.keys))
        return self.jobs.setdefault(number, made)


def _dominates(point: Sequence[float], other: Sequence[float]) -> bool:
    """Tell whether a point is at most the other in all coordinates and less in one."""
    pairs = list(zip(point, other, strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


def current_sweep() -> Sweep:
    """The sweep of the running command; one without keys where there is none."""
    return _CURRENT[-1] if _CURRENT else Sweep()


@contextmanager
def sweeping(sweep: Sweep) -> Iterator[Sweep]:
    """Makes a sweep the current one."""
    _CURRENT.append(sweep)
    try:
        yield sweep
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
