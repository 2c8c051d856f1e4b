"""Floors: every metric between real data and real data, at the same n, a few times over; see `reference.py`.

A floor depends on n, the data, the features and the metric, never on what is scored, so it is measured once and kept in
the cache under a name that says all of that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from genkit.metrics.base import ProbeMetric
from genkit.metrics.cache import Cache, identity_of, name_of
from genkit.metrics.probing import Prober
from genkit.metrics.reference import Floor, RealPair, Reference, content_hash
from genkit.metrics.source import SampleSource
from genkit.metrics.tally import Tally


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

    def at(self, n: int, metrics: Mapping[str, ProbeMetric]) -> dict[str, Floor]:
        """Floors of those metrics that look at samples, at n of them; those known already are not computed again."""
        floored = [name for name, metric in metrics.items() if "fake" in metric.requires and metric.has_floor]
        missing = {name: metrics[name] for name in floored if (name, n) not in self._known}
        if missing and self.repeats:
            self._measure(n, missing)
        return {name: floor for name in floored if (floor := self._known.get((name, n))) is not None}

    def _measure(self, n: int, metrics: Mapping[str, ProbeMetric]) -> None:
        """By real pairs, or from the cache where the same pairs were scored before."""
        pairs = [self.reference.real_pair(n, repeat) for repeat in range(self.repeats)]
        hashes = [[content_hash(pair.fake.x), content_hash(pair.real.x)] for pair in pairs]
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

    def _scores_of(self, pair: RealPair, metrics: Mapping[str, ProbeMetric]) -> dict[str, float]:
        """Each metric of a pair of real data, NaN where it cannot score it; its real side stands for training data."""
        tallies = {name: Tally(metric) for name, metric in metrics.items()}
        self.prober.feed(tallies.values(), SampleSource(pair.fake), pair.real, pair.real)
        found = {name: tally.value() for name, tally in tallies.items()}
        return {name: math.nan if value is None else value for name, value in found.items()}

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
