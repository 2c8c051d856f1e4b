r"""Denoising score matching at one noise level: the gradient of log p̃ points from noisy data back to data.

.. math:: \mathbb{E} \Big\| \sigma \nabla \log p̃(u + \sigma \epsilon) + \epsilon \Big\|^2

Its optimum is the density of data with noise of standard deviation σ on it, so a small σ is near the data and a noisy
estimate. Gradients do not see the shares of modes that lie apart (Wenliang & Kanagawa 2020, 2008.10087): those are
whatever the network makes of them. Nor do they see a constant of log p̃, which a little of its square holds near 0. At
all noise levels: `energy_diffusion.py`.

References: A Connection Between Score Matching and Denoising Autoencoders (Vincent 2011).
"""

import torch
from torch import Tensor

from genkit.batch_noise import normal_like
from genkit.component import NonNegativeFloat, PositiveFloat
from genkit.models.energy.objective import EnergyObjective, LogDensities, under


class DenoisingScoreMatching(EnergyObjective):
    """‖σ ∇log p̃ + ε‖², the mean over the values of an example.

    References: Vincent 2011.

    Arguments:
        shape, num_classes: As `EnergyObjective`.
        noise: σ, in standard deviations of the data.
        energy_l2: Weight of the squared energies.
    """

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        num_classes: int | None,
        noise: PositiveFloat = 0.1,
        energy_l2: NonNegativeFloat = 1e-3,
    ) -> None:
        super().__init__(shape=shape, num_classes=num_classes)
        self.noise, self.energy_l2 = noise, energy_l2

    def losses(self, log_densities: LogDensities, u: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        eps, kept = normal_like(u), torch.is_grad_enabled()
        with torch.enable_grad():
            noisy = (u + self.noise * eps).detach().requires_grad_()
            values = under(log_densities(noisy), y)
            (score,) = torch.autograd.grad(values.sum(), noisy, create_graph=kept)
        error = (self.noise * score + eps).square().mean()
        return {"loss": error + self.energy_l2 * values.square().mean(), "error": error}
