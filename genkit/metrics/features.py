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

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from copy import copy
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from safetensors.torch import load
from torch import Tensor, nn

from genkit.component import Component
from genkit.data.kinds import KINDS, Categorical, Quantised
from genkit.data.spec import DataSpec, Takes
from genkit.errors import ConfigError, DataError

WEIGHTS = Path(__file__).parent / "weights"
MOST_COORDINATES = 2**14  # of one-hot tokens: a bank of 10,000 examples then takes 1.3 GB
DEAD = 1e-2  # units whose standard deviation is below this fraction of the median one are left out

# name -> sha256 of NAME.safetensors and of NAME.json
PINNED = {
    "digits": (
        "3c46c1cead5d77d048a89be49c53563f4dee0531b24583fe9ef6dc5366e47c40",
        "d98a717c31c4d5d43317aa13bff3c33ededecc8092a083d3eddb7d73aabbfc87",
    ),
    "mnist": (
        "3cad7dba47b887871acda4161be9727ac677a1b2bb07e9dd2b46ccf2665070b1",
        "934508e67f2a0d7e99b1024954a52712a56b6f0382aab466ea7a13b86094755d",
    ),
    "cifar": (
        "8749e293b129d9c4b669462bdae43c8dd0c30c748df9da7820efbe1cd8152f3f",
        "c9ed787fd2518c0be4540c98110f0ddca3314d79a4e0fc23ea15f78807f4e0e4",
    ),
}


def unit_range(x: Tensor, spec: DataSpec) -> Tensor:
    """Model values (B, *shape) to v / (levels − 1) in [0, 1], v the stored level, float64; continuous data as is.

    Tokens become (B, *shape, count), one-hot.
    """
    return spec.kind.coordinates(spec.unscale(x))


class FeatureNet(nn.Module):
    """A small classifier: (convolution, ReLU, maybe 2x2 max-pooling)*, linear to F, ReLU, linear to classes.

    Args:
        shape: One example (C, H, W).
        blocks: Per convolution (channels, kernel size, whether pooling follows).
        dim: F, the width of the feature layer.
        num_classes: K.
    """

    def __init__(
        self, shape: Sequence[int], blocks: Sequence[tuple[int, int, bool]], dim: int, num_classes: int
    ) -> None:
        super().__init__()
        channels, size = shape[0], shape[1]
        layers: list[nn.Module] = []
        for width, kernel, pool in blocks:
            layers += [nn.Conv2d(channels, width, kernel, padding=kernel // 2), nn.ReLU()]
            if pool:
                layers.append(nn.MaxPool2d(2))
            channels, size = width, size // 2 if pool else size
        self.trunk = nn.Sequential(*layers)
        self.fc = nn.Linear(channels * size * size, dim)
        self.head = nn.Linear(dim, num_classes)

    def features(self, x: Tensor) -> Tensor:
        """(B, C, H, W) in [0, 1] to (B, F), before the ReLU."""
        return self.fc(self.trunk(x).flatten(1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) in [0, 1] to logits (B, K)."""
        return self.head(torch.relu(self.features(x)))


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
        looks_at: How many examples of the reference `fitted` looks at, the first ones; None for all.
    """

    name: str
    id: str
    normalize: str
    caution: str = ""
    stand_in: bool = False
    costly: ClassVar[bool] = False
    looks_at: ClassVar[int | None] = None

    @abstractmethod
    def accepts(self, spec: DataSpec) -> bool:
        """Whether these features are defined on data of this shape, given one of their modalities and kinds."""

    def serves(self, spec: DataSpec) -> bool:
        """Whether these features are defined on such data."""
        return self.unfit(spec) is None and self.accepts(spec)

    @abstractmethod
    def dim(self, spec: DataSpec) -> int:
        """F."""

    @abstractmethod
    def __call__(self, x: Tensor, spec: DataSpec) -> Tensor:
        """Model values (B, *spec.shape) to features (B, F) float64; a row depends on its example alone."""

    def fitted(self, x: Tensor, spec: DataSpec) -> "FeatureExtractor":
        """The extractor with the statistics of the reference x (N, *spec.shape); default itself."""
        return self

    def standing_in(self) -> "FeatureExtractor":
        """The same features for data that they were not made for: named so, with a caution."""
        other = copy(self)
        other.name, other.stand_in = f"{self.name}*", True
        other.caution = (
            f"{other.name}: features of a network made for {self.name}, which stand in for want of one made for this "
            f"data: features={self.name} if it is the same data, or name others"
        )
        return other

    def facts(self, spec: DataSpec) -> dict[str, Any]:
        """What one must know to compare two scores."""
        facts = {"id": self.id, "normalize": self.normalize, "dim": self.dim(spec), "quantize": spec.levels}
        return facts | ({"stand_in": True} if self.stand_in else {})


class Classifier(ABC):
    """A feature network that also knows the classes of the data."""

    @abstractmethod
    def logits(self, x: Tensor, spec: DataSpec) -> Tensor:
        """Model values (B, *spec.shape) to class scores (B, K)."""


def pinned(path: Path, sha256: str) -> bytes:
    """The bytes of a shipped file. Raises DataError where it is absent or not the pinned one."""
    if not path.is_file():
        raise DataError(f"{path} is missing: reinstall genkit, or run scripts/build_features.py")
    content = path.read_bytes()
    if (found := hashlib.sha256(content).hexdigest()) != sha256:
        raise DataError(f"{path} has sha256 {found[:8]}…, not the pinned {sha256[:8]}…: reinstall genkit")
    return content


class ClassifierFeatures(FeatureExtractor, Classifier):
    """The standardised live units of a shipped classifier's penultimate layer, before its ReLU.

    Args:
        name: "digits" (8x8, 17 levels), "mnist" (28x28, 256 levels) or "cifar" (3x32x32, 256 levels).

    Raises:
        ConfigError: there is no such network.
        DataError: its files are missing or altered.
    """

    modalities = ("image",)
    kinds = (Quantised,)
    normalize = "std_train"
    costly = True

    def __init__(self, name: str) -> None:
        if name not in PINNED:
            raise ConfigError(f"features.name={name}: the shipped networks are {', '.join(PINNED)}")
        weights_sha, facts_sha = PINNED[name]
        weights = load(pinned(WEIGHTS / f"{name}.safetensors", weights_sha))
        sidecar = json.loads(pinned(WEIGHTS / f"{name}.json", facts_sha))
        recipe = sidecar["recipe"]
        self.name, self.id = name, f"{name}/{sidecar['layer']}@{weights_sha[:8]}"
        self.accuracy: float = sidecar["accuracy"]
        self.shape, self.levels = tuple(recipe["shape"]), recipe["levels"]
        self.net = FeatureNet(recipe["shape"], recipe["blocks"], recipe["dim"], recipe["num_classes"]).eval()
        self.net.load_state_dict(weights)
        self.live = torch.tensor(sidecar["mask"])
        self.mean = torch.tensor(sidecar["mean"], dtype=torch.float64)[self.live]
        self.sd = torch.tensor(sidecar["sd"], dtype=torch.float64)[self.live]

    def accepts(self, spec: DataSpec) -> bool:
        return spec.shape == self.shape and spec.kind.count == self.levels

    def dim(self, spec: DataSpec) -> int:
        return int(self.live.sum())

    @torch.no_grad()
    def __call__(self, x: Tensor, spec: DataSpec) -> Tensor:
        f = self.net.features(unit_range(x.cpu(), spec).to(torch.float32))
        return (f.to(torch.float64)[:, self.live] - self.mean) / self.sd

    @torch.no_grad()
    def logits(self, x: Tensor, spec: DataSpec) -> Tensor:
        """Class scores (B, K) of the same classifier."""
        return self.net(unit_range(x.cpu(), spec).to(torch.float32))


class RawFeatures(FeatureExtractor):
    """The flattened values themselves, one-hot where they are tokens.

    Discrete data has one unit for all its values, so a pixel that hardly varies in the reference is divided by no less
    than 1 % of the largest standard deviation; a constant value of continuous data is only centred.

    Args:
        normalize: "std": standardised by the mean and standard deviation of the reference. "none": as they are; float64
            input stays float64.
    """

    modalities = ("image", "vector", "sequence")
    kinds = KINDS
    name = "raw"

    def __init__(self, normalize: str = "std") -> None:
        if normalize not in ("std", "none"):
            raise ConfigError(f"features.normalize={normalize}: it is std or none")
        self.normalize, self.id = normalize, f"raw/{normalize}"
        self.mean = torch.zeros((), dtype=torch.float64)
        self.sd: Tensor | None = None

    def accepts(self, spec: DataSpec) -> bool:
        return self.dim(spec) <= MOST_COORDINATES or not isinstance(spec.kind, Categorical)

    def dim(self, spec: DataSpec) -> int:
        return spec.dim * spec.kind.count if isinstance(spec.kind, Categorical) else spec.dim

    def fitted(self, x: Tensor, spec: DataSpec) -> Self:
        if self.normalize == "none":
            return self
        values = unit_range(x, spec).flatten(1)
        other = copy(self)
        sd = values.std(0, correction=0)
        sd = sd.clamp(min=DEAD * float(sd.max())) if spec.kind.has_mass else sd
        other.mean, other.sd = values.mean(0), torch.where(sd > 0, sd, 1.0)
        return other

    def __call__(self, x: Tensor, spec: DataSpec) -> Tensor:
        values = unit_range(x.cpu(), spec).flatten(1)
        if self.normalize == "none":
            return values
        if self.sd is None:
            raise ConfigError("raw features with normalize=std are fitted on a reference first, see `fitted`")
        return (values - self.mean) / self.sd
