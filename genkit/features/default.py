"""The default features of each kind of data.

A feature network is made for one kind of data: the features of a classifier of handwritten digits say nothing about
pictures of clothes. So a network is used without a warning only for the data that names it (`Dataset.features`). For
other data of its shape it stands in: an asterisk marks its name, `fid[mnist*]`, and every score has a warning.

Pictures of any other size have the network of CIFAR-10, resized for it (`genkit.features.resized`), as a stand-in. The
networks of digits are never resized: they know strokes on a black ground and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator

from genkit.data.kinds import Categorical
from genkit.data.spec import DataSpec
from genkit.data.text.kind import Text
from genkit.features.base import FeatureExtractor
from genkit.features.classifier import PINNED, ClassifierFeatures
from genkit.features.ngrams import Ngrams
from genkit.features.raw import RawFeatures
from genkit.features.resized import ResizedFeatures
from genkit.features.stacked import StackedFeatures

PICTURES = "cifar"  # the shipped network that has seen photographs
PIXELS = "no feature network is known for this data: distances between pixels say little; name one with features="


def default_features(spec: DataSpec, own: str | None) -> FeatureExtractor:
    """The shipped network `own` that the data names, else a stand-in, else the standardised raw values.

    Text is compared by its n-grams, other tokens as they are: the distance between two sequences is then the number of
    places that differ.
    """
    if own is not None:
        named = (features for features in _shipped() if features.name == own)
        for features in (suited(features, spec) for features in named):
            if features.serves(spec):
                return features
    stand_ins = (*map(ClassifierFeatures, PINNED), ResizedFeatures(ClassifierFeatures(PICTURES)))
    for features in stand_ins:
        if features.serves(spec):
            return features.standing_in()
    if isinstance(spec.kind, Text):
        return Ngrams()
    raw = RawFeatures("none" if isinstance(spec.kind, Categorical) else "std")
    raw.caution = PIXELS if spec.drawing == "grid" else ""
    return raw


def suited(features: FeatureExtractor, spec: DataSpec) -> FeatureExtractor:
    """The features as they are, or of resized images where their network takes pictures of another size."""
    if isinstance(features, ClassifierFeatures) and not features.serves(spec):
        other = ResizedFeatures(features)
        return other if other.serves(spec) else features
    return features


def _shipped() -> Iterator[FeatureExtractor]:
    yield from map(ClassifierFeatures, PINNED)
    yield StackedFeatures()
