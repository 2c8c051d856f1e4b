r"""TarFlow: a flow of causal transformers over patches, trained on noisy images and followed by one step of denoising.

The flow is that of `genkit.flows.causal`, and its likelihood exact. Two things make its samples those of images:

* **Noise.** A density of images lies on a thin sheet, and what a flow makes of a latent beside those that it has seen
  is anything. So it learns images with normal noise of deviation σ, wide enough that neighbouring levels meet. Its
  samples are then noisy too, and are denoised by the one step that the density itself gives (Tweedie's formula),

  .. math:: x = \tilde x + \sigma^2\, \nabla \log p(\tilde x \mid y).

* **Guidance.** Labels are withheld from some of the training examples, and the inverse moves the parameters of every
  transform from those without the label to those with it, and beyond (Ho & Salimans 2022, 2207.12598).

References: Normalizing Flows are Capable Generative Models (Zhai et al. 2024, 2412.06329).
"""

from typing import Annotated

import torch
from torch import Tensor

from genkit.batch_noise import normal_like
from genkit.component import AtSampling, NonNegativeFloat, Probability
from genkit.data.spec import Batch, DataSpec
from genkit.flows.causal import CausalPatches, Guidance, guided_inverse
from genkit.models.base import Noise
from genkit.models.diffusion import GuidanceScale
from genkit.models.flow import Flow
from genkit.models.label_dropout import LABEL_DROPOUT, check_guidance, with_some_withheld
from genkit.models.sampling_gradients import SamplesByGradient


class TarFlow(Flow, SamplesByGradient):
    """Flow of causal transformers over the patches of an image.

    Arguments:
        spec: The data.
        transform: The recipe of the layers; None takes CausalPatches.
        noise: σ of training, in units of the model's values; 0: uniform within each level, as other flows.
        denoise: Whether samples are denoised; without noise there is nothing to.
        conditional: Whether the layers read the label.
        label_dropout: Share of training examples shown without their label, so that guidance is possible.
        guidance_scale: Classifier-free guidance in sampling a conditional model; 1 is none.
        temperature: τ, scale of the latents in sampling; below 1 draws likelier, less diverse samples.
    """

    modalities = ("image",)

    def __init__(
        self,
        *,
        spec: DataSpec,
        transform: CausalPatches | None = None,
        noise: NonNegativeFloat = 0.05,
        denoise: bool = True,
        conditional: bool = False,
        label_dropout: Probability = LABEL_DROPOUT,
        guidance_scale: GuidanceScale = 1.0,
        temperature: Annotated[NonNegativeFloat, AtSampling("below 1 draws likelier, less diverse samples")] = 1.0,
    ) -> None:
        super().__init__(
            spec=spec, transform=transform or CausalPatches(), conditional=conditional, temperature=temperature
        )
        check_guidance(guidance_scale, self.num_classes, label_dropout)
        self.noise, self.denoise = noise, denoise
        self.label_dropout, self.guidance_scale = label_dropout, guidance_scale

    def training_points(self, x: Tensor) -> Tensor:
        """Centres of bins with normal noise in training, points within the bins outside it: what a score is of."""
        if self.training and self.noise:
            return x + self.noise * normal_like(x)
        return super().training_points(x)

    def training_labels(self, batch: Batch) -> Tensor | None:
        y = self.labels_of(batch)
        if y is None or not self.training:
            return y
        assert self.num_classes is not None
        return with_some_withheld(y, self.num_classes, self.label_dropout)

    def draw(self, n: int, *, y: Tensor | None = None, noise: Noise) -> Tensor:
        self.check_labels(y, n)
        z = self.prior.draw(noise(self.spec.dim), self.temperature)
        guidance = Guidance(self.guidance_scale, self.num_classes or 0)
        with torch.no_grad():
            x = guided_inverse(self.transform, z, y, guidance)
        return self.spec.clip(self.denoised(x, y) if self.denoise and self.noise else x).detach()

    def denoised(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """x + σ² ∇ log p(x | y), the mean of clean images given noisy ones (B, *shape)."""
        with torch.enable_grad():
            at = x.detach().requires_grad_()
            [score] = torch.autograd.grad(self._log_prob(at, y).sum(), at)
        return x + self.noise**2 * score
