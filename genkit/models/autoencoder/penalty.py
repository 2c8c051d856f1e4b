r"""Terms that an autoencoder's loss may hold besides the reconstruction: penalties on its latents and on its decoder.

On latents z = e(x):

* `Sparsity`: E Σ_j |z_j|,
* `KLSparsity`: Σ_j KL(ρ ‖ ρ̂_j), where ρ̂_j = E s(z_j) is the mean activation of unit j,
* `Contraction`: E ‖∂e(x)/∂x‖_F²,
* `LatentNorm`: E ½ ‖z‖².

On the decoder d with parameters θ: `WeightNorm`, ½ ‖θ‖², and `DecoderGradient`, E ‖∂d(z)/∂z‖_F².

A penalty on latents alone can be bought cheaply, by an encoder that scales them down and a decoder that scales them up
again; a penalty on the decoder shuts this way.
"""

from abc import ABC, abstractmethod
from typing import Annotated, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genkit.component import Component, NonNegativeFloat, Range
from genkit.models.autoencoder.jacobian import squared_jacobian_norm

Draws = Annotated[int, Range(1, 1024)]


class AutoencoderPenalty(Component, ABC):
    """A term of the loss, weighed.

    Attributes:
        name: Of the term in the logs, where it stands without its weight.
        differentiates: Whether it is made of derivatives, so that it belongs to training alone.

    Arguments:
        weight: Of the term.
    """

    name: ClassVar[str]
    differentiates: ClassVar[bool] = False

    def __init__(self, *, weight: NonNegativeFloat) -> None:
        self.weight = weight


class LatentPenalty(AutoencoderPenalty):
    """A penalty on what the encoder does."""

    @abstractmethod
    def __call__(self, x: Tensor, z: Tensor) -> Tensor:
        """x (B, *shape) that went in and z (B, D) that came out, to a number; x requires a gradient if need be."""


class DecoderPenalty(AutoencoderPenalty):
    """A penalty on what the decoder does."""

    @abstractmethod
    def __call__(self, decoder: nn.Module, z: Tensor, restored: Tensor) -> Tensor:
        """z (B, D) that went in and x (B, *shape) that came out, to a number; z requires a gradient if need be."""


class Sparsity(LatentPenalty):
    """E Σ_j |z_j|: most values of a latent near 0.

    References: Sparse coding with an overcomplete basis set (Olshausen & Field 1997).
    """

    name = "sparsity"

    def __call__(self, x: Tensor, z: Tensor) -> Tensor:
        return z.abs().sum(1).mean()


class KLSparsity(LatentPenalty):
    """Σ_j KL(ρ ‖ ρ̂_j) with ρ̂_j the mean over the batch of s(z_j), s the logistic function: every unit is rarely on.

    References: Sparse deep belief net model for visual area V2 (Lee et al. 2007); CS294A lecture notes (Ng 2011).

    Arguments:
        weight: Of the term.
        activity: ρ.
    """

    name = "sparsity"

    def __init__(self, *, weight: NonNegativeFloat, activity: Annotated[float, Range(1e-4, 0.9999)] = 0.05) -> None:
        super().__init__(weight=weight)
        self.activity = activity

    def __call__(self, x: Tensor, z: Tensor) -> Tensor:
        on, off = F.logsigmoid(z), F.logsigmoid(-z)  # in logarithms: neither mean can round to 0
        log_on, log_off = (torch.logsumexp(part, 0) - torch.log(part.new_tensor(len(z))) for part in (on, off))
        rho = torch.tensor(self.activity, dtype=z.dtype, device=z.device)
        return (rho * (rho.log() - log_on) + (1 - rho) * ((1 - rho).log() - log_off)).sum()


class Contraction(LatentPenalty):
    """E ‖∂e(x)/∂x‖_F²: a latent that small changes of x hardly move.

    References: Contractive Auto-Encoders: Explicit Invariance During Feature Extraction (Rifai et al. 2011).

    Arguments:
        weight: Of the term.
        draws: Random directions of an unbiased estimate; None: exact, one backward pass per latent value.
    """

    name = "contraction"
    differentiates = True

    def __init__(self, *, weight: NonNegativeFloat, draws: Draws | None = None) -> None:
        super().__init__(weight=weight)
        self.draws = draws

    def __call__(self, x: Tensor, z: Tensor) -> Tensor:
        return squared_jacobian_norm(z, x, self.draws).mean()


class LatentNorm(LatentPenalty):
    """E ½ ‖z‖²: latents stay near the origin, without which a decoder's penalty could be escaped by larger ones.

    References: From Variational to Deterministic Autoencoders (Ghosh et al. 2019, 1903.12436).
    """

    name = "latent_norm"

    def __call__(self, x: Tensor, z: Tensor) -> Tensor:
        return z.square().sum(1).mean() / 2


class WeightNorm(DecoderPenalty):
    """½ ‖θ‖² over the decoder's parameters: RAE with L2.

    References: From Variational to Deterministic Autoencoders (Ghosh et al. 2019, 1903.12436).
    """

    name = "weight_norm"

    def __call__(self, decoder: nn.Module, z: Tensor, restored: Tensor) -> Tensor:
        return torch.stack([parameter.square().sum() for parameter in decoder.parameters()]).sum() / 2


class DecoderGradient(DecoderPenalty):
    """E ‖∂d(z)/∂z‖_F²: nearby latents are decoded alike; RAE with a gradient penalty.

    References: From Variational to Deterministic Autoencoders (Ghosh et al. 2019, 1903.12436).

    Arguments:
        weight: Of the term.
        draws: Random directions of an unbiased estimate; None: exact, one backward pass per value of x.
    """

    name = "decoder_gradient"
    differentiates = True

    def __init__(self, *, weight: NonNegativeFloat, draws: Draws | None = 1) -> None:
        super().__init__(weight=weight)
        self.draws = draws

    def __call__(self, decoder: nn.Module, z: Tensor, restored: Tensor) -> Tensor:
        return squared_jacobian_norm(restored, z, self.draws).mean()
