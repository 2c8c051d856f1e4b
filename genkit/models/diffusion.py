r"""Diffusion models: learn to denoise, then integrate from noise to data.

The parts stand in `genkit.diffusion`, each of them an argument here: a schedule (how noise is added), a denoiser (how a
network's output becomes the posterior mean), an objective (what is minimised), a sampler (how to integrate), a
likelihood. A member of the family is a choice of them, flow matching included.
"""

from collections.abc import Iterable, Sequence
from math import prod
from typing import Annotated

import torch
from torch import Tensor, nn

from genkit.batch_noise import uniform
from genkit.component import AtSampling, PositiveInt, Probability, Range
from genkit.data.spec import Batch, DataSpec
from genkit.diffusion.denoiser import Clipped, Denoiser, Labelled, unlabelled
from genkit.diffusion.guidance import EVERYWHERE, Autoguidance, ClassifierFreeGuidance
from genkit.diffusion.likelihood import DiffusionLikelihood, FlowLikelihood
from genkit.diffusion.network_calls import Evaluations
from genkit.diffusion.objective import Denoising, DenoisingObjective
from genkit.diffusion.parametrisation import DataDenoiser, DenoiserFactory, EDMDenoiser
from genkit.diffusion.sampler import HeunSampler, SamplerFactory
from genkit.diffusion.schedule import KarrasSchedule, Schedule
from genkit.diffusion.time_distribution import LogNormalLevels
from genkit.errors import ConfigError
from genkit.models.base import Conditional, GenerativeModel, Guidable, MonteCarlo, Noise, Stepwise, classes_of
from genkit.models.clusters import Clusters
from genkit.models.denoises import DenoisesParts
from genkit.models.label_dropout import LABEL_DROPOUT, check_guidance, with_some_withheld
from genkit.nn.backbone import BackboneFactory
from genkit.nn.default import default_backbone
from genkit.nn.fold import fold_of
from genkit.nn.widths import COLOUR
from genkit.upgrade import RetiredBuffers, upgrade_in_loading

Level = Annotated[float, Range(0.0, 1e6)]
Solver = Annotated[
    SamplerFactory | None,
    AtSampling(
        "sampler.steps=18 changes the checkpoint's sampler, sampler=heun replaces it", parts=(("steps", PositiveInt),)
    ),
]
GuidanceScale = Annotated[
    float, Range(0.0, 1000.0), AtSampling("of classifier-free guidance, or of autoguidance", key="guidance.scale")
]
GuidanceInterval = Annotated[
    tuple[Level, Level],
    AtSampling("[low, high]: the noise levels at which to guide", key="guidance.interval", needs="guidance.scale=2"),
]
HIGH_LEVELS = 0.1, 1.3  # mean and standard deviation of ln(σ / σ_data) where the clean image is predicted
LARGEST = 128 * 128  # pixels that the default network is made for: a step costs as many times more as there are more
NEVER_WITHOUT = (
    "model.label_dropout=0: a model of clusters must learn to do without one for its likelihood: train it with "
    f"model.label_dropout={LABEL_DROPOUT:g}"
)
LEAST_SPREAD = 1e-6  # standard deviation below which a batch tells nothing of the data's scale


class Diffusion(GenerativeModel, Conditional, MonteCarlo, Stepwise, Guidable, DenoisesParts, RetiredBuffers):
    """Denoising diffusion; its defaults are EDM's preconditioning, noise levels and sampler.

    References: Elucidating the Design Space of Diffusion-Based Generative Models (Karras et al. 2022, 2206.00364).

    Arguments:
        spec: The data.
        backbone: The network, image to image or vector to vector; None takes what the data asks for.
        schedule: None takes KarrasSchedule.
        denoiser: What the network predicts; None takes EDMDenoiser, in large colour images DataDenoiser.
        objective: What is minimised; None takes Denoising with log-normal noise levels, more of them high in large
            colour images.
        sampler: None takes HeunSampler.
        likelihood: Of `log_prob`; None takes FlowLikelihood.
        conditional: Whether to use the data's labels.
        label_dropout: Share of training examples shown without their label, so that guidance is possible.
        guidance_scale: Classifier-free guidance w in sampling a conditional model; 1 is none.
        guidance_interval: Least and greatest noise level at which to guide.
        clip_denoised: Whether to clip the posterior mean into the data's range in sampling.
        clusters: Clusters of the data that stand for labels in training and sampling a model without, or divide each
            label of a model with; None for none.

    Raises:
        ConfigError: clusters without `label_dropout`, by which the model learns to do without;
            images of more than 128x128 pixels without a backbone that was chosen for them.
    """

    costly = True
    retired = ("measured",)

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
        clusters: PositiveInt | None = None,
    ) -> None:
        super().__init__(spec)
        self.num_classes = classes_of(spec, conditional)
        if clusters is not None and label_dropout == 0.0:
            raise ConfigError(NEVER_WITHOUT)
        self.clusters = None if clusters is None else Clusters(clusters, spec.dim, self.num_classes)
        self.groups = self.num_classes if self.clusters is None else self.clusters.groups
        self.objective = objective or default_objective(spec)
        channels, *sides = spec.shape
        out_shape = (self.objective.outputs * channels, *sides)
        if backbone is None and len(sides) == 2 and prod(sides) > LARGEST:
            raise ConfigError(_too_large(sides))
        net = (backbone or default_backbone)(
            in_shape=spec.shape, out_shape=out_shape, num_classes=self.groups, time=True
        )
        self.denoiser = (denoiser or default_denoiser(spec))(
            backbone=net, schedule=schedule or KarrasSchedule(), data_std=torch.tensor(1.0)
        )
        upgrade_in_loading(self)
        self.objective.check(self.denoiser)
        self.sampler = sampler or HeunSampler
        self.likelihood = likelihood or FlowLikelihood()
        self.bound, self.dequantisation = self.likelihood.bound, self.likelihood.dequantisation
        weaker = ", or name a weaker model with guidance.weak="
        check_guidance(guidance_scale, self.groups, label_dropout, weaker)
        self.label_dropout, self.guidance_scale = label_dropout, guidance_scale
        self.guidance_interval, self.clip_denoised = guidance_interval, clip_denoised
        self.weak: Diffusion | None = None

    def initialise(self, batch: Batch) -> None:
        """σ_data is that of the batch, unless it has no spread; clusters are those of the batch."""
        data_std = batch["x"].std(correction=0)
        if data_std > LEAST_SPREAD:
            self.denoiser.data_std.copy_(data_std)
        if self.clusters is not None:
            self.clusters.fit(batch["x"], self.labels_of(batch))

    @torch.no_grad()
    def prepare(self, batches: Iterable[Batch]) -> None:
        """Count the clusters' shares."""
        if self.clusters is not None:
            self.clusters.count((batch["x"], self.labels_of(batch)) for batch in batches)

    def compilable(self) -> Iterable[nn.Module]:
        return () if self.objective.differentiates else super().compilable()

    def losses(self, batch: Batch, phase: str) -> dict[str, Tensor]:
        return self.objective(self.denoiser, batch["x"], self._labels(batch))

    def draw(self, n: int, *, y: Tensor | None = None, noise: Noise) -> Tensor:
        self.check_labels(y, n)
        return self._sampled(n, y, noise)

    def _sampled(self, n: int, y: Tensor | None, noise: Noise) -> Tensor:
        """(n, *shape) with labels y (n,), or without any."""
        eps = noise(*self.spec.shape)
        group = y if self.clusters is None else self.clusters.draw(noise, y)
        sampler = self.sampler(denoiser=self._guided(n, y, group))
        _, sigma = self.denoiser.schedule(torch.ones((), device=eps.device))
        networks = [model.denoiser.backbone for model in (self, self.weak) if model is not None]
        with Evaluations(*networks) as asked:
            x = sampler(sigma * eps, noise)
        self.evaluations = asked.count
        return self.spec.clip(x)

    def guide(self, weak: GenerativeModel, scale: float, interval: tuple[float, float] | None = None) -> None:
        """By a diffusion model of such data on any schedule; one without labels guides one with them too."""
        if not isinstance(weak, Diffusion):
            raise ConfigError(f"guidance.weak: {type(weak).__name__} is no diffusion model: name a checkpoint of one")
        refuse_other_data(self.spec, weak.spec)
        if weak.num_classes not in (None, self.num_classes):
            raise ConfigError("guidance.weak: it was trained with labels and this model without: name one without")
        self.weak, self.guidance_scale, self.guidance_interval = weak, scale, interval or EVERYWHERE

    def log_prob(self, x: Tensor, y: Tensor | None = None, *, seed: int = 0) -> Tensor:
        """Of the model without guidance; see `likelihood`."""
        self.check_labels(y, len(x))
        return self.likelihood(self._asked(len(x), self._group(y)), x, self.spec, seed=seed)

    def _labels(self, batch: Batch) -> Tensor | None:
        """Labels or clusters (B,), in training a share of them told less; None for a model of neither."""
        y = self.labels_of(batch)
        group = y if self.clusters is None else self.clusters.of(batch["x"], y)
        if group is None or not self.training:
            return group
        assert self.groups is not None
        if self.clusters is not None and y is not None:
            without = uniform(len(y), device=y.device) < self.label_dropout
            group = torch.where(without, self.clusters.alone(y), group)
        return with_some_withheld(group, self.groups, self.label_dropout)

    @property
    def needs_label(self) -> bool:
        return self.num_classes is not None and self.label_dropout == 0

    def denoiser_for(self, n: int, y: Tensor | None = None) -> Denoiser:
        """The denoiser with its labels fixed, guided where a scale other than 1 is asked for, clipped last."""
        return self._guided(n, y, self._group(y))

    def part_shares(self, y: Tensor | None = None) -> Tensor | None:
        """Those of the clusters."""
        return None if self.clusters is None else self.clusters.shares_of(y)

    def denoiser_of_parts(self, part: Tensor) -> Denoiser:
        assert self.clusters is not None
        y = None if self.num_classes is None else part // self.clusters.each
        return self._guided(len(part), y, part)

    def _group(self, y: Tensor | None) -> Tensor | None:
        """The number by which the network is told labels y (n,) alone."""
        return y if y is None or self.clusters is None else self.clusters.alone(y)

    def _asked(self, n: int, group: Tensor | None = None) -> Labelled:
        """The denoiser asked with labels or clusters (n,), or without any."""
        if group is not None or self.groups is None:
            return Labelled(self.denoiser, group)
        return unlabelled(self.denoiser, self.groups, n, self.denoiser.data_std.device)

    def _guided(self, n: int, y: Tensor | None, group: Tensor | None) -> Denoiser:
        """As `denoiser_for`, asked with labels or clusters `group` (n,), which are of labels y (n,)."""
        denoiser: Denoiser = self._asked(n, group)
        if self.weak is not None and self.guidance_scale != 1.0:
            weak = self.weak._asked(n, None if self.weak.num_classes is None else self.weak._group(y))
            denoiser = Autoguidance(denoiser, weak, self.guidance_scale, self.guidance_interval)
        elif group is not None and self.guidance_scale != 1.0:
            denoiser = ClassifierFreeGuidance(denoiser, self._asked(n), self.guidance_scale, self.guidance_interval)
        if self.clip_denoised and self.spec.value_range is not None:
            denoiser = Clipped(denoiser, *self.spec.value_range)
        return denoiser


def _predicts_data(spec: DataSpec) -> bool:
    """Tell whether the clean image is to be predicted: in colour, where the network folds pixels together.

    What else a network predicts is partly noise, as rich as the pixels are many. One that is narrow beside them leaves
    some of it in every sample, as grain; the clean image is simpler (Li & He 2025, 2511.13720).
    """
    return spec.modality == "image" and spec.shape[0] >= COLOUR and fold_of(*spec.shape[1:]) > 1


def default_denoiser(spec: DataSpec) -> DenoiserFactory:
    """EDM's mixture of x and ε; the clean image for large colour images."""
    return DataDenoiser if _predicts_data(spec) else EDMDenoiser


def default_objective(spec: DataSpec) -> DenoisingObjective:
    """Denoising at log-normal noise levels; of little noise a network that predicts the clean image learns nothing."""
    return Denoising(LogNormalLevels(*HIGH_LEVELS)) if _predicts_data(spec) else Denoising()


def _too_large(sides: Sequence[int]) -> str:
    """Refuse images on which the default network would be too slow to be useful, in one line."""
    height, width = sides
    return (
        f"model=diffusion denoises images of up to 128x128 pixels with its default network, not {height}x{width}: "
        "choose smaller images (data.size=), model=latent_diffusion over a model=autoencoder, or backbone=unet"
    )


def refuse_other_data(spec: DataSpec, weak: DataSpec) -> None:
    """Raises ConfigError where the weaker model of a guidance was made for other data."""
    if (name := spec.departure(weak)) is not None:
        word, mine, other = name.replace("_", " "), getattr(spec, name), getattr(weak, name)
        raise ConfigError(f"guidance.weak: its data has the {word} {other}, this model's {mine}: name another one")
