"""Answers held against the plans of their raters: what each was, and who is left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median
from typing import Any

from genkit.errors import DataError
from genkit.judging.answers import Answer
from genkit.judging.plan import Design, Trial, plan
from genkit.judging.study import Key


@dataclass(frozen=True)
class Rated:
    """One answer and the trial that it is about."""

    trial: Trial
    answer: Answer

    @property
    def chosen(self) -> int | str:
        """The image that was preferred, or the word where none was."""
        match self.answer.answer:
            case "left":
                return self.trial.left
            case "right" if self.trial.right is not None:
                return self.trial.right
            case word:
                return word

    @property
    def content(self) -> frozenset[int]:
        """The images that were shown, whatever their sides."""
        return frozenset(number for number in (self.trial.left, self.trial.right) if number is not None)


@dataclass(frozen=True)
class Rater:
    """A rater's answers, in the order of their plan.

    Attributes:
        name: As typed.
        rated: The answers.
        planned: Trials that they had.
        noise: Numbers of images of noise.
    """

    name: str
    rated: tuple[Rated, ...]
    planned: int
    noise: frozenset[int]

    @cached_property
    def first(self) -> list[Rated]:
        """Answers that count: neither repeats nor checks."""
        return [rated for rated in self.rated if rated.trial.kind == "first"]

    @cached_property
    def checks(self) -> list[bool]:
        """Of each attention check, whether the noise was recognised."""
        return [rated.chosen not in ("real", "tie", *self.noise) for rated in self.rated if rated.trial.kind == "check"]

    @cached_property
    def repeats(self) -> list[bool]:
        """Of each trial that was answered twice, whether with the same."""
        before = {rated.content: rated.chosen for rated in self.first}
        again = [rated for rated in self.rated if rated.trial.kind == "repeat" and rated.content in before]
        return [rated.chosen == before[rated.content] for rated in again]

    def looked(self, least: float) -> bool:
        """Tell whether enough of the attention checks are right; without any, nothing is held against a rater."""
        return not self.checks or sum(self.checks) >= least * len(self.checks) - 1e-9

    def row(self, least: float) -> dict[str, Any]:
        """The line of raters.csv."""
        first = self.first
        return {
            "rater": self.name,
            "answers": len(self.rated),
            "of": self.planned,
            "checks_right": sum(self.checks),
            "checks": len(self.checks),
            "repeats_same": sum(self.repeats),
            "repeats": len(self.repeats),
            "called_real_or_left": sum(rated.answer.answer in ("real", "left") for rated in first),
            "median_seconds": round(median(rated.answer.seconds for rated in self.rated), 3),
            "left_out": not self.looked(least),
        }


def raters_of(answers: Iterable[Answer], key: Key, mark: str) -> list[Rater]:
    """The raters of a study, by name.

    Raises DataError for answers that are not about its trials.
    """
    latest: dict[str, dict[int, Answer]] = {}
    for answer in answers:
        if answer.study != mark:
            raise DataError(f"human=: {answer.rater}'s answers are of another study than key=: name its own key.json")
        latest.setdefault(answer.rater, {})[answer.trial] = answer
    return [_rater(name, latest[name], key.design) for name in sorted(latest)]


def _rater(name: str, latest: Mapping[int, Answer], design: Design) -> Rater:
    trials = plan(design, name)
    rated = tuple(Rated(_trial(trials, latest[i]), latest[i]) for i in sorted(latest))
    return Rater(name, rated, len(trials), frozenset(design.noise))


def _trial(trials: Sequence[Trial], answer: Answer) -> Trial:
    """The trial of an answer, which must have shown what the answer says, and have asked for such a word."""
    trial = trials[answer.trial] if 0 <= answer.trial < len(trials) else None
    if trial is None or (trial.left, trial.right) != (answer.left, answer.right):
        raise DataError(f"human=: trial {answer.trial} of {answer.rater} shows other images than the study has there")
    if (answer.answer in ("real", "fake")) != (trial.right is None):
        raise DataError(f"human=: trial {answer.trial} of {answer.rater}: {answer.answer} is no answer to it")
    return trial
