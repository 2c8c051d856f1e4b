"""Scores while training, of few samples, against the validation examples: which checkpoint is best by how it samples.

A validation loss says little of a GAN and not everything of the others. These scores come from the evaluator of
`genkit eval`, with its floor and intervals, but of `n` samples only and against other examples: they tell the
checkpoints of one run apart and mean nothing beside a score of `genkit eval`. The test examples stay unseen, since
whatever chooses among checkpoints has been fitted to.

Samples come from noise that is a function of (seed, sample), so training draws what it would have drawn anyway.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import lightning.pytorch as pl
from rich.console import Console

from genkit.data.dataset import Dataset
from genkit.evaluation.evaluator import Evaluator
from genkit.evaluation.record import Record
from genkit.ranks import alone, from_first
from genkit.training.aside import Aside
from genkit.training.idle_hooks import NoStepHooks
from genkit.training.module import GenerativeModule
from genkit.training.options import QuickOptions

PREFIX = "quick/"


@dataclass(frozen=True)
class Quick:
    """Metrics that are scored while training, and the steps between scores.

    Attributes:
        evaluator: Its metrics, against validation examples.
        options: When, and how many samples.
    """

    evaluator: Evaluator
    options: QuickOptions

    @property
    def terms(self) -> tuple[str, ...]:
        """The names of the scores among the validation terms."""
        return tuple(f"{PREFIX}{name}" for name in self.evaluator.metrics)


class QuickScores(NoStepHooks, pl.Callback):  # type: ignore[misc]
    """Adds `quick/<metric>` to the validation terms, where a checkpoint's or early stopping's monitor finds them.

    `quick/<metric>/low`, `/high` and `/floor` stand beside each, `quick/n` beside all.

    Arguments:
        quick: What to score.
        dataset: What the model is prepared with before it samples.
        console: Where the scores are said.
        scores_last: Whether the last step is scored too, whatever its number.
    """

    def __init__(self, quick: Quick, dataset: Dataset, console: Console, scores_last: bool = False) -> None:
        self.quick, self.dataset, self.console, self.scores_last = quick, dataset, console, scores_last
        self.aside = Aside(console, "quick scores")

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, GenerativeModule)
        pl_module.occasional = self.quick.terms

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, GenerativeModule)
        if trainer.global_step % (self.quick.options.every_n_steps or 1) and not self._ends(trainer):
            return
        pl_module.validated |= from_first(lambda: self._terms(trainer, pl_module))

    def _ends(self, trainer: pl.Trainer) -> bool:
        return self.scores_last and trainer.global_step >= trainer.max_steps

    def _terms(self, trainer: pl.Trainer, pl_module: GenerativeModule) -> dict[str, float]:
        """The scores by log key; none where they cannot be taken."""
        with alone(), self.aside(trainer.global_step):
            return self._score(trainer, pl_module)
        return {}

    def _score(self, trainer: pl.Trainer, pl_module: GenerativeModule) -> dict[str, float]:
        options = self.quick.options
        model = pl_module.prepared(self.dataset)
        self.quick.evaluator.compute_on(pl_module.device)
        records = self.quick.evaluator.score_model(model, options.n)
        line = f"quick scores at step {trainer.global_step:,} ({facts(records, options.n)}): {said(records)}"
        self.console.print(line, style="dim", soft_wrap=True, highlight=False)
        return terms_of(records, options.n)


def terms_of(records: list[Record], n: int) -> dict[str, float]:
    """By log key; what could not be scored is left out."""
    terms = {f"{PREFIX}n": float(n)}
    for record in records:
        if record.value is not None:
            low, high = record.ci95 or (None, None)
            floor = None if record.floor is None else record.floor.mean
            found = {"": record.value, "/low": low, "/high": high, "/floor": floor}
            terms |= {f"{PREFIX}{record.metric}{end}": value for end, value in found.items() if value is not None}
    return terms


def facts(records: list[Record], n: int) -> str:
    """Description of the scored samples and of their reference."""
    reference: dict[str, Any] = records[0].reference
    return f"{n:,} samples against {reference['n']:,} {reference['split']} examples"


def said(records: list[Record]) -> str:
    """ "fid[digits] 3.2 [2.9, 3.5], floor 0.9; …" """
    return "; ".join(map(_said, records))


def _said(record: Record) -> str:
    if record.value is None:
        return f"{record.name} {record.status}"
    interval = "" if record.ci95 is None else f" [{record.ci95[0]:.3g}, {record.ci95[1]:.3g}]"
    floor = "" if record.floor is None else f", floor {record.floor.mean:.3g}"
    return f"{record.name} {record.value:.3g}{interval}{floor}"
