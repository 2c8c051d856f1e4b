"""A model of somebody's own, outside the package: a Gaussian whose mean is learned."""

import torch
from torch import Tensor

from genkit.component import PositiveFloat
from genkit.data.spec import Batch, DataSpec
from genkit.models.base import GenerativeModel, Noise


class Own(GenerativeModel):
    """N(mean, spread² I).

    Arguments:
        spec: The data.
        spread: Standard deviation.
    """

    modalities = ("vector",)

    def __init__(self, *, spec: DataSpec, spread: PositiveFloat = 1.0) -> None:
        super().__init__(spec)
        self.spread = spread
        self.mean = torch.nn.Parameter(torch.zeros(spec.shape))

    def losses(self, batch: Batch, phase: str) -> dict[str, Tensor]:
        return {"loss": (batch["x"] - self.mean).square().mean()}

    def draw(self, n: int, *, y: Tensor | None = None, noise: Noise) -> Tensor:
        return self.mean + self.spread * noise(*self.spec.shape)
