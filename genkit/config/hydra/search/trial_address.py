"""The address of a trial, handed to its training in one word: where to report its validations, and what to measure.

A training that has none is a training like any other. It is in the words, so that it reaches the job by every launcher,
and every process of a job that has several.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from genkit.config.hydra.paths import quoted
from genkit.config.hydra.search.options import TRIAL
from genkit.errors import ConfigError

_CURRENT: list[TrialAddress] = []


@dataclass(frozen=True)
class TrialAddress:
    """One trial of a study.

    Attributes:
        storage: Of the study.
        study: Its name.
        number: Of the trial.
        pruner: What decides whether it goes on, None where nothing does.
        least, most: Steps of the first validation and of a whole training.
        measured: Whether the time of sampling is an objective.
    """

    storage: str
    study: str
    number: int
    pruner: str | None
    least: int
    most: int
    measured: bool

    @property
    def word(self) -> str:
        """The override of a job."""
        return f"++{TRIAL}={quoted(json.dumps(asdict(self)))}"


def address_in(value: Any) -> TrialAddress:
    """The address that a word holds; raises ConfigError where it holds none."""
    try:
        return TrialAddress(**json.loads(value))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{TRIAL}: genkit's own word for the jobs of a search: leave it out") from error


def current_trial() -> TrialAddress | None:
    """The trial that the running training is, None where it is none or where nobody waits for its reports."""
    return _CURRENT[-1] if _CURRENT else None


@contextmanager
def as_trial(address: TrialAddress | None) -> Iterator[None]:
    """Makes an address the current one."""
    if address is None:
        yield
        return
    _CURRENT.append(address)
    try:
        yield
    finally:
        _CURRENT.pop()
