"""One metric in one evaluation: fed batch by batch, timed, and stopped by what it refuses."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar, cast

from genkit.errors import ConfigError, DataError
from genkit.metrics.base import Probe, ProbeMetric

T = TypeVar("T")


class MetricPass:
    """A fresh copy of one metric that is fed one evaluation: its state, its seconds, and why it stopped if it did."""

    def __init__(self, metric: ProbeMetric) -> None:
        self.metric = cast(ProbeMetric, metric.clone())
        self.metric.reset()
        self.seconds = 0.0
        self.stopped: str | None = None

    def take(self, probe: Probe) -> None:
        """Update by a batch that has anything the metric measures; what the metric refuses stops it."""
        measured = [name for name in self.metric.requires if name not in ("modes", "truth", "logits", "grammar")]
        if self.stopped is None and any(name in probe for name in measured):
            self._timed(partial(self.metric.update, probe))

    def value(self) -> float | None:
        """The value in double precision, None where the metric stopped."""
        value = self._timed(self.metric.compute)
        return None if value is None else float(value)

    def interval(self, repeats: int, seed: int) -> tuple[float, float] | None:
        return self._timed(partial(self.metric.interval, repeats, seed)) if repeats else None

    def redrawn_interval(self, repeats: int, seed: int) -> tuple[float, float] | None:
        return self._timed(partial(self.metric.redrawn_interval, repeats, seed)) if repeats else None

    def bias_corrected(self) -> float | None:
        return self._timed(self.metric.bias_corrected)

    def expected(self) -> float | None:
        return None if self.metric.has_floor else self._timed(self.metric.expected)

    def notes(self) -> tuple[str, ...]:
        return self._timed(lambda: tuple(self.metric.notes())) or ()

    def details(self) -> list[dict[str, float]]:
        return self._timed(self.metric.details) or []

    def params(self) -> dict[str, Any]:
        return self._timed(self.metric.params) or {}

    def findings(self) -> dict[str, Any]:
        return self._timed(self.metric.findings) or {}

    def _timed(self, work: Callable[[], T]) -> T | None:
        if self.stopped is not None:
            return None
        start = time.perf_counter()
        try:
            return work()
        except (ConfigError, DataError) as error:
            self.stopped = str(error)
            return None
        finally:
            self.seconds += time.perf_counter() - start
