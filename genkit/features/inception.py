"""Features of Inception-v3 (2015-12-05), in which published FIDs are measured; `fid` then stands without brackets.

The weights (96 MB) are not shipped. They are looked for at `features.weights=FILE`, in the file or folder
`$GENKIT_WEIGHTS`, and in the cache; nothing is downloaded. A file with another sha256 is refused.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from genkit.data.kinds import Quantised, Real
from genkit.data.spec import DataSpec
from genkit.errors import DataError
from genkit.features.base import Classifier
from genkit.features.network import NetworkFeatures, intensities
from genkit.features.weight_files import find_weights
from genkit.nn.inception import InceptionV3

FILE = "pt_inception-2015-12-05-6726825d.pth"
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
SOURCE = "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/" + FILE
DIMS = {"64": 64, "192": 192, "768": 768, "2048": 2048}

Tap = Literal["64", "192", "768", "2048"]


class InceptionFeatures(NetworkFeatures, Classifier):
    """One layer of Inception-v3, after TensorFlow 1's resize to 299x299; grey images are repeated to three channels.

    References:
        GANs Trained by a Two Time-Scale Update Rule … (Heusel et al., 2017), 1706.08500.

    Args:
        layer: By its width; published FIDs use 2048.
        weights: The published file; None looks in $GENKIT_WEIGHTS and in the cache.

    Raises:
        DataError: the weights are nowhere to be found, or not the published ones.
    """

    modalities = ("image",)
    kinds = (Quantised, Real)
    normalize = "none"
    costly = True
    at_once = 64

    def __init__(self, layer: Tap = "2048", weights: str | None = None) -> None:
        self.layer = layer
        self.name = "inception" if layer == "2048" else f"inception{layer}"
        self.id = f"inception/{layer}@{SHA256[:8]}/tf1-resize"
        self.net = loaded(find_weights("inception", FILE, f"sha256 {SHA256}, {SOURCE}", weights))

    def accepts(self, spec: DataSpec) -> bool:
        return spec.shape[0] in (1, 3) and spec.value_range is not None

    def dim(self, spec: DataSpec) -> int:
        return DIMS[self.layer]

    def __call__(self, x: Tensor, spec: DataSpec) -> Tensor:
        return self._tap(self.layer, x, spec).to(torch.float64)

    def logits(self, x: Tensor, spec: DataSpec) -> Tensor:
        """Without the head's bias, as published Inception scores have it."""
        return self._tap("logits_unbiased", x, spec)

    def _tap(self, name: str, x: Tensor, spec: DataSpec) -> Tensor:
        return self.asked(lambda v: self.net(v)[name], bytes_of(x, spec))


def bytes_of(x: Tensor, spec: DataSpec) -> Tensor:
    """Model values (B, C, H, W) as float32 0 … 255 with three channels, whole numbers as in a file."""
    v = (255.0 * intensities(x, spec)).round()
    return v.expand(-1, 3, -1, -1)


def loaded(path: Path, sha256: str = SHA256) -> InceptionV3:
    """The network with the weights of a file. Raises DataError for a file that is not the published one."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while chunk := file.read(2**20):
                digest.update(chunk)
    except OSError as error:
        raise DataError(f"features.weights={path}: cannot be read ({error.strerror})") from error
    if digest.hexdigest() != sha256:
        raise DataError(
            f"features.weights={path}: its sha256 is {digest.hexdigest()[:8]}…, not {sha256[:8]}…: fetch it again"
        )
    with torch.device("meta"):  # what the file holds takes the place of every parameter
        net = InceptionV3().eval()
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        missing, unknown = net.load_state_dict(state, strict=False, assign=True)
    except Exception as error:  # torch raises an error of pickle's, a module that nothing here imports
        raise DataError(f"features.weights={path}: no weights of Inception-v3 ({type(error).__name__})") from error
    if unknown or any(not key.endswith("num_batches_tracked") for key in missing):
        raise DataError(f"features.weights={path}: other parameters than Inception-v3's")
    return net
