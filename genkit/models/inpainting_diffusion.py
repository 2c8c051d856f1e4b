r"""Diffusion that is trained to complete: its network sees which values are known and what they are,

.. math:: D(x_t, t, m, m \odot x) \to E[x \mid x_t, m \odot x],

m drawn for each training example in each step (`random_masks.py`). A completion is then one draw of an ordinary
sampler, each step of which knows all that is known. A posterior sampler over a diffusion that never saw a part
(`genkit/inverse/`) has to infer from noisy guesses what such a network was taught, at several times the cost of a draw
and with an error of its own; it serves any measurement in return. With m = 0, as for a share of the training examples,
the model is one of whole examples, and samples, scores and restores as any diffusion does.

A model of labels learns p(y | m ⊙ x) beside it, by a classifier that sees the same parts: which label a completion is
of is told by all that is known at once, before the first step, and no image is half of one and half of another.

References: Palette: Image-to-Image Diffusion Models (Saharia et al. 2021, 2111.05826); Conditional Image Generation
with Score-Based Diffusion Models (Batzolis et al. 2021, 2111.13606), for why its samples are of the posterior.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genkit.component import Probability
from genkit.data.spec import Batch, DataSpec, check_values
from genkit.diffusion.guidance import EVERYWHERE
from genkit.diffusion.likelihood import DiffusionLikelihood
from genkit.diffusion.objective import DenoisingObjective
from genkit.diffusion.parametrisation import DenoiserFactory
from genkit.diffusion.schedule import Schedule
from genkit.models.base import Completes, Noise
from genkit.models.diffusion import Diffusion, GuidanceInterval, GuidanceScale, Solver
from genkit.models.infers_labels import InfersLabels
from genkit.models.label_dropout import LABEL_DROPOUT
from genkit.models.random_masks import random_masks
from genkit.nn.backbone import BackboneFactory
from genkit.nn.default import default_backbone
from genkit.nn.with_condition import WithCondition

NOTHING_KNOWN = 0.1  # share of training examples


class InpaintingDiffusion(Diffusion, Completes, InfersLabels):
    """Denoising diffusion that knows a part of what it draws, its defaults those of `Diffusion`.

    Arguments:
        spec: The data.
        backbone: The network, which is given what is known and where too; None takes what the data asks for.
        schedule, denoiser, objective, sampler, likelihood: As of `Diffusion`.
        conditional: Whether to use the data's labels; those of completions are inferred, unless they are told.
        label_dropout: Share of training examples shown without their label.
        guidance_scale: Classifier-free guidance w in sampling a conditional model; 1 is none.
        guidance_interval: Least and greatest noise level at which to guide.
        clip_denoised: Whether to clip the posterior mean into the data's range in sampling.
        nothing_known: Share of training examples of which nothing is known.
        classifier: The network that tells labels by what is known; None takes what the data asks for.

    References: Palette: Image-to-Image Diffusion Models (Saharia et al. 2021, 2111.05826).
    """

    def __init__(
        self,
        *,
        spec: DataSpec,
        backbone: BackboneFactory | None = None,
        schedule: Schedule | None = None,
        denoiser: DenoiserFactory | None = None,
        objective: DenoisingObjective | None = None,
        sampler: Solver = None,
        likelihood: DiffusionLikelihood | None = None,
        conditional: bool = False,
        label_dropout: Probability = LABEL_DROPOUT,
        guidance_scale: GuidanceScale = 1.0,
        guidance_interval: GuidanceInterval = EVERYWHERE,
        clip_denoised: bool = False,
        nothing_known: Probability = NOTHING_KNOWN,
        classifier: BackboneFactory | None = None,
    ) -> None:
        first, *sides = spec.shape
        seen = (first + (1 if sides else first), *sides)  # the values, and where they are known: a plane, or each
        network = partial(WithCondition, network=backbone or default_backbone, condition=seen, optional=True)
        super().__init__(
            spec=spec,
            backbone=network,
            schedule=schedule,
            denoiser=denoiser,
            objective=objective,
            sampler=sampler,
            likelihood=likelihood,
            conditional=conditional,
            label_dropout=label_dropout,
            guidance_scale=guidance_scale,
            guidance_interval=guidance_interval,
            clip_denoised=clip_denoised,
        )
        self.nothing_known = nothing_known
        self.classifier = None
        if self.num_classes is not None:
            self.classifier = (classifier or default_backbone)(in_shape=seen, out_shape=(self.num_classes,))

    @property
    def network(self) -> WithCondition:
        """That of the denoiser."""
        found = self.denoiser.backbone
        assert isinstance(found, WithCondition)
        return found

    def compilable(self) -> Iterable[nn.Module]:
        own = [self.network.network, *([] if self.classifier is None else [self.classifier])]
        return own if super().compilable() else ()

    def losses(self, batch: Batch, phase: str) -> dict[str, Tensor]:
        x = batch["x"]
        known = random_masks(self.spec, len(x), self.nothing_known, x.device)
        shown = self._shown(x, known)
        with self.network.given(shown):
            terms = super().losses(batch, phase)
        if self.classifier is None:
            return terms
        label = F.cross_entropy(self.classifier(shown), batch["y"])
        return terms | {"loss": terms["loss"] + label, "label": label}

    def complete(self, x: Tensor, known: Tensor, *, y: Tensor | None = None, noise: Noise) -> Tensor:
        check_values(x, self.spec.shape, "complete")
        if y is not None or self.needs_label:
            self.check_labels(y, len(x))
        known = known.expand_as(x)
        with self.network.given(self._shown(x, known)):
            drawn = self._sampled(len(x), y, noise)
        return torch.where(known, x, drawn)

    def label_log_probs(self, x: Tensor, known: Tensor) -> Tensor:
        assert self.classifier is not None
        return self.classifier(self._shown(x, known.expand_as(x))).double().log_softmax(1)

    def _shown(self, x: Tensor, known: Tensor) -> Tensor:
        """(B, *condition): the values where they are known, else 0, and where that is.

        Of an image a plane tells it, on which a pixel is known by its share of known channels.
        """
        where = known.to(x)
        plane = where.mean(1, keepdim=True) if x.ndim > 2 else where
        return torch.cat([torch.where(known, x, 0.0), plane], 1)
