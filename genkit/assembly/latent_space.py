"""The latents of a model as vectors: encoded, drawn and decoded batch by batch, whatever ability they come from."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from genkit.models.base import Decoder, Encoder, GenerativeModel, NormalLatent
from genkit.models.latent_variable import LatentVariable
from genkit.noise import SampleNoise

Map = Callable[[Tensor, Tensor | None], Tensor]


class LatentSpace:
    """Latents (n, D) of a model that has a decoder, on the CPU.

    Attributes:
        encodes: Whether examples have latents; else they are drawn.
        normal: Whether latents of draws are standard normal.

    Args:
        model: On its device.
        batch_size: Rows at once.
    """

    def __init__(self, model: GenerativeModel, batch_size: int) -> None:
        self.model, self.batch_size = model, batch_size
        self.encodes = isinstance(model, Encoder) and isinstance(model, Decoder)
        self.normal = not self.encodes or isinstance(model, NormalLatent | LatentVariable)

    def encoded(self, x: Tensor, y: Tensor | None) -> Tensor:
        """The latents (n, D) of examples x (n, *shape) in model units, with labels y (n,) of a conditional model."""
        assert isinstance(self.model, Encoder)
        return self._mapped(self.model.encode, x, y).flatten(1)

    def drawn(self, n: int, y: Tensor | None, seed: int) -> Tensor:
        """Latents (n, D) of the model's own distribution, row i a function of (seed, i)."""
        noise, model = SampleNoise(seed, range(n)), self.model
        if isinstance(model, LatentVariable):
            return model.draw_latent(n, y=y, noise=noise).cpu()
        assert isinstance(model, NormalLatent)
        return noise(model.latent_dim)

    def decoded(self, z: Tensor, y: Tensor | None) -> Tensor:
        """The outputs (n, *shape) of latents (n, D), with labels y (n,) of a conditional model."""
        model = self.model
        if isinstance(model, Encoder):
            z = z.unflatten(1, model.latent_shape)
        if isinstance(model, Decoder):
            return self._mapped(model.decode, z, y)
        assert isinstance(model, LatentVariable)
        return self._mapped(model.from_latent, z, y)

    def _mapped(self, function: Map, x: Tensor, y: Tensor | None) -> Tensor:
        with torch.no_grad():
            return mapped(self.model, function, x, y, self.batch_size)


def mapped(model: GenerativeModel, function: Map, x: Tensor, y: Tensor | None, batch_size: int) -> Tensor:
    """`function` of x (n, …) and labels, batch by batch on the model's device; the result on the CPU."""
    device = next(iter(model.parameters())).device
    xs = x.to(device).split(batch_size)
    ys = [None] * len(xs) if y is None else y.to(device).split(batch_size)
    return torch.cat([function(*part).cpu() for part in zip(xs, ys, strict=True)])
