r"""A denoiser whose score is the gradient of a scalar, so that a diffusion model has an energy at every noise level.

A plain network's answer need not be the gradient of anything. Here F of EDM's preconditioning is one,

.. math:: F(v, \sigma) = \nabla_v \phi(v, \sigma), \qquad \phi(v) = v \cdot g(v) - \tfrac12 \|g(v)\|^2,
          \qquad v = \bar x / \sqrt{\sigma^2 + \sigma_d^2},

with a network g of the same shapes as any denoiser's. What is learned is F alone, and with it φ up to a constant of
each level. The score of x̄ is then −∇E of

.. math:: E_\sigma(\bar x) = \frac{\|\bar x\|^2}{2 (\sigma^2 + \sigma_d^2)} - \frac{\sigma_d}{\sigma}\, \phi(v, \sigma),

since (D − x̄) / σ² = −x̄ / (σ² + σ_d²) + (c_out / σ²) ∇_v φ and ∇_x̄ v = 1 / √(σ² + σ_d²). Everything that takes a
denoiser takes this one: samplers, guidance, likelihoods. A step of training costs about three of a plain denoiser,
whose derivative it is trained on; an evaluation two.

References: Denoising score matching: Vincent 2011; energies instead of scores: Should EBMs Model the Energy or the
Score? (Salimans & Ho 2021), whose scalar with the network's own inner product this follows; conservative fields: Saremi
& Hyvärinen 2019, 1903.02334.
"""

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from genkit.diffusion.denoiser import expand_to
from genkit.diffusion.parametrisation import EDMDenoiser
from genkit.nn.backbone import Differentiates


class EnergyDenoiser(EDMDenoiser, Differentiates):
    """EDM's preconditioning of the gradient of a scalar.

    Arguments: as `NetworkDenoiser`; the backbone is g.
    """

    def output(self, x_t: Tensor, t: Tensor, y: Tensor | None) -> Tensor:
        """F = ∇φ (B, *shape); a graph of it is kept where gradients are on."""
        kept = torch.is_grad_enabled()
        with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):  # fused attention has no second derivative
            v, level = self._scaled(x_t, t)
            v = v if kept and v.requires_grad else v.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(self._scalar(v, level, y).sum(), v, create_graph=kept)
        return gradient

    def energy(self, x_t: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        """E (B,) of x_t (B, *shape) at the times t (B,), up to a constant of each level; −∇E of x̄ is the score."""
        v, level = self._scaled(x_t, t)
        quadratic = v.square().flatten(1).sum(1) / 2
        return quadratic - self.data_std / level * self._scalar(v, level, y)

    def _scaled(self, x_t: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """The network's input v (B, *shape) and the noise level (B,)."""
        alpha, sigma = self.schedule(t)
        level = sigma / alpha
        return x_t / expand_to(alpha * (level**2 + self.data_std**2).sqrt(), x_t), level

    def _scalar(self, v: Tensor, level: Tensor, y: Tensor | None) -> Tensor:
        """φ (B,)."""
        g = self.backbone(v, level.log() / 4, y).to(v.dtype)
        return (g * (v - g / 2)).flatten(1).sum(1)
