r"""Feature spaces: where two sets of data are compared.

A distance between distributions is measured between features f(x) of their examples. What the features are decides what
the distance sees, and distances of different features cannot be compared; so every feature space has an `id`, and
every score carries it. Before anything else, values are brought to what will be stored of a sample, and that to
coordinates whose distances mean something (`kind.coordinates`): levels to [0, 1] = v / (levels − 1), tokens to one-hot.

* `ClassifierFeatures`: the penultimate layer, before its ReLU, of a small shipped classifier. After the ReLU a quarter
  of the units is dead, before it all of them speak. Each unit is standardised, z = (f − m) / s, by the mean and
  standard deviation over the classifier's own training data, stored with the weights: unstandardised Fréchet distances
  of equally good classifiers differ by a factor of 600. A unit with s below 1 % of the median s is left out: divided by
  almost nothing, it alone would be the distance.
* `RawFeatures`: the values themselves, standardised by the reference's statistics or not at all.

The weights are pinned: a file whose sha256 is not the one written here is refused. `scripts/build_features.py` makes
them. Fréchet distance of features: Heusel et al. 2017 (1706.08500); a classifier of the very data: Bińkowski et al.
2018 (1801.01401, LeNet on MNIST).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from genkit.component import Component
from genkit.data.kinds import Categorical
from genkit.data.spec import DataSpec, Takes
from genkit.data.split import Split
from genkit.models.density import model_values

FITTED_AT_ONCE = 2**25  # bytes of coordinates, float64, that are looked at together
MOST_COORDINATES = 2**14  # of one-hot tokens: 10,000 examples then take 1.3 GB


def unit_range(x: Tensor, spec: DataSpec) -> Tensor:
    """Model values (B, *shape) to v / (levels − 1) in [0, 1], v the stored level, float64; continuous data as is.

    Tokens become (B, *shape, count), one-hot.
    """
    return spec.kind.coordinates(spec.unscale(x))


@dataclass(frozen=True, eq=False)
class RealData:
    """The real data of an evaluation, to which features may be fitted.

    Attributes:
        spec: The data.
        reference: Held-out examples, those that samples are compared with.
        train: Training examples; None where only a file is there.
    """

    spec: DataSpec
    reference: Split
    train: Split | None = None

    def coordinates(self) -> Iterator[Tensor]:
        """All of the reference in turn as rows (B, D) float64, see `unit_range`; a bounded number at a time."""
        rows = max(1, FITTED_AT_ONCE // (8 * coordinates_of(self.spec)))
        for chunk in self.reference.chunks(rows):
            yield unit_range(model_values(chunk.x, self.spec), self.spec).flatten(1)


class FeatureExtractor(Component, Takes, ABC):
    """Data to features (B, F) float64.

    Attributes:
        modalities, kinds: Data on which they are defined, see `Takes`.
        name: What stands beside a score, `fid[name]`.
        id: name/layer, and for shipped weights @ the first eight digits of their sha256.
        costly: Whether reading them from a disk is faster than computing them.
        normalize: "std_train" (stored statistics), "std" (the reference's) or "none".
        caution: What to beware of in every score with them; empty where nothing.
        stand_in: Whether they were made for other data of the same shape.
    """

    name: str
    id: str
    normalize: str
    caution: str = ""
    stand_in: bool = False
    costly: ClassVar[bool] = False

    @abstractmethod
    def accepts(self, spec: DataSpec) -> bool:
        """Tell whether these features are defined on data of this shape, given one of their modalities and kinds."""

    def serves(self, spec: DataSpec) -> bool:
        """Tell whether these features are defined on such data."""
        return self.unfit(spec) is None and self.accepts(spec)

    @abstractmethod
    def dim(self, spec: DataSpec) -> int:
        """F."""

    @abstractmethod
    def __call__(self, x: Tensor, spec: DataSpec) -> Tensor:
        """Model values (B, *spec.shape) to features (B, F) float64; a row depends on its example alone."""

    def fitted(self, real: RealData) -> "FeatureExtractor":
        """The extractor with what it takes from real data; default itself."""
        return self

    def to(self, device: torch.device) -> Self:
        """The same features, computed on a device if a network computes them; values and features stay on the CPU."""
        return self

    def standing_in(self) -> "FeatureExtractor":
        """The same features for data that they were not made for: named so, with a caution."""
        other = copy(self)
        other.name, other.stand_in = f"{self.name}*", True
        other.caution = (
            f"{other.name}: the network of these features is made for {self.name}, and none is made for this data: "
            f"give features={self.name} if it is the same data, or other features"
        )
        return other

    def facts(self, spec: DataSpec) -> dict[str, Any]:
        """The settings that must be equal for two scores to be compared."""
        facts = {"id": self.id, "normalize": self.normalize, "dim": self.dim(spec), "quantize": spec.levels}
        return facts | ({"stand_in": True} if self.stand_in else {})


def coordinates_of(spec: DataSpec) -> int:
    """The number of coordinates of an example, see `unit_range`."""
    return spec.dim * spec.kind.count if isinstance(spec.kind, Categorical) else spec.dim


class Classifier(ABC):
    """A feature network that also knows the classes of the data."""

    @abstractmethod
    def logits(self, x: Tensor, spec: DataSpec) -> Tensor:
        """Model values (B, *spec.shape) to class scores (B, K)."""
