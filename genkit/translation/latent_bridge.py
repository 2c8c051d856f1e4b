r"""Translation through the latents of bijections: x_B = f_B^{-1}(f_A(x_A)), exact both ways.

Two flows map their data to the same normal, and so does one conditional flow under two labels. An example and its
translation then have the same latent, as likely under the one as under the other.

References: AlignFlow (Grover et al. 2019, 1905.12892), which trains two flows for this.
"""

from typing import Protocol

from torch import Tensor

from genkit.noise import Noise
from genkit.translation.translator import Bridge


class LatentMap(Protocol):
    """A one-to-one map between examples and standard normal latents, whose label is fixed."""

    def to_latent(self, x: Tensor) -> Tensor:
        """(B, *shape) to (B, D)."""

    def from_latent(self, z: Tensor) -> Tensor:
        """(B, D) to (B, *shape), the inverse."""


class LatentBridge(Bridge):
    """The latent of the source's bijection through the inverse of the target's.

    Arguments:
        bijection: Of the target domain.
        source: Of the source domain.
    """

    def __init__(self, *, bijection: LatentMap, source: LatentMap) -> None:
        self.bijection, self.source = bijection, source

    @property
    def words(self) -> str:
        return "through latents"

    def __call__(self, x: Tensor, noise: Noise) -> Tensor:
        return self.bijection.from_latent(self.source.to_latent(x))
