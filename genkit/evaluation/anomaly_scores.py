r"""Scores of how unlike its training data a model takes an example to be; high is anomalous.

* *nll*, −log P(x) in nats: what a likelihood says. It is dominated by how complex an image is, so simple ones seem
  normal whatever they show (Nalisnick et al. 2019, 1810.09136).
* *typicality*, |−log P(x) − its median over validation data|: too likely is as odd as too unlikely (after Nalisnick et
  al. 2019, 1906.02994).
* *complexity*, −log₂ P(x) − L(x), with L(x) the bits of the example as a PNG, or by LZMA where it is no image: how much
  better a compressor does that knows no data (Serrà et al. 2020, 1909.11480).
* *reconstruction*, the mean squared distance of an example from what a model makes of it.
* *denoising*, E ‖x − D(x + σε)‖² / D with σ half a standard deviation of the data: a denoiser that knows the data moves
  what is not of it (Graham et al. 2023, 2211.07740).
* *energy*, an unnormalised −log p(x), and *discriminator*, how little real a critic takes it to be.

Baselines that know no model: *nearest*, the distance to the nearest training example, and *size*, L(x) itself.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from genkit.data.order import random_order
from genkit.diffusion.denoiser import expand_to
from genkit.evaluation.scored_set import BATCH, Floats, NormalData, ScoredSet
from genkit.models.base import Density, GenerativeModel, Reconstructor
from genkit.models.denoises import Denoises
from genkit.models.energy_function import Energy
from genkit.models.judges import Judges
from genkit.noise import SampleNoise

NEIGHBOURS = 10_000  # training examples that the nearest one is looked for among
DRAWS = 4  # of noise for each example that is denoised
LEVEL = 0.5  # of that noise, in standard deviations of the data


class AnomalyScore(ABC):
    """A score of each example.

    Attributes:
        name: In tables and files.
        words: In a sentence.
        baseline: Whether it knows no model.
    """

    name: ClassVar[str]
    words: ClassVar[str]
    baseline: ClassVar[bool] = False

    def __init__(self, normal: NormalData) -> None:
        self.normal = normal

    @classmethod
    @abstractmethod
    def serves(cls, model: GenerativeModel, normal: NormalData) -> bool:
        """Tell whether there is such a score of a model's examples."""

    @abstractmethod
    def __call__(self, examples: ScoredSet) -> Floats:
        """(n,), high where an example is anomalous."""


class LikelihoodScore(AnomalyScore):
    """−log P(x)."""

    name, words = "nll", "−log P, nats"

    @classmethod
    def serves(cls, model: GenerativeModel, normal: NormalData) -> bool:
        return isinstance(model, Density)

    def __call__(self, examples: ScoredSet) -> Floats:
        return examples.nll


class Typicality(LikelihoodScore):
    """Distance of −log P(x) from its median over validation data."""

    name, words = "typicality", "|−log P − its median on validation data|, nats"

    @classmethod
    def serves(cls, model: GenerativeModel, normal: NormalData) -> bool:
        return super().serves(model, normal) and normal.validation is not None

    def __init__(self, normal: NormalData) -> None:
        super().__init__(normal)
        assert normal.validation is not None
        self.median = float(np.median(normal.validation.nll))

    def __call__(self, examples: ScoredSet) -> Floats:
        return np.abs(examples.nll - self.median)


class ComplexityCorrected(LikelihoodScore):
    """−log₂ P(x) less the bits of a compressor."""

    name, words = "complexity", "−log2 P less the bits of a compressor that knows no data"

    @classmethod
    def serves(cls, model: GenerativeModel, normal: NormalData) -> bool:
        return super().serves(model, normal) and model.spec.kind.count is not None

    def __call__(self, examples: ScoredSet) -> Floats:
        return examples.nll / math.log(2) - examples.complexity


class ReconstructionError(AnomalyScore):
    """Mean squared distance from the reconstruction, in model units."""

    name, words = "reconstruction", "mean squared error of the reconstruction"

    @classmethod
    def serves(cls, model: GenerativeModel, normal: NormalData) -> bool:
        return isinstance(model, Reconstructor)

    def __call__(self, examples: ScoredSet) -> Floats:
        model = examples.model
        assert isinstance(model, Reconstructor)
        rebuild = model.reconstruct
        return examples.each(lambda first, v, x, y: (rebuild(x, y) - x).square().flatten(1).mean(1))


class DenoisingError(AnomalyScore):
    """Mean squared distance of the denoised example, over a few draws of noise that are a function of (seed, place)."""

    name, words = "denoising", f"mean squared error of denoising, noise of {LEVEL} standard deviations"

    @classmethod
    def serves(cls, model: GenerativeModel, normal: NormalData) -> bool:
        return isinstance(model, Denoises)

    def __call__(self, examples: ScoredSet) -> Floats:
        def error(first: int, v: Tensor, x: Tensor, y: Tensor | None) -> Tensor:
            assert isinstance(examples.model, Denoises)
            denoiser = examples.model.denoiser_for(len(x), y)
            level = torch.full((len(x),), LEVEL * self.normal.std, device=x.device)
            t = denoiser.schedule.time(level)
            alpha, sigma = denoiser.schedule(t)
            noise = SampleNoise(examples.seed, range(first, first + len(x)), x.device)
            total = torch.zeros(len(x), device=x.device)
            for _ in range(DRAWS):
                x_t = expand_to(alpha, x) * x + expand_to(sigma, x) * noise(*x.shape[1:])
                total += (denoiser(x_t, t) - x).square().flatten(1).mean(1)
            return total / DRAWS

        return examples.each(error)


class EnergyScore(AnomalyScore):
    """The energy itself."""

    name, words = "energy", "energy, −log p up to a constant"

    @classmethod
    def serves(cls, model: GenerativeModel, normal: NormalData) -> bool:
        return isinstance(model, Energy)

    def __call__(self, examples: ScoredSet) -> Floats:
        model = examples.model
        assert isinstance(model, Energy)
        ask = model.energy
        return examples.each(lambda first, v, x, y: ask(x, y))


class DiscriminatorScore(AnomalyScore):
    """Minus the logit by which a discriminator takes an example to be real."""

    name, words = "discriminator", "minus the discriminator's logit"

    @classmethod
    def serves(cls, model: GenerativeModel, normal: NormalData) -> bool:
        return isinstance(model, Judges)

    def __call__(self, examples: ScoredSet) -> Floats:
        model = examples.model
        assert isinstance(model, Judges)
        ask = model.realness
        return examples.each(lambda first, v, x, y: -ask(x, y))


class NearestDistance(AnomalyScore):
    """Distance to the nearest training example, in the coordinates that distances of such data are measured in."""

    name, words, baseline = "nearest", "baseline: distance to the nearest training example", True

    @classmethod
    def serves(cls, model: GenerativeModel, normal: NormalData) -> bool:
        return normal.train is not None

    def __init__(self, normal: NormalData) -> None:
        super().__init__(normal)
        assert normal.train is not None
        index = random_order(normal.train, min(NEIGHBOURS, len(normal.train)), normal.seed)
        self.train = normal.train.take(index).x

    def __call__(self, examples: ScoredSet) -> Floats:
        kind = examples.model.spec.kind
        train = kind.coordinates(self.train).flatten(1).float()
        rows = kind.coordinates(examples.v).flatten(1).float().split(BATCH)
        return torch.cat([torch.cdist(part, train).amin(1) for part in rows]).double().numpy()


class CompressedSize(AnomalyScore):
    """Bits of an example by a compressor that knows no data."""

    name, words, baseline = "size", "baseline: bits of the example as a PNG, or by LZMA", True

    @classmethod
    def serves(cls, model: GenerativeModel, normal: NormalData) -> bool:
        return model.spec.kind.count is not None

    def __call__(self, examples: ScoredSet) -> Floats:
        return examples.complexity


SCORES: tuple[type[AnomalyScore], ...] = (
    LikelihoodScore,
    Typicality,
    ComplexityCorrected,
    ReconstructionError,
    DenoisingError,
    EnergyScore,
    DiscriminatorScore,
    NearestDistance,
    CompressedSize,
)
