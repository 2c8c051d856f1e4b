"""Features of DINOv2, in which Fréchet distances follow what people see more closely than in Inception's.

The weights (a `model.safetensors` of facebook/dinov2-small, -base, -large or -giant, of which the large one is behind
published scores) are not shipped. They are looked for at `features.weights=FILE`, as `dinov2.safetensors` in
`$GENKIT_WEIGHTS` and in the cache; nothing is downloaded. The features' id carries the first digits of the file's
sha256, so that scores of different files are not compared. Images are brought to 224x224 by an antialiased cubic and
normalised as ImageNet's.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor
from torch.nn import functional as F

from genkit.data.kinds import Quantised, Real
from genkit.data.spec import DataSpec
from genkit.errors import DataError
from genkit.features.network import NetworkFeatures, intensities
from genkit.features.weight_files import find_weights
from genkit.nn.dinov2 import DINOv2, Sizes

FILE = "dinov2.safetensors"
SOURCE = "https://huggingface.co/facebook/dinov2-large/resolve/main/model.safetensors"
SIDE = 224
MEAN, SD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class DINOv2Features(NetworkFeatures):
    """The class token of DINOv2; grey images are repeated to three channels.

    References:
        Exposing flaws of generative model evaluation metrics … (Stein et al., 2023), 2306.04675.

    Args:
        weights: The published file; None looks in $GENKIT_WEIGHTS and in the cache.

    Raises:
        DataError: the weights are nowhere to be found, or no weights of DINOv2.
    """

    name = "dinov2"
    normalize = "none"
    modalities = ("image",)
    kinds = (Quantised, Real)
    costly = True
    at_once = 64

    def __init__(self, weights: str | None = None) -> None:
        self.net, self.sizes, digest = loaded(find_weights("dinov2", FILE, SOURCE, weights))
        self.id = f"dinov2/cls{self.sizes.width}@{digest[:8]}/{SIDE}-bicubic"

    def accepts(self, spec: DataSpec) -> bool:
        return spec.shape[0] in (1, 3) and spec.value_range is not None

    def dim(self, spec: DataSpec) -> int:
        return self.sizes.width

    def __call__(self, x: Tensor, spec: DataSpec) -> Tensor:
        return self.asked(lambda v: self.net(prepared(v)), intensities(x, spec)).to(torch.float64)


def prepared(v: Tensor) -> Tensor:
    """Images (B, 1 or 3, H, W) in [0, 1] as the network takes them, (B, 3, 224, 224)."""
    v = F.interpolate(v.expand(-1, 3, -1, -1), size=(SIDE, SIDE), mode="bicubic", antialias=True)
    mean, sd = (torch.tensor(values, device=v.device).view(3, 1, 1) for values in (MEAN, SD))
    return (v - mean) / sd


def loaded(path: Path) -> tuple[DINOv2, Sizes, str]:
    """The network with the weights of a file, its sizes and the file's sha256. Raises DataError for another file."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"features.weights={path}: cannot be read ({error.strerror})") from error
    try:
        state = load(content)
        sizes = Sizes.of(state)
        with torch.device("meta"):  # what the file holds takes the place of every parameter
            net = DINOv2(sizes).eval()
        net.load_state_dict({name: value.float() for name, value in state.items()}, assign=True)
    except (SafetensorError, RuntimeError, KeyError, ValueError, IndexError) as error:
        line = " ".join(str(error).split())[:200]
        raise DataError(f"features.weights={path}: no weights of DINOv2 ({type(error).__name__}: {line})") from error
    return net, sizes, hashlib.sha256(content).hexdigest()
