"""Floors: every metric between real data and real data, at the same n, a few times over; see `reference.py`.

A floor depends on n, the data, the features and the metric, never on what is scored, so it is measured once and kept in
the cache under a name that says all of that.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from genkit.data.split import Split, content_hash
from genkit.errors import DataError
from genkit.evaluation.cache import Cache, identity_of, name_of
from genkit.evaluation.metric_pass import MetricPass
from genkit.evaluation.probe import Prober
from genkit.evaluation.reference import Floor, RealPair, Reference
from genkit.evaluation.source import SampleSource, Source
from genkit.metrics.base import ProbeMetric


class Floors:
    """The floors of one reference in one feature space.

    Args:
        reference: Where the pairs of real data come from.
        prober: The feature space and the batches.
        cache: Where floors are kept between processes.
        repeats: Pairs behind each floor; 0 for none.
    """

    def __init__(self, reference: Reference, prober: Prober, cache: Cache, repeats: int) -> None:
        self.reference, self.prober, self.cache, self.repeats = reference, prober, cache, repeats
        self._known: dict[tuple[str, int], Floor | None] = {}
        self._missing: dict[tuple[bool, int], str] = {}

    def at(self, source: Source, metrics: Mapping[str, ProbeMetric]) -> dict[str, Floor]:
        """Floors of those metrics that look at samples, at as many; those known already are not computed again."""
        if not self.repeats:
            return {}
        n, floored = source.n, {name: metric for name, metric in metrics.items() if _floored(metric)}
        for of_train in (False, True):
            kind = {name: metric for name, metric in floored.items() if ("train" in metric.requires) == of_train}
            missing = {name: metric for name, metric in kind.items() if (name, n) not in self._known}
            if missing and (pairs := self._pairs(n, of_train)):
                self._measure(n, missing, pairs)
        found = {name: floor for name in floored if (floor := self._known.get((name, n))) is not None}
        return self._with_scores(source, found, metrics)

    def reason(self, metric: ProbeMetric, n: int) -> str:
        """The reason why there is no floor of a metric at n samples."""
        return self._missing.get(("train" in metric.requires, n), "the metric cannot score real data at this n")

    def _pairs(self, n: int, of_train: bool) -> list[RealPair]:
        """The real pairs of all repeats; none, and the reason remembered, where the data is too small."""
        make = self.reference.fresh_pair if of_train else self.reference.real_pair
        try:
            return [make(n, repeat) for repeat in range(self.repeats)]
        except DataError as error:
            self._missing[of_train, n] = str(error)
            return []

    def _measure(self, n: int, metrics: Mapping[str, ProbeMetric], pairs: Sequence[RealPair]) -> None:
        """By real pairs, or from the cache where the same pairs were scored before."""
        hashes = [[pair.fake.values_hash, pair.real.values_hash] for pair in pairs]
        entries = {name: self._entry(metric, hashes) for name, metric in metrics.items()}
        values = {name: found["values"] for name in metrics if (found := self.cache.read(entries[name])) is not None}
        if missing := {name: metric for name, metric in metrics.items() if name not in values}:
            measured = [self._scores_of(pair, missing) for pair in pairs]
            for name in missing:
                values[name] = torch.tensor([scores[name] for scores in measured], dtype=torch.float64)
                self.cache.write(entries[name], {"values": values[name]})
        for name in metrics:
            numbers = tuple(values[name][values[name].isfinite()].tolist())
            self._known[name, n] = Floor(numbers, pairs[0].kind) if numbers else None

    def _with_scores(
        self, source: Source, floors: dict[str, Floor], metrics: Mapping[str, ProbeMetric]
    ) -> dict[str, Floor]:
        """With the score against the floor's real sides, where these are a part of the reference alone.

        A distance falls with the size of the reference, so one to all of it is not comparable with the floor.
        """
        scored = {name: metrics[name] for name in floors if "real" in metrics[name].requires}
        if self.reference.dataset is not None or not scored:
            return floors
        found = [self._scores(source, pair, scored) for pair in self._pairs(source.n, of_train=False)]
        means = {name: statistics.fmean(values[name] for values in found) for name in scored}
        return {name: replace(floor, score=means.get(name)) for name, floor in floors.items()}

    def _scores_of(self, pair: RealPair, metrics: Mapping[str, ProbeMetric]) -> dict[str, float]:
        """Each metric of a pair of real data, NaN where it cannot score it."""
        return self._scores(SampleSource(pair.fake, in_order=True), pair, metrics)

    def _scores(self, source: Source, pair: RealPair, metrics: Mapping[str, ProbeMetric]) -> dict[str, float]:
        """Each metric of a source against the real side of a pair, which stands for training data too."""
        passes = {name: MetricPass(metric) for name, metric in metrics.items()}
        with self.prober.lending(*self._known_features(pair)):
            self.prober.feed(passes.values(), source, pair.real, pair.real)
        found = {name: each.value() for name, each in passes.items()}
        return {name: math.nan if value is None else value for name, value in found.items()}

    def _known_features(self, pair: RealPair) -> list[tuple[Split, Tensor]]:
        """The features of parts of the reference."""
        if pair.rows is None or not self.prober.featured:
            return []
        features = self.prober.features_of(self.reference.data)
        return [(pair.real, features[pair.rows[1]]), (pair.fake, features[pair.rows[0]])]

    def _entry(self, metric: ProbeMetric, hashes: Sequence[Sequence[str]]) -> str:
        modes = self.reference.modes if "modes" in metric.requires else None
        facts: dict[str, Any] = {
            "metric": identity_of(metric),
            "features": self.prober.identity if metric.uses_features else None,
            "spec": self.prober.spec.to_json(),
            "modes": None if modes is None else [content_hash(modes.centres), modes.std],
            "pairs": hashes,
        }
        return name_of("floor", facts)


def _floored(metric: ProbeMetric) -> bool:
    return "fake" in metric.requires and metric.has_floor
