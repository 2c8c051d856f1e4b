"""What torch-fidelity's Inception-v3 makes of seeded weights: tests/nn/inception_peer.json.

    python -m pip install --no-deps --target PEER torch-fidelity==0.4.0
    PYTHONPATH=PEER:tests/nn python scripts/peer_inception.py > tests/nn/inception_peer.json

The peer's package imports torchvision, which its network does not need; so the package is put in place without being
run. Weights and images are those of tests/nn/inception_case.py. Of each tap the file holds some units and sums over all
units with several patterns of signs, which any other unit would change.
"""

import importlib
import importlib.util
import json
import sys
import tempfile
import types
from pathlib import Path

import torch
from inception_case import IMAGES, SMALL, fingerprint, image, seeded
from torch import Tensor

from genkit.nn.inception import TAPS


def peer() -> types.ModuleType:
    """torch_fidelity.feature_extractor_inceptionv3 without torch_fidelity/__init__.py."""
    found = importlib.util.find_spec("torch_fidelity")
    assert found is not None, "torch-fidelity is not on PYTHONPATH"
    package = types.ModuleType("torch_fidelity")
    package.__path__ = list(found.submodule_search_locations or ())
    sys.modules["torch_fidelity"] = package
    return importlib.import_module("torch_fidelity.feature_extractor_inceptionv3")


@torch.no_grad()
def main() -> None:
    module = peer()
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "weights.pth"
        torch.save(seeded().state_dict(), weights)
        net = module.FeatureExtractorInceptionV3("peer", list(TAPS), feature_extractor_weights_path=str(weights))
    resized = module.interpolate_bilinear_2d_like_tensorflow1x(image(*SMALL), size=(9, 9), align_corners=False)
    found = {
        f"{height}x{width}": dict(zip(TAPS, map(rounded, net(image(height, width).to(torch.uint8))), strict=True))
        for height, width in IMAGES
    }
    print(json.dumps({"taps": found, "resized": resized.flatten().tolist()}))


def rounded(tap: Tensor) -> list[float]:
    return [float(f"{value:.9g}") for value in fingerprint(tap)]


if __name__ == "__main__":
    main()
