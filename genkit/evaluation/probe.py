"""The view that metrics have of batches of real data and of fakes, everything computed on demand.

Nothing here depends on the size of a batch: features and log-densities of an example are its own, and what is drawn
to score a real example is a function of (seed, its number or its values).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import cache, partial
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from genkit.data.languages import Language
from genkit.data.order import canonical_order
from genkit.data.split import Split, Subset
from genkit.data.text.sliding import sliding
from genkit.data.text.token_rows import Windows
from genkit.evaluation.cache import Cache, name_of
from genkit.evaluation.metric_pass import MetricPass
from genkit.evaluation.processes import gather, share
from genkit.evaluation.reference import Reference
from genkit.evaluation.source import Quantity, SampleSource, Source
from genkit.features.base import Classifier, FeatureExtractor, RealData
from genkit.features.default import suited
from genkit.metrics.base import Probe
from genkit.models.density import model_values, padded
from genkit.ranks import in_turn

PICTURED = 12  # samples of each source that are kept for pictures
KEPT = 2**28  # bytes of features beyond which those of a split lie in a file, if they are costly, or are not kept
OF_FAKES = {"fake", "modes", "logits", "train", "grammar"}  # what a metric may ask for that looks at no held-out data


class Prober:
    """Probes of real data and of fakes; the features of the reference are computed once and kept.

    Args:
        reference: Held-out real data.
        features: The feature space; fitted to the reference here if it needs to be.
        batch_size: Examples in one probe.
        seed: Of samples, dequantisation and the draws of estimates.
        cache: Where costly features of the reference are kept between processes.
        device: Where a feature network computes; None leaves it where it is.
    """

    def __init__(
        self,
        reference: Reference,
        features: FeatureExtractor,
        batch_size: int,
        seed: int,
        cache: Cache,
        device: torch.device | None = None,
    ) -> None:
        self.reference, self.spec, self.cache = reference, reference.spec, cache
        self.batch_size, self.seed = batch_size, seed
        features = suited(features, self.spec)
        self.featured = features.serves(self.spec)
        self.features = features if device is None else features.to(device)
        self.first_fakes: dict[int, Tensor] = {}  # stored values (n, *shape) for pictures, by the id of their source
        self._features: dict[str, Tensor] = {}  # by the hash of a split's values
        self._latest: tuple[SampleSource, dict[int, Tensor]] | None = None
        self._lent: dict[str, Tensor] = {}  # likewise, for as long as somebody lends them
        if self.featured:
            with in_turn():
                self.features = self.features.fitted(RealData(self.spec, reference.data, reference.train))

    @property
    def identity(self) -> dict[str, Any]:
        """All that the features of an example depend on besides its values."""
        return {**self.features.facts(self.spec), "fitted_to": self.reference.hash}

    def feed(self, passes: Collection[MetricPass], source: Source, real: Split, train: Split | None) -> None:
        """All real data, then what a model may have copied, then all fakes, each only if a metric wants it."""
        wanted = {quantity for each in passes for quantity in each.metric.requires}
        probes: list[Iterator[Probe]] = []
        if wanted - OF_FAKES:
            probes.append(self.real(real, source))
        if "train" in wanted and train is not None:
            probes.append(self.train(train))
        if "fake" in wanted:
            probes.append(self.fake(source))
        for probe in chain.from_iterable(probes):
            for each in passes:
                each.take(probe)
        gather(passes)

    def _batches(self, n: int) -> Iterator[range]:
        """This process's share of n examples, in batches."""
        own = share(n)
        return (own[low : low + self.batch_size] for low in range(0, len(own), self.batch_size))

    def real(self, real: Split, source: Source) -> Iterator[Probe]:
        """Real data, with what `source` can say about it."""
        for indices in self._batches(len(real)):
            batch = real.take(torch.arange(indices.start, indices.stop))
            x = model_values(batch.x, self.spec)
            quantities = self._shared("real", x, batch.y)
            quantities |= self._known_features("real", real, indices)
            if (density := self.reference.density) is not None:
                quantities["truth"] = partial(density.log_prob, x)
            quantities |= source.answers(batch.x, batch.y, self.seed, indices.start)
            if isinstance(real, Windows) and source.scores_tokens:
                index = torch.arange(indices.start, indices.stop)
                quantities["token_log_prob"] = partial(self.token_log_prob, source, real, index)
            if self.featured and (reconstruct := quantities.get("reconstruction")) is not None:
                quantities["reconstruction"] = once = cache(reconstruct)
                quantities["reconstruction_features"] = partial(self._features_of_stored, once)
            yield Probe(self.spec, quantities)

    def token_log_prob(self, source: Source, real: Windows, index: Tensor, stride: int) -> Tensor:
        """(B, T) float64 nats of each token of windows side by side, by windows that slide over their documents.

        Args:
            source: One that scores tokens.
            real: The windows.
            index: (B,) which of them.
            stride: See `genkit.data.text.sliding`.
        """
        found = sliding(real, index, stride)
        parts = (slice(low, low + self.batch_size) for low in range(0, len(found.offset), self.batch_size))
        scored = [source.token_log_prob(real.at(found.document[part], found.offset[part]).x) for part in parts]
        return found.of_windows(torch.cat(scored).double())

    def train(self, train: Split) -> Iterator[Probe]:
        """Training data that a model may have copied."""
        for indices in self._batches(len(train)):
            batch = train.take(torch.arange(indices.start, indices.stop))
            quantities = self._shared("train", model_values(batch.x, self.spec), batch.y)
            yield Probe(self.spec, quantities | self._known_features("train", train, indices))

    def fake(self, source: Source) -> Iterator[Probe]:
        """The fakes of `source`."""
        like, own = self.reference.data.labels, share(source.n)
        low = own.start
        for v, y in source.fakes(self.spec, self.seed, self.batch_size, own, like):
            x = model_values(v, self.spec)
            if low == 0:
                self.first_fakes[id(source)] = v[:PICTURED].clone()
            quantities = self._shared("fake", x, y)
            if isinstance(language := self.reference.density, Language):
                quantities["grammar"] = partial(language.valid, v)
            if self.featured and isinstance(source, SampleSource):
                quantities["fake_features"] = partial(self._features_of_file, source, low, x)
            low += len(v)
            yield Probe(self.spec, quantities)

    def _features_of_file(self, source: SampleSource, low: int, x: Tensor) -> Tensor:
        """Those of samples from `low` on; the last source's are kept, since a file is scored against several parts."""
        if (lent := self._lent_of(source.samples)) is not None:
            return lent[low : low + len(x)]
        if self._latest is None or self._latest[0] is not source:
            self._latest = source, {}
        kept = self._latest[1]
        if low not in kept:
            found = self.features_at(x)
            if found.nbytes * (len(kept) + 1) > KEPT:
                return found
            kept[low] = found
        return kept[low]

    @contextmanager
    def lending(self, *known: tuple[Split, Tensor]) -> Iterator[None]:
        """Features (N, F) of splits that are known already, reused when these splits are needed."""
        self._lent = {split.values_hash: features for split, features in known}
        try:
            yield
        finally:
            self._lent = {}

    def _lent_of(self, split: Split) -> Tensor | None:
        return self._lent.get(split.values_hash) if self._lent else None

    def _shared(self, side: str, x: Tensor, y: Tensor | None) -> dict[str, Quantity]:
        """Quantities of both sides: values, labels, features, and the known modes of the data."""
        quantities: dict[str, Quantity] = {side: lambda: x}
        if y is not None:
            quantities[f"{side}_y"] = lambda: y
        if self.featured:
            quantities[f"{side}_features"] = partial(self.features_at, x)
            if isinstance(self.features, Classifier):
                logits = self.features.logits
                quantities[f"{side}_logits"] = lambda: padded(lambda x, _: logits(x, self.spec), x, None)
        if (modes := self.reference.modes) is not None:
            quantities["centres"] = lambda: modes.centres
            quantities["std"] = lambda: torch.tensor(modes.std)
        return quantities

    def _features_of_stored(self, make: Quantity) -> Tensor:
        """(B, F) of the values that would be stored: clipped and rounded to the data's levels."""
        return self.features_at(model_values(self.spec.unscale(make()), self.spec))

    def features_at(self, x: Tensor) -> Tensor:
        """(B, F) of model values (B, *shape); those of an example do not depend on the others."""
        return padded(lambda x, _: self.features(x, self.spec), x, None)

    def _known_features(self, side: str, split: Split, indices: range) -> dict[str, Quantity]:
        """The features of the reference and of its training data are computed once, for every source."""
        if (lent := self._lent_of(split)) is not None:
            return {f"{side}_features": partial(_rows_of, lent, indices)}
        lasting = [self.reference.data, *([] if self.reference.train is None else [self.reference.train])]
        if not self.featured or not any(split is other for other in lasting):
            return {}
        if self._large(split) and not self.features.costly:
            return {}  # computed again, batch by batch, sooner than held
        return {f"{side}_features": lambda: self.features_of(split)[indices.start : indices.stop]}

    def features_of(self, split: Split) -> Tensor:
        """(N, F) of a whole split, from this process, from the cache, or computed."""
        if split.values_hash not in self._features:
            self._features[split.values_hash] = self._read_or_computed(split)
        return self._features[split.values_hash]

    def _read_or_computed(self, split: Split) -> Tensor:
        if not self.features.costly:
            return self._computed(split)
        if self._large(split) and (mapped := self._mapped(split)) is not None:
            return mapped
        order = canonical_order(split)  # so that a file of the same examples in another order has the same entry
        facts = {"spec": self.spec.to_json(), "features": self.identity, "data": Subset(split, order).values_hash}
        found = self.cache.read(entry := name_of("features", facts))
        if found is None:
            self.cache.write(entry, found := {"features": self._computed(split)[order]})
        return found["features"][order.argsort()]

    def _large(self, split: Split) -> bool:
        """Tell whether the features of a split are more than memory is given to."""
        return 8 * len(split) * self.features.dim(self.spec) > KEPT

    def _mapped(self, split: Split) -> Tensor | None:
        """(N, F) in a file of the cache; None where there is no cache."""
        facts = {"spec": self.spec.to_json(), "features": self.identity, "data": split.values_hash}
        shape = len(split), self.features.dim(self.spec)
        return self.cache.rows(name_of("rows", facts), shape, partial(self._parts, split))

    def _parts(self, split: Split) -> Iterator[Tensor]:
        return (self.features_at(model_values(chunk.x, self.spec)) for chunk in split.chunks(self.batch_size))

    def _computed(self, split: Split) -> Tensor:
        return torch.cat(list(self._parts(split)))


def _rows_of(features: Tensor, rows: range) -> Tensor:
    return features[rows.start : rows.stop]
