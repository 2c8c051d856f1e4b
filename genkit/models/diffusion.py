r"""Diffusion models: learn to denoise, then integrate from noise to data.

.. math:: \min_D\; E_{x, \epsilon, t}\; w(t)\, \| D(\alpha_t x + \sigma_t \epsilon, t) - x \|^2

The parts stand in `genkit.diffusion`: a schedule (how noise is added), a denoiser (how a network's output becomes the
posterior mean), a sampler (how to integrate). Here: the objective, with noise levels drawn log-normally, where a
network has something to learn.
"""

from typing import Annotated

import torch
from torch import Tensor

from genkit.component import Probability, Range
from genkit.data.spec import Batch, DataSpec
from genkit.diffusion.denoiser import Denoiser, EDMDenoiser, Labelled, expand_to, unlabelled
from genkit.diffusion.guidance import ClassifierFreeGuidance
from genkit.diffusion.sampler import HeunSampler, SamplerFactory
from genkit.diffusion.schedule import KarrasSchedule, Schedule
from genkit.errors import ConfigError
from genkit.models.base import Conditional, GenerativeModel, Noise, classes_of
from genkit.nn.backbone import BackboneFactory
from genkit.nn.default import default_backbone

LogSigma = Annotated[float, Range(-20.0, 20.0)]


class Diffusion(GenerativeModel, Conditional):
    """Denoising diffusion with EDM's preconditioning and noise levels.

    References: Elucidating the Design Space of Diffusion-Based Generative Models (Karras et al. 2022, 2206.00364).

    Arguments:
        spec: The data.
        backbone: The network, image to image or vector to vector; None takes what the data asks for.
        schedule: None takes KarrasSchedule.
        sampler: None takes HeunSampler.
        conditional: Whether to use the data's labels.
        log_sigma_mean, log_sigma_std: ln(σ / σ_data) of the training noise is normal with these.
        label_dropout: Share of training examples shown without their label, so that guidance is possible.
        guidance_scale: Classifier-free guidance w in sampling a conditional model; 1 is none.
    """

    measured: Tensor

    def __init__(
        self,
        *,
        spec: DataSpec,
        backbone: BackboneFactory | None = None,
        schedule: Schedule | None = None,
        sampler: SamplerFactory | None = None,
        conditional: bool = False,
        log_sigma_mean: LogSigma = -0.5,
        log_sigma_std: Annotated[float, Range(0.01, 20.0)] = 1.2,
        label_dropout: Probability = 0.1,
        guidance_scale: Annotated[float, Range(0.0, 1000.0)] = 1.0,
    ) -> None:
        super().__init__(spec)
        self.num_classes = classes_of(spec, conditional)
        net = (backbone or default_backbone)(
            in_shape=spec.shape, out_shape=spec.shape, num_classes=self.num_classes, time=True
        )
        self.denoiser = EDMDenoiser(net, schedule or KarrasSchedule(), data_std=torch.tensor(1.0))
        self.register_buffer("measured", torch.tensor(False))
        self.sampler = sampler or HeunSampler
        self.log_sigma_mean, self.log_sigma_std = log_sigma_mean, log_sigma_std
        if guidance_scale != 1.0 and self.num_classes is None:
            raise ConfigError(f"guidance scale {guidance_scale:g}: only a model with conditional=true can be guided")
        self.label_dropout, self.guidance_scale = label_dropout, guidance_scale

    def losses(self, batch: Batch, phase: str) -> dict[str, Tensor]:
        x, y = batch["x"], self._labels(batch)
        if self.training and not self.measured:
            self._measure(x)
        eps = torch.randn(len(x), device=x.device)
        log_sigma = self.denoiser.data_std.log() + self.log_sigma_mean + self.log_sigma_std * eps
        t = self.denoiser.schedule.inverse(-2 * log_sigma)
        alpha, sigma = self.denoiser.schedule(t)
        x_t = expand_to(alpha, x) * x + expand_to(sigma, x) * torch.randn_like(x)
        error = (self.denoiser(x_t, t, y) - x).square().flatten(1).mean(1)
        return {"loss": (self.denoiser.weight(t) * error).mean()}

    def sample(self, n: int, *, y: Tensor | None = None, noise: Noise) -> Tensor:
        self.check_labels(y)
        sampler = self.sampler(denoiser=self._guided(n, y))
        eps = noise(*self.spec.shape)
        _, sigma = self.denoiser.schedule(torch.ones((), device=eps.device))
        x = sampler(sigma * eps)
        return self.spec.clip(x)

    def _measure(self, x: Tensor) -> None:
        """σ_data, from the first batch with any spread that is trained on."""
        data_std = x.std(correction=0)
        if data_std > 1e-6:
            self.denoiser.data_std.copy_(data_std)
            self.measured.fill_(True)

    def _labels(self, batch: Batch) -> Tensor | None:
        """Labels (B,), a share of them replaced by "no label" in training; None for an unconditional model."""
        if self.num_classes is None:
            return None
        y = batch["y"]
        if not self.training:
            return y
        dropped = torch.rand(y.shape, device=y.device) < self.label_dropout
        return torch.where(dropped, self.num_classes, y)

    def _guided(self, n: int, y: Tensor | None) -> Denoiser:
        """The denoiser with its labels fixed, guided where a scale other than 1 is asked for."""
        labelled = Labelled(self.denoiser, y)
        if self.num_classes is None or y is None or self.guidance_scale == 1.0:
            return labelled
        return ClassifierFreeGuidance(
            labelled, unlabelled(self.denoiser, self.num_classes, n, y.device), self.guidance_scale
        )
