"""Scores of people's answers as records, like those of any other metric.

real or fake   human_error_rate, fooling_rate, d_prime of each source of fakes (`genkit.metrics.signal_detection`)
2afc           bradley_terry, win_rate, probability_best of each source (`genkit.metrics.bradley_terry`)
both           krippendorff_alpha, self_consistency, order_effect, of the raters

Intervals are over raters, drawn with replacement (`genkit.metrics.cluster_bootstrap`). A rater who fails the attention
checks is left out, by the rule in the key. Repeats count for self-consistency alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from genkit.errors import DataError
from genkit.evaluation.record import NOT_APPLICABLE, Record
from genkit.evaluation.reference import Floor
from genkit.judging.answers import Answer
from genkit.judging.rated import Rated, Rater, raters_of
from genkit.judging.study import Key
from genkit.metrics.bradley_terry import LEFT, RIGHT, TIE, components, fit, order_effect
from genkit.metrics.cluster_bootstrap import cluster_weights, expanded_interval
from genkit.metrics.interval import wilson_interval
from genkit.metrics.krippendorff import nominal_alpha
from genkit.metrics.signal_detection import drift, error_rate, fooling_rate, sensitivity

RATERS = "all raters"
OUTCOMES = {"left": LEFT, "right": RIGHT, "tie": TIE}
ONE_RATER = "one rater: no interval, since nothing follows about other people"

Statistic = Callable[[Tensor], Tensor]  # weights of raters (B, R) -> values (B,)


@dataclass(frozen=True)
class HumanScores:
    """The records, a row for each rater, and who was left out."""

    records: list[Record]
    raters: list[dict[str, Any]]
    left_out: list[str]


def human_scores(key: Key, mark: str, answers: Sequence[Answer], repeats: int, seed: int) -> HumanScores:
    """Score the answers of a study.

    Args:
        key: Of the study.
        mark: Of the key's file.
        answers: Of all raters.
        repeats: Resamples of raters behind each interval; 0: no intervals.
        seed: Of the resamples.

    Raises:
        DataError: nothing to score, answers of another study, or models that were never compared.
    """
    found = raters_of(answers, key, mark)
    kept = [rater for rater in found if rater.looked(key.least) and rater.first]
    left_out = [rater.name for rater in found if not rater.looked(key.least)]
    if not kept:
        why = f": all {len(left_out)} raters fail the attention checks" if left_out else ""
        raise DataError(f"human=: no answers to score{why}")
    scorer = _Scorer(key, kept, len(found), repeats, seed)
    single = key.design.task == "real_or_fake"
    records = [*(scorer.single() if single else scorer.paired()), *scorer.raters_records(single)]
    return HumanScores(records, [rater.row(key.least) for rater in found], left_out)


class _Scorer:
    """Records of the raters that are kept."""

    def __init__(self, key: Key, raters: Sequence[Rater], of: int, repeats: int, seed: int) -> None:
        self.key, self.raters, self.seed = key, raters, seed
        self.names = list(key.design.sources)
        self.source = {i: place for place, name in enumerate(self.names) for i in key.design.sources[name]}
        self.data = torch.ones(1, len(raters), dtype=torch.float64)
        self.weights = cluster_weights(len(raters), repeats, seed) if repeats else self.data[:0]
        self.params = {"raters": len(raters), "left out": of - len(raters), "task": key.design.task}
        self.answers = sum(len(rater.first) for rater in raters)  # of all: those of one source are in the findings
        self.notes = () if len(raters) > 1 else (ONE_RATER,)

    def single(self) -> list[Record]:
        """Error rate, fooling rate and d′ of each source of fakes; the share of real ones that are called real."""
        shown, called = (torch.zeros(len(self.raters), len(self.names), dtype=torch.float64) for _ in range(2))
        for row, rater in enumerate(self.raters):
            for rated in rater.first:
                place = self.source[rated.trial.left]
                shown[row, place] += 1
                called[row, place] += rated.answer.answer == "real"
        assert self.key.design.real is not None
        real = self.names.index(self.key.design.real)
        said = float(called.sum() / shown.sum())
        notes = (f"{100 * said:.0f} % of all answers were real",)

        def of(statistic: Callable[..., Tensor], place: int) -> Statistic:
            return lambda w: statistic(
                w @ called[:, real], w @ shown[:, real], w @ called[:, place], w @ shown[:, place]
            )

        def fooled(place: int) -> Statistic:
            return lambda w: fooling_rate(w @ called[:, place], w @ shown[:, place])

        records, n = [], shown.sum(0).int().tolist()
        models = [place for place in range(len(self.names)) if place != real and n[place]]
        for place in models:
            seen = {"fakes": n[place], "real": n[real]}
            error = self._record("human_error_rate", place, of(error_rate, place), "near", seen, 0.5, notes)
            records.append(self._with_design_effect(error, n[place] + n[real]))
            records.append(self._record("d_prime", place, of(sensitivity, place), "near", seen, 0.0))
        for place in (*models, real):
            records.append(self._record("fooling_rate", place, fooled(place), "max", {"answers": n[place]}))
        return records

    def paired(self) -> list[Record]:
        """Strength, share of comparisons won and probability of being the best, of each source."""
        k = len(self.names)
        counts = torch.zeros(len(self.raters), k, k, 3, dtype=torch.float64)
        for row, rater in enumerate(self.raters):
            for rated in rater.first:
                assert rated.trial.right is not None
                left, right = (self.source[number] for number in (rated.trial.left, rated.trial.right))
                counts[row, left, right, OUTCOMES[rated.answer.answer]] += 1
        total = counts.sum(0)
        if len(parts := components(total)) > 1:
            named = " | ".join(", ".join(self.names[i] for i in part) for part in parts)
            raise DataError(f"human=: these were never compared with each other: {named}: ask for more answers")
        n = total.sum(-1)
        compared = (n + n.T) > 0
        theta = fit(total[None], compared).theta[0]
        drawn = fit(torch.einsum("br,rijo->bijo", self.weights, counts), compared).theta if len(self.weights) else None
        winner = None if drawn is None else drawn.argmax(1)
        won = total[..., LEFT].sum(1) + total[..., RIGHT].sum(0) + (total[..., TIE].sum(1) + total[..., TIE].sum(0)) / 2
        played = n.sum(1) + n.sum(0)
        records = []
        for place in theta.argsort(descending=True).tolist():
            interval = None if drawn is None else expanded_interval(drawn[:, place], len(self.raters))
            findings = {"won": float(won[place]), "comparisons": int(played[place])}
            records.append(self._blank("bradley_terry", self.names[place], "max", value=float(theta[place]),
                                       ci95=interval, findings=findings, notes=self.notes))  # fmt: skip
            if winner is not None and len(self.raters) > 1:
                share = float((winner == place).double().mean())
                records.append(self._blank("probability_best", self.names[place], "max", value=share))
            records.append(self._win_rate(counts, place))
        return records

    def _win_rate(self, counts: Tensor, place: int) -> Record:
        ties = counts[:, place, :, TIE].sum(1) + counts[:, :, place, TIE].sum(1)
        won = counts[:, place, :, LEFT].sum(1) + counts[:, :, place, RIGHT].sum(1) + ties / 2
        played = counts[:, place].sum((1, 2)) + counts[:, :, place].sum((1, 2))
        return self._record(
            "win_rate", place, lambda w: (w @ won) / (w @ played), "max", {"comparisons": int(played.sum())}
        )

    def raters_records(self, single: bool) -> list[Record]:
        """Agreement between raters and with themselves, and the effect of the order."""
        same = torch.tensor([sum(rater.repeats) for rater in self.raters], dtype=torch.float64)
        asked = torch.tensor([len(rater.repeats) for rater in self.raters], dtype=torch.float64)
        records = [self._alpha()]
        if asked.sum():
            again = self._record("self_consistency", RATERS, lambda w: (w @ same) / (w @ asked), "max",
                                 {"repeats": int(asked.sum())})  # fmt: skip
            records.append(again)
        return [*records, self._drift() if single else self._side()]

    def _alpha(self) -> Record:
        units: dict[frozenset[int], dict[int | str, int]] = {}
        for rated in (rated for rater in self.raters for rated in rater.first):
            votes = units.setdefault(rated.content, {})
            votes[rated.chosen] = votes.get(rated.chosen, 0) + 1
        rows = [[votes.get(value, 0) for value in self._values(content)] for content, votes in units.items()]
        try:
            alpha = nominal_alpha(torch.tensor(rows))
            status = "ok" if math.isfinite(alpha) else f"{NOT_APPLICABLE}all answers are the same"
        except DataError:
            alpha, status = math.nan, f"{NOT_APPLICABLE}nothing was answered by two raters"
        value = alpha if math.isfinite(alpha) else None
        return self._blank(
            "krippendorff_alpha", RATERS, "max", value=value, status=status, findings={"units": len(units)}
        )

    def _values(self, content: frozenset[int]) -> list[int | str]:
        """The answers that a unit may be given, in an order that is the same for all."""
        return ["real", "fake"] if self.key.design.task == "real_or_fake" else [*sorted(content), "tie"]

    def _side(self) -> Record:
        """Advantage of the left side, a logit."""
        k = len(self.names)
        total = torch.zeros(k, k, 3, dtype=torch.float64)
        for rated in (rated for rater in self.raters for rated in rater.first):
            assert rated.trial.right is not None
            total[self.source[rated.trial.left], self.source[rated.trial.right], OUTCOMES[rated.answer.answer]] += 1
        gamma, p = order_effect(total)
        return self._order(gamma, p, "advantage of the left side, a logit")

    def _drift(self) -> Record:
        """Errors of the second half of each rater's answers less those of the first."""
        wrong, answered = [0.0, 0.0], [0.0, 0.0]
        for rater in self.raters:
            for i, rated in enumerate(rater.first):
                half = int(i >= len(rater.first) / 2)
                answered[half] += 1
                wrong[half] += self._errs(rated)
        shares = [w / max(1.0, n) for w, n in zip(wrong, answered, strict=True)]
        p = drift((wrong[0], wrong[1]), (answered[0], answered[1]))
        return self._order(shares[1] - shares[0], p, "errors of the second half less the first")

    def _errs(self, rated: Rated) -> bool:
        real = self.names[self.source[rated.trial.left]] == self.key.design.real
        return real != (rated.answer.answer == "real")

    def _order(self, value: float, p: float, what: str) -> Record:
        sign = f"{what}: p = {p:.2g} by the likelihood ratio"
        floor = Floor.expected(0.0)
        return self._blank("order_effect", RATERS, "near", value=value, floor=floor, findings={"p": p},
                           notes=(sign,))  # fmt: skip

    def _record(
        self,
        metric: str,
        place: int | str,
        statistic: Statistic,
        direction: Literal["min", "max", "near"],
        findings: dict[str, Any],
        expected: float | None = None,
        notes: tuple[str, ...] = (),
    ) -> Record:
        """A record of a statistic and its interval over raters; `findings` says how many answers it rests on."""
        value = float(statistic(self.data))
        interval = expanded_interval(statistic(self.weights), len(self.raters)) if len(self.weights) else None
        known = math.isfinite(value)
        return self._blank(
            metric,
            place if isinstance(place, str) else self.names[place],
            direction,
            value=value if known else None,
            status="ok" if known else f"{NOT_APPLICABLE}one of both kinds was not answered",
            ci95=interval if known else None,
            floor=None if expected is None else Floor.expected(expected),
            notes=(*self.notes, *notes),
            findings=findings,
        )

    def _blank(self, metric: str, source: str, direction: Literal["min", "max", "near"], **facts: Any) -> Record:
        return Record(
            metric=metric,
            name=metric,
            source=source,
            direction=direction,
            unit="logit" if metric == "bradley_terry" else "",
            divergence=False,
            reference=self.key.reference,
            seed=self.seed,
            covers="the draw of the raters",
            n_fake=self.answers,
            params=self.params,
            model=self.key.sources.get(source) or None,
            **facts,
        )

    def _with_design_effect(self, record: Record, n: int) -> Record:
        """The record, and how many times its variance is that of n answers of as many people."""
        if record.ci95 is not None and record.value is not None:
            low, high = wilson_interval(record.value * n, n)
            record.findings["design_effect"] = ((record.ci95[1] - record.ci95[0]) / (high - low)) ** 2
        return record
