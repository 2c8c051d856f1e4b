"""A model outside the package that decodes standard normal latents and has no encoder: what a GAN is to a picture."""

import torch
from torch import Tensor, nn

from genkit.data.spec import Batch, DataSpec
from genkit.models.base import GenerativeModel, Noise, NormalLatent


class Generator(GenerativeModel, NormalLatent):
    """x = W z + b."""

    latent_dim = 3

    def __init__(self, *, spec: DataSpec) -> None:
        super().__init__(spec)
        self.linear = nn.Linear(self.latent_dim, spec.dim)

    def losses(self, batch: Batch, phase: str) -> dict[str, Tensor]:
        z = torch.randn(len(batch["x"]), self.latent_dim)
        return {"loss": (self.decode(z) - batch["x"]).square().mean()}

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return self.spec.clip(self.linear(z).unflatten(1, self.spec.shape))

    def draw(self, n: int, *, y: Tensor | None = None, noise: Noise) -> Tensor:
        return self.decode(noise(self.latent_dim))
