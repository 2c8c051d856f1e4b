"""Which features a kind of data is scored in unless the user says otherwise."""

from __future__ import annotations

from collections.abc import Iterator

from genkit.data.spec import DataSpec
from genkit.metrics.features import PINNED, ClassifierFeatures, FeatureExtractor, RawFeatures
from genkit.metrics.stacked import StackedFeatures


def default_features(spec: DataSpec) -> FeatureExtractor:
    """The shipped network made for such data, else the raw values standardised by the reference."""
    return next((features for features in _shipped() if features.accepts(spec)), RawFeatures("std"))


def _shipped() -> Iterator[FeatureExtractor]:
    yield from map(ClassifierFeatures, PINNED)
    yield StackedFeatures()
