"""Features of a small classifier that is shipped."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load
from torch import Tensor, nn

from genkit.data.kinds import Quantised
from genkit.data.spec import DataSpec
from genkit.errors import ConfigError, DataError
from genkit.features.base import Classifier
from genkit.features.network import NetworkFeatures, intensities

WEIGHTS = Path(__file__).parent / "weights"


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
        channels, height, width = shape
        layers: list[nn.Module] = []
        for wide, kernel, pool in blocks:
            layers += [nn.Conv2d(channels, wide, kernel, padding=kernel // 2), nn.ReLU()]
            channels = wide
            if pool:
                layers.append(nn.MaxPool2d(2))
                height, width = height // 2, width // 2
        self.trunk = nn.Sequential(*layers)
        self.fc = nn.Linear(channels * height * width, dim)
        self.head = nn.Linear(dim, num_classes)

    def features(self, x: Tensor) -> Tensor:
        """(B, C, H, W) in [0, 1] to (B, F), before the ReLU."""
        return self.fc(self.trunk(x).flatten(1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) in [0, 1] to logits (B, K)."""
        return self.head(torch.relu(self.features(x)))


def pinned(path: Path, sha256: str) -> bytes:
    """The bytes of a shipped file. Raises DataError where it is absent or not the pinned one."""
    if not path.is_file():
        raise DataError(f"{path} is missing: reinstall genkit, or run scripts/build_features.py")
    content = path.read_bytes()
    if (found := hashlib.sha256(content).hexdigest()) != sha256:
        raise DataError(f"{path} has sha256 {found[:8]}…, not the pinned {sha256[:8]}…: reinstall genkit")
    return content


class ClassifierFeatures(NetworkFeatures, Classifier):
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
    net: FeatureNet

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

    def __call__(self, x: Tensor, spec: DataSpec) -> Tensor:
        return self.features_of(intensities(x, spec))

    def logits(self, x: Tensor, spec: DataSpec) -> Tensor:
        """Class scores (B, K) of the same classifier."""
        return self.logits_of(intensities(x, spec))

    def features_of(self, v: Tensor) -> Tensor:
        """Images v (B, *shape) in [0, 1], float32, to features (B, F) float64."""
        f = self.asked(self.net.features, v)
        return (f.to(torch.float64)[:, self.live] - self.mean) / self.sd

    def logits_of(self, v: Tensor) -> Tensor:
        """Images v (B, *shape) in [0, 1], float32, to class scores (B, K)."""
        return self.asked(self.net, v)
