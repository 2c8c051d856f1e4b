"""A network of the user's as a feature space.

    genkit eval ckpt=… metric=fid features=custom features.net={_target_:my_features.Net} plugins=[my_features]

The network is a `torch.nn.Module` that takes float32 values in [0, 1], (B, *shape), and gives (B, F). Its id
carries the sha256 of its weights and of its source, so that scores of different networks are never compared. Before it
is used it is tried on two examples: shape, finite values, and that a row does not depend on the rest of its batch.
"""

from __future__ import annotations

import hashlib
import inspect
from pathlib import Path
from typing import Self

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from genkit.data.spec import DataSpec
from genkit.errors import ConfigError, DataError
from genkit.features.base import RealData, unit_range
from genkit.features.network import NetworkFeatures
from genkit.models.density import model_values
from genkit.storage.regular import read_regular

LARGEST = 2**33  # bytes of a file of weights


class CustomFeatures(NetworkFeatures):
    """The output of a network that the user names.

    Args:
        net: The network.
        name: What stands beside a score, `fid[name]`.
        weights: A safetensors file with its state; None where the constructor sets it.

    Raises:
        ConfigError: no network was named, or it does not give rows of features.
        DataError: the file cannot be read or does not fit.
    """

    normalize = "none"

    def __init__(self, net: nn.Module | None = None, name: str = "custom", weights: str | None = None) -> None:
        if net is None:
            raise ConfigError(
                "features=custom: name your network with features.net={_target_:MODULE.CLASS} plugins=[MODULE]"
            )
        if weights is not None:
            load_weights(net, Path(weights).expanduser())
        self.net, self.name = net.eval(), name
        self.id = f"{name}/{type(net).__name__}@{digest_of(net)[:8]}"
        self._dim = 0

    def accepts(self, spec: DataSpec) -> bool:
        return True

    def dim(self, spec: DataSpec) -> int:
        return self._dim

    def fitted(self, real: RealData) -> Self:
        """Tried on two examples of the reference."""
        spec = real.spec
        x = model_values(real.reference.between(0, min(2, len(real.reference))).x, spec)
        two = self._features(x[:2], spec)
        if two.ndim != 2 or len(two) != len(x[:2]):
            raise ConfigError(f"features.net: it gives {tuple(two.shape)} for 2 examples; give (2, F)")
        if not torch.isfinite(two).all():
            raise ConfigError("features.net: its features of real data are not finite")
        alone = self._features(x[:1], spec)
        if not torch.allclose(alone[0], two[0], rtol=1e-3, atol=1e-4 * float(two.abs().max())):
            raise ConfigError("features.net: the features of an example depend on its batch; normalise per example")
        self._dim = two.shape[1]
        return self

    def __call__(self, x: Tensor, spec: DataSpec) -> Tensor:
        return self._features(x, spec).to(torch.float64)

    def _features(self, x: Tensor, spec: DataSpec) -> Tensor:
        try:
            return self.asked(self.net, unit_range(x.cpu(), spec).to(torch.float32))
        except (RuntimeError, ValueError, IndexError, TypeError, AttributeError) as error:
            line = str(error).splitlines()[0]
            raise ConfigError(f"features.net: it fails on examples of shape {spec.shape}: {line}") from error


def load_weights(net: nn.Module, path: Path) -> None:
    """Raises DataError for a file that cannot be read or does not fit."""
    try:
        net.load_state_dict(load(read_regular(path, LARGEST, advice="name another file with features.weights=")))
    except (OSError, SafetensorError, RuntimeError) as error:
        line = " ".join(str(error).split())[:200]
        raise DataError(f"features.weights={path}: no weights of {type(net).__name__} ({line})") from error


def digest_of(net: nn.Module) -> str:
    """sha256 of the source of a network's class and of its state."""
    digest = hashlib.sha256()
    try:
        digest.update(inspect.getsource(type(net)).encode())
    except (OSError, TypeError):  # typed into an interpreter
        digest.update(type(net).__qualname__.encode())
    for key, value in sorted(net.state_dict().items()):
        digest.update(f"{key} {tuple(value.shape)} {value.dtype}\n".encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
