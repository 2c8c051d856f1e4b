"""One evaluator for every family: the same reference, the same features, the same floor for all that is scored.

One pass over the real data and one over the fakes feed all metrics, batch by batch; each quantity of a batch (features,
log-density, reconstruction) is computed at most once however many metrics ask for it. Features of the reference are
kept between sources, and so are the floors, which depend on n but not on what is scored.

A metric that cannot apply (the model has no density, the data no known modes, the samples are too few) leaves a record
that says "n/a: reason". Where the user named it and it can score none of the sources, it is an error with the reason.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from genkit.data.languages import Language
from genkit.data.split import InMemory, Split
from genkit.errors import ConfigError, DataError
from genkit.evaluation.baseline import BASELINES, OF_TEXT, REAL, baseline_name, baselines_of
from genkit.evaluation.cache import Cache, NoCache
from genkit.evaluation.copies import CopySearch, accuses
from genkit.evaluation.floors import Floors
from genkit.evaluation.metric_pass import MetricPass
from genkit.evaluation.neighbours import LOOKED_AT, Neighbourhoods, neighbourhoods
from genkit.evaluation.probe import OF_FAKES, Prober
from genkit.evaluation.record import NOT_APPLICABLE, NOT_FINITE, Record, blank, display_name
from genkit.evaluation.reference import Floor, Reference
from genkit.evaluation.source import ModelSource, SampleSource, Source, model_values
from genkit.evaluation.text_baseline import text_source, whole_documents
from genkit.features.base import Classifier, FeatureExtractor
from genkit.metrics.base import ProbeMetric
from genkit.metrics.bits_per_byte import BitsPerByte
from genkit.metrics.distances import as_rows
from genkit.models.base import GenerativeModel

Metrics = Mapping[str, ProbeMetric]  # name in tables and files -> metric


class Evaluator:
    """Scores models and samples against one reference.

    Args:
        metrics: Name in tables and files to metric.
        features: The feature space of the metrics that use one.
        reference: Held-out real data.
        named: Whether the user named the metrics; else they are a default suite, and what does not apply is skipped.
        batch_size: Examples in one batch; no result depends on it.
        seed: Of the samples, the dequantisation, the draws of estimates and the bootstrap.
        cache: Where features of the reference and floors are kept; by default nowhere.
        floor_repeats: Real-versus-real pairs behind each floor; 0 leaves floors out (quick values while training).
        bootstrap_repeats: Resamples behind each interval; 0 leaves intervals out.
        look_for_copies: Whether what is as near as real data is looked up in the training data unasked.
        device: Where feature networks compute; None leaves them where they are.
    """

    def __init__(
        self,
        metrics: dict[str, ProbeMetric],
        features: FeatureExtractor,
        reference: Reference,
        *,
        named: bool,
        batch_size: int = 500,
        seed: int = 0,
        cache: Cache | None = None,
        floor_repeats: int = 5,
        bootstrap_repeats: int = 50,
        look_for_copies: bool = True,
        device: torch.device | None = None,
    ) -> None:
        self.metrics, self.reference, self.named = metrics, reference, named
        self.spec = reference.spec
        self.seed = seed
        self.bootstrap_repeats, self.look_for_copies = bootstrap_repeats, look_for_copies
        self.cache = cache or NoCache()
        self.prober = Prober(reference, features, batch_size, seed, self.cache, device)
        self.features = self.prober.features
        self.floors = Floors(reference, self.prober, self.cache, floor_repeats)
        self.copies = CopySearch(reference, self.prober, self.floors)
        self.details: dict[tuple[str, str], list[dict[str, float]]] = {}  # by source and metric, see `ProbeMetric`

    def compute_on(self, device: torch.device) -> None:
        """Move the feature network, if there is one."""
        self.features.to(device)

    def score_model(self, model: GenerativeModel, n: int, *, label: str = "model", **origin: Any) -> list[Record]:
        """Score a model by n samples and by its other abilities; `origin` goes into the records' `model` entry."""
        return self.score(ModelSource(model, n, label, origin=origin))

    def score_samples(self, samples: Split | Tensor, label: str = "samples") -> list[Record]:
        """Score stored values (n, *shape), channels first."""
        return self.score(SampleSource(samples if isinstance(samples, Split) else InMemory(samples), label))

    def score_baselines(self, n: int, names: Sequence[str] | None = None) -> list[Record]:
        """The rows of trivial models (see `baseline.py`) and of real data, where the reference is a dataset.

        Only what samples alone can be scored by. Raises ConfigError for an unknown name.
        """
        dataset = self.reference.dataset
        rows: list[Record] = []
        chosen = baselines_of(self.spec, names)
        if dataset is None:
            return []
        for name in chosen:
            if name in OF_TEXT:
                rows += self._score_text_baseline(name)
            elif name == REAL:
                try:
                    pair = self.reference.real_pair(n, 0)
                except DataError:  # too small for n, which the missing floor says
                    continue
                rows += self._score(SampleSource(pair.fake, "real data"), pair.real, None, self.metrics, named=False)
            else:
                _, draw = BASELINES[name]
                source = SampleSource(InMemory(draw(dataset, n, self.seed)), baseline_name(name, self.spec))
                rows += self._score(source, self.reference.data, self.reference.train, self.metrics, named=False)
        scored = (record for record in rows if record.scored)
        return [replace(r, baseline=True) for r in scored if r.n_fake is not None or r.metric in self._of_text]

    @property
    def _of_text(self) -> Metrics:
        """The metrics that ways to code text are scored by."""
        return {name: metric for name, metric in self.metrics.items() if isinstance(metric, BitsPerByte)}

    def _score_text_baseline(self, name: str) -> list[Record]:
        """The rows of a way to code text that is no model; none where bits per byte are not asked for."""
        metrics = self._of_text
        source = text_source(name, self.reference.dataset, self.reference.data) if metrics else None
        if source is None:
            return []
        rows = self._score(source, self.reference.data, None, metrics, named=False)
        rows = [whole_documents(row) for row in rows]
        if source.by_example:
            return rows
        self.details = {key: found for key, found in self.details.items() if key[0] != source.label}
        return [replace(row, ci95=None) for row in rows]

    def score(self, *sources: Source, starting: Callable[[Source], None] = lambda source: None) -> list[Record]:
        """One record per source and metric; more about copying where a distance is no larger than real data's.

        Args:
            *sources: What to score, one after the other.
            starting: Called with each source before its turn.

        Raises:
            ConfigError: a metric that the user named can score none of the sources.
            DataError: samples of another shape.
            NumericalError: samples or features are not finite.
        """
        for source in sources:
            source.check(self.spec)
        self._refuse([self.obstacles(source) for source in sources], sources)
        records: list[list[Record]] = []
        for source in sources:
            starting(source)
            records.append(self._score_one(source))
        self._refuse([_obstacles_met(found) for found in records], sources)
        return [record for found in records for record in found]

    def _score_one(self, source: Source) -> list[Record]:
        records = self._score(source, self.reference.data, self.reference.train, self.metrics, self.named)
        test = self.copies.test(records, self.metrics) if self.look_for_copies else None
        found: list[Record] = []
        if test is not None:
            with self.prober.lending(*test.features):
                found = self._score(source, test.held_out, test.train, test.metrics, named=False)
        pairs = [self.copies.with_pairs(record, source) for record in (*records, *found)]
        listed = test is not None and (test.listed or any(map(accuses, pairs[len(records) :])))
        return pairs if listed else pairs[: len(records)]

    def neighbours(self, source: Source, rows: int) -> Neighbourhoods | None:
        """The first samples of a source, and the least new ones, beside training images; None where there are none."""
        train = self.reference.train
        if train is None or self.spec.drawing != "grid":
            return None
        looked_at, like = range(min(source.n, LOOKED_AT)), self.reference.data.labels
        batches = source.fakes(self.spec, self.seed, self.prober.batch_size, looked_at, like)
        x = torch.cat([model_values(v, self.spec) for v, _ in batches])
        if self.prober.featured:
            pair = self.prober.features_at(x), self.prober.features_of(train)
        else:
            chunks = train.chunks(self.prober.batch_size)
            pair = as_rows(x), torch.cat([as_rows(model_values(chunk.x, self.spec)) for chunk in chunks])
        return neighbourhoods((x, pair[0]), (train, pair[1]), self.spec, rows)

    def obstacles(self, source: Source) -> dict[str, str]:
        """The reasons, by metric, why it cannot score this source, as far as can be told before any work."""
        return self._obstacles(source, self.reference.data, self.reference.train, self.metrics, self.named)

    def _score(self, source: Source, real: Split, train: Split | None, metrics: Metrics, named: bool) -> list[Record]:
        """A record of each of the metrics, in their order."""
        blocked = self._obstacles(source, real, train, metrics, named)
        passes = {name: MetricPass(metric) for name, metric in metrics.items() if name not in blocked}
        self.prober.feed(passes.values(), source, real, train)
        values = {name: each.value() for name, each in passes.items()}
        blanks = {name: self._blank(name, metric, source, len(real)) for name, metric in metrics.items()}
        steady = {name: each for name, each in passes.items() if not self._too_few(blanks[name], each.metric)}
        intervals = {name: each.interval(self.bootstrap_repeats, self.seed) for name, each in steady.items()}
        redrawn = {name: each.redrawn_interval(self.bootstrap_repeats, self.seed) for name, each in steady.items()}
        blocked |= {name: each.stopped for name, each in passes.items() if each.stopped is not None}
        floors = self.floors.at(source, {name: metrics[name] for name in passes if name not in blocked})
        records: list[Record] = []
        for name, record in blanks.items():
            if name in blocked:
                records.append(replace(record, status=f"{NOT_APPLICABLE}{blocked[name]}"))
                continue
            known = _facts_of(passes[name]) | {"ci95": intervals.get(name), "ci95_redrawn": redrawn.get(name)}
            if "log_prob" in passes[name].metric.requires:
                known |= _of_normaliser(known, source.likelihood_facts())
            if details := passes[name].details():
                self.details[source.label, name] = details
            record = replace(record, floor=floors.get(name) or self._expected(passes[name]), **known)
            records.append(self._judged(record, values[name], passes[name].metric))
        return records

    def _expected(self, each: MetricPass) -> Floor | None:
        value = each.expected() if self.floors.repeats else None
        return None if value is None else Floor.expected(value)

    def _obstacles(
        self, source: Source, real: Split, train: Split | None, metrics: Metrics, named: bool
    ) -> dict[str, str]:
        found = {name: self._obstacle(metric, source, real, train, named) for name, metric in metrics.items()}
        return {name: reason for name, reason in found.items() if reason is not None}

    def _refuse(self, blocked: Sequence[Mapping[str, str]], sources: Sequence[Source]) -> None:
        """Raises ConfigError for a named metric that all sources have an obstacle to, with the first one's."""
        for name in self.metrics if self.named else ():
            if blocked and all(name in found for found in blocked):
                reason = blocked[0][name]
                raise ConfigError(f"metric={name} cannot score {sources[0].label}: {reason}")

    def _obstacle(
        self, metric: ProbeMetric, source: Source, real: Split, train: Split | None, named: bool
    ) -> str | None:
        """Reason why a metric cannot apply, as far as can be told before any work."""
        if reason := metric.unfit(self.spec):
            return f"it is defined on {reason}"
        if metric.uses_features and not self.prober.featured:
            return f"the features {self.features.id} are not made for {self.spec.kind.name} data of {self.spec.shape}"
        if "truth" in metric.requires and self.reference.density is None:
            return f"the exact density of {self.reference.name} is unknown"
        if "modes" in metric.requires and self.reference.modes is None:
            return f"{self.reference.name} has no known modes"
        if "grammar" in metric.requires and not isinstance(self.reference.density, Language):
            return f"no grammar says which examples of {self.reference.name} are valid"
        if "train" in metric.requires and train is None:
            return f"the training data of {source.label} is unknown: name it with data=…"
        if "logits" in metric.requires and not isinstance(self.features, Classifier):
            return f"the features {self.features.id} come from no classifier of such data"
        asked = [quantity for quantity in metric.requires if quantity in ("log_prob", "importance", "reconstruction")]
        spared = [] if named else [source.spares(quantity) for quantity in asked]
        return next((reason for reason in (*(source.lacks(q, real) for q in asked), *spared) if reason), None)

    def _blank(self, name: str, metric: ProbeMetric, source: Source, n_real: int) -> Record:
        likelihood, featured = "log_prob" in metric.requires, metric.uses_features
        return blank(
            name,
            metric,
            name=display_name(name, self.features.name if featured else None),
            source=source.label,
            reference=self.reference.facts(),
            seed=self.seed,
            n_fake=source.n if "fake" in metric.requires else None,
            drawn=source.drawn if "fake" in metric.requires else None,
            evaluations=source.evaluations if "fake" in metric.requires else None,
            seconds_per_1000=source.seconds_per_1000 if "fake" in metric.requires else None,
            n_ref=n_real if set(metric.requires) - OF_FAKES else None,
            kind=source.bound if likelihood else None,
            dequantisation=self._dequantisation_name(source) if likelihood else None,
            features=self.features.facts(self.spec) if featured else None,
            model=source.facts(self.reference.data.labels),
        )

    def _dequantisation_name(self, source: Source) -> str:
        none = not self.spec.kind.spreads or source.dequantisation == "none"
        return "none" if none else f"{source.dequantisation}, one draw per example"

    def _judged(self, record: Record, value: float | None, metric: ProbeMetric) -> Record:
        """The record with its value, its warnings and its status; `metric` has seen the data."""
        if value is None or not math.isfinite(value):
            return replace(record, status=NOT_FINITE, ci95=None, ci95_redrawn=None, bias_corrected=None)
        warnings = tuple(self._warnings(replace(record, value=value), metric))
        return replace(record, value=value, warnings=warnings, status="warn" if warnings else "ok")

    def _too_few(self, record: Record, metric: ProbeMetric) -> str | None:
        """Reason why the metric has no interval for so few rows."""
        counts = {"samples": record.n_fake, "reference examples": record.n_ref}
        known = {what: n for what, n in counts.items() if n is not None}
        return metric.too_few(known, self.features.dim(self.spec) if metric.uses_features else None)

    def _warnings(self, record: Record, metric: ProbeMetric) -> Iterator[str]:
        floor = record.floor
        if metric.uses_features and self.features.caution:
            yield self.features.caution
        if few := self._too_few(record, metric):
            yield few
        if record.value is not None:
            yield from metric.warnings(record.value, None if floor is None else floor.mean)
        if floor is None and metric.has_floor and self.floors.repeats and record.n_fake is not None:
            yield f"no floor: {self.floors.reason(metric, record.n_fake)}"


def _obstacles_met(records: Sequence[Record]) -> dict[str, str]:
    """By metric, why it did not score the source of these records."""
    return {r.metric: r.status.removeprefix(NOT_APPLICABLE) for r in records if r.status.startswith(NOT_APPLICABLE)}


def _of_normaliser(known: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    """The findings and notes of a likelihood with what is said of its normaliser."""
    caution = (facts["log_z_caution"],) if "log_z_caution" in facts else ()
    found = {key: value for key, value in facts.items() if key != "log_z_caution"}
    return {"findings": {**known["findings"], **found}, "notes": (*known["notes"], *caution)}


def _facts_of(each: MetricPass) -> dict[str, Any]:
    """The fields of a record that the metric itself says."""
    return {
        "params": each.params(),
        "findings": each.findings(),
        "notes": each.notes(),
        "bias_corrected": each.bias_corrected(),
        "time_s": each.seconds,
    }
