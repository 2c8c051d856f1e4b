"""What the metrics see: batches of real data and of fakes, everything about them lazy.

Nothing here depends on the size of a batch: features and log-densities of an example are its own, and the
dequantisation noise of a real example is a function of (seed, its number).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, cached_property, partial

import torch
from torch import Tensor

from genkit.data.dataset import Split
from genkit.metrics.base import Probe
from genkit.metrics.features import Classifier, FeatureExtractor
from genkit.metrics.reference import Reference
from genkit.metrics.source import Quantity, Source, dequantisation_noise, model_values


class Prober:
    """Probes of real data and of fakes; the features of the reference are computed once and kept.

    Args:
        reference: Held-out real data.
        features: The feature space; fitted to the reference here if it needs to be.
        batch_size: Examples in one probe.
        seed: Of samples and dequantisation.
    """

    def __init__(self, reference: Reference, features: FeatureExtractor, batch_size: int, seed: int) -> None:
        self.reference, self.spec = reference, reference.spec
        self.batch_size, self.seed = batch_size, seed
        self.featured = features.accepts(self.spec)
        self.features = features
        if self.featured:
            self.features = features.fitted(model_values(reference.data.x, self.spec), self.spec)

    def real(self, real: Split, source: Source) -> Iterator[Probe]:
        """Real data, with what `source` can say about it."""
        for start in range(0, len(real), self.batch_size):
            indices = range(start, min(start + self.batch_size, len(real)))
            batch = real[torch.arange(indices.start, indices.stop)]
            x = model_values(batch.x, self.spec)
            quantities = self._shared("real", x, batch.y)
            if self.featured and real.x is self.reference.data.x:
                quantities["real_features"] = partial(self._slice_of_reference, indices)
            if (density := self.reference.density) is not None:
                quantities["truth"] = partial(density.log_prob, x)
            quantities |= source.answers(x, partial(self._dequantised, x, indices), batch.y)
            if self.featured and (reconstruct := quantities.get("reconstruction")) is not None:
                quantities["reconstruction"] = once = cache(reconstruct)
                quantities["reconstruction_features"] = partial(self._features_of_stored, once)
            yield Probe(self.spec, quantities)

    def train(self, train: Split) -> Iterator[Probe]:
        """What a model may have copied."""
        for index in torch.arange(len(train)).split(self.batch_size):
            batch = train[index]
            yield Probe(self.spec, self._shared("train", model_values(batch.x, self.spec), batch.y))

    def fake(self, source: Source) -> Iterator[Probe]:
        """The fakes of `source`."""
        for v, y in source.fakes(self.spec, self.seed, self.batch_size):
            yield Probe(self.spec, self._shared("fake", model_values(v, self.spec), y))

    def _shared(self, side: str, x: Tensor, y: Tensor | None) -> dict[str, Quantity]:
        """What both sides have: values, labels, features, and the known modes of the data."""
        quantities: dict[str, Quantity] = {side: lambda: x}
        if y is not None:
            quantities[f"{side}_y"] = lambda: y
        if self.featured:
            quantities[f"{side}_features"] = partial(self.features, x, self.spec)
            if isinstance(self.features, Classifier):
                quantities[f"{side}_logits"] = partial(self.features.logits, x, self.spec)
        if (modes := self.reference.modes) is not None:
            quantities["centres"] = lambda: modes.centres
            quantities["std"] = lambda: torch.tensor(modes.std)
        return quantities

    def _features_of_stored(self, make: Quantity) -> Tensor:
        """(B, F) of the values that would be stored: clipped and rounded to the data's levels."""
        return self.features(model_values(self.spec.unscale(make()), self.spec), self.spec)

    def _slice_of_reference(self, indices: range) -> Tensor:
        return self._reference_features[indices.start : indices.stop]

    @cached_property
    def _reference_features(self) -> Tensor:
        """(N, F) of the whole reference, for every source and every floor."""
        parts = self.reference.data.x.split(self.batch_size)
        return torch.cat([self.features(model_values(part, self.spec), self.spec) for part in parts])

    def _dequantised(self, x: Tensor, indices: range) -> Tensor:
        if self.spec.levels is None:
            return x
        return self.spec.dequantise(x, dequantisation_noise(self.seed, indices, self.spec.shape))
