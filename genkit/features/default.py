"""The default features of each kind of data.

A feature network is made for one kind of data: the features of a classifier of handwritten digits say nothing about
pictures of clothes. So a network is used without a warning only for the data that names it (`Dataset.features`). For
other data of its shape it stands in: an asterisk marks its name, `fid[mnist*]`, and every score has a warning.
"""

from __future__ import annotations

from collections.abc import Iterator

from genkit.data.kinds import Categorical
from genkit.data.spec import DataSpec
from genkit.features.base import FeatureExtractor
from genkit.features.classifier import PINNED, ClassifierFeatures
from genkit.features.raw import RawFeatures
from genkit.features.stacked import StackedFeatures

PIXELS = "no feature network is known for this data: distances between pixels say little; name one with features="


def default_features(spec: DataSpec, own: str | None) -> FeatureExtractor:
    """The shipped network `own` that the data names, else a stand-in of its shape, else the standardised raw values.

    Tokens are compared as they are: the distance between two sequences is then the number of places that differ.
    """
    fitting = {features.name: features for features in _shipped() if features.serves(spec)}
    if own in fitting:
        return fitting[own]
    if fitting:
        return next(iter(fitting.values())).standing_in()
    raw = RawFeatures("none" if isinstance(spec.kind, Categorical) else "std")
    raw.caution = PIXELS if spec.drawing == "grid" else ""
    return raw


def _shipped() -> Iterator[FeatureExtractor]:
    yield from map(ClassifierFeatures, PINNED)
    yield StackedFeatures()
