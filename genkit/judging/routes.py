"""The answers of the local server to the page: trials, images, and the writing down of what was chosen."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from genkit.errors import ConfigError
from genkit.judging.answers import AnswerFile, check_name
from genkit.judging.page import served_page
from genkit.judging.plan import Design, Trial, plan
from genkit.judging.study import IMAGES, Study
from genkit.web.messages import PNG, Reply, Request, Route

LONGEST = 86400.0  # seconds of an answer


class JudgeRoutes:
    """The routes of a study. What tells an image's source, the key, stands in none of them.

    Args:
        folder: Of the study.
        study: What the page may know.
        design: Of the trials.
        answers: Where they go.
        finished: Called with the name of a rater who has answered all.
    """

    def __init__(
        self, folder: Path, study: Study, design: Design, answers: AnswerFile, finished: Callable[[str], object]
    ) -> None:
        self.study, self.design, self.answers, self.finished = study, design, answers, finished
        # held, since it is little and the folder also has the key
        self.pictures = [(folder / IMAGES / f"{i}.png").read_bytes() for i in range(study.images)]
        self._plans: dict[str, list[Trial]] = {}

    def routes(self) -> dict[str, Route]:
        """Path -> function."""
        found: dict[str, Route] = {"": self.page, "plan": self.plan, "answer": self.answer}
        for i, png in enumerate(self.pictures):
            found[f"{IMAGES}/{i}.png"] = lambda request, png=png: Reply(png, PNG)  # type: ignore[misc]
        return found

    def page(self, request: Request) -> Reply:
        """The page."""
        return Reply.page(served_page(self.study, len(self.trials_of("someone"))))

    def plan(self, request: Request) -> Reply:
        """The trials of ?rater=, and what they have answered already."""
        rater = check_name(request.query.get("rater", ""))
        numbers = [[n for n in (trial.left, trial.right) if n is not None] for trial in self.trials_of(rater)]
        return Reply.of_json({"trials": numbers, "answers": self.answers.of(rater)})

    def answer(self, request: Request) -> Reply:
        """Write an answer down; the reply means that it is on the disk."""
        said = request.json()
        if request.method != "POST":
            raise ConfigError("answer: it is posted")
        rater, trials = check_name(str(said.get("rater", ""))), self.trials_of(str(said.get("rater", "")).strip())
        number, answer, seconds = said.get("trial"), said.get("answer"), said.get("seconds")
        if type(number) is not int or not 0 <= number < len(trials):
            raise ConfigError(f"trial: a number from 0 to {len(trials) - 1}")
        if answer not in self.study.answers:
            raise ConfigError(f"answer: one of {', '.join(self.study.answers)}")
        if not isinstance(seconds, int | float) or not math.isfinite(seconds):
            raise ConfigError("seconds: a number")
        new = number not in self.answers.of(rater)
        done = self.answers.add(rater, number, trials[number], answer, min(max(0.0, float(seconds)), LONGEST))
        if new and done == len(trials):
            self.finished(rater)
        return Reply.of_json({"saved": done})

    def trials_of(self, rater: str) -> list[Trial]:
        """The plan of a rater, made once."""
        if len(self._plans) > 1000:
            self._plans.clear()
        return self._plans.setdefault(rater, plan(self.design, rater))
