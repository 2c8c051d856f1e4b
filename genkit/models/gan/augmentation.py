r"""Augmentation that gradients pass through: real and generated examples are judged only after T,

.. math:: D(T(x)), \quad D(T(G(z))), \quad \text{in both players' losses},

so a discriminator that would learn few training images by heart sees many, and the generator does not learn T itself.
Several maps follow each other. What is drawn for an example is a function of its position in the batch
(`genkit.batch_noise`). T may change with the progress of the training.
"""

from abc import ABC, abstractmethod
from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional as F

from genkit.batch_noise import integers, normal_like, uniform
from genkit.component import Component, PositiveFloat, Probability, Range
from genkit.data.spec import DataSpec, Takes
from genkit.errors import ConfigError

Share = Annotated[float, Range(0.0, 1.0, open_low=True)]


class Augmentation(Component, Takes, ABC):
    """A random, differentiable map of examples to examples.

    Attributes:
        modalities, kinds: Data on which it is defined, see `Takes`.
        needs_horizon: Whether it depends on the progress of the training.
    """

    needs_horizon: bool = False

    def check(self, spec: DataSpec) -> None:
        """Raises ConfigError for data that it is not defined on."""
        if reason := self.unfit(spec):
            raise ConfigError(f"model.augment={type(self).__name__} is for {reason}: model.augment=[]")

    @abstractmethod
    def __call__(self, x: Tensor, progress: float) -> Tensor:
        """(B, *shape) to the same, each example in a way of its own; `progress` of the training in [0, 1]."""


class DiffAugment(Augmentation):
    """Brightness and contrast, translation, cutout; what is 0 is left out, and all 0 is the identity.

    References: Differentiable Augmentation for Data-Efficient GAN Training (Zhao et al. 2020, 2006.10738). Saturation
    is left out: one channel has none.

    Arguments:
        brightness: Largest value added to an example, or taken from it.
        contrast: Largest relative change of an example's deviations from its mean.
        translation: Largest shift, as a share of each side.
        cutout: Side of the square that is cut out, as a share of each side.
        fill: What stands where the image was moved away or cut out.
    """

    modalities = ("image",)

    def __init__(
        self,
        brightness: Probability = 0.5,
        contrast: Probability = 0.5,
        translation: Probability = 0.125,
        cutout: Probability = 0.5,
        fill: Annotated[float, Range(-1.0, 1.0)] = 0.0,
    ) -> None:
        self.brightness, self.contrast = brightness, contrast
        self.translation, self.cutout, self.fill = translation, cutout, fill

    def __call__(self, x: Tensor, progress: float) -> Tensor:
        if self.brightness:
            x = x + self.brightness * _symmetric(x)
        if self.contrast:
            mean = x.mean((1, 2, 3), keepdim=True)
            x = mean + (x - mean) * (1 + self.contrast * _symmetric(x))
        if self.translation:
            x = self._translated(x)
        return self._cut(x) if self.cutout else x

    def _translated(self, x: Tensor) -> Tensor:
        (rows, far_down), (columns, far_across) = (self._window(x, side) for side in x.shape[2:])
        x = F.pad(x, (far_across, far_across, far_down, far_down), value=self.fill)
        example = torch.arange(len(x), device=x.device)[:, None, None]
        # (B, H, W, C): advanced indices around a slice put the slice last
        return x[example, :, rows[:, :, None], columns[:, None, :]].movedim(3, 1)

    def _window(self, x: Tensor, side: int) -> tuple[Tensor, int]:
        """Indices (B, side) of a window into the padded side, and the padding."""
        far = round(self.translation * side)
        start = integers(2 * far + 1, len(x), 1, device=x.device)
        return start + torch.arange(side, device=x.device), far

    def _cut(self, x: Tensor) -> Tensor:
        down, across = (self._hole(x, side) for side in x.shape[2:])
        hole = (down[:, :, None] & across[:, None, :])[:, None]  # (B, 1, H, W)
        return x.masked_fill(hole, self.fill)

    def _hole(self, x: Tensor, side: int) -> Tensor:
        """(B, side) bool: a stretch of the cut-out's length around a uniform place, cut off at the border."""
        length = round(self.cutout * side)
        start = integers(side + 1 - length % 2, len(x), 1, device=x.device) - length // 2
        place = torch.arange(side, device=x.device)
        return (place >= start) & (place < start + length)


class InstanceNoise(Augmentation):
    """x + σ ε, ε standard normal: the discriminator cannot see differences finer than σ.

    Quantised data lies on a lattice that a continuous generator can never quite meet, and which gives it away.

    References: Amortised MAP Inference for Image Super-resolution (Sønderby et al. 2016, 1610.04490); Towards
    Principled Methods for Training Generative Adversarial Networks (Arjovsky & Bottou 2017, 1701.04862).

    Arguments:
        std: σ, in units of the data as it is scaled.
    """

    def __init__(self, std: PositiveFloat = 0.05) -> None:
        self.std = std

    def __call__(self, x: Tensor, progress: float) -> Tensor:
        return x + self.std * normal_like(x)


class AnnealedNoise(Augmentation):
    """x + σ(t) ε, σ falling geometrically to `final` over the first `share` of the training, and then to nothing.

    Under wide noise the data is a single hill, which no generator can take for its ridge alone; modes part one after
    the other as it falls, each already held. Far apart and narrow modes are else found by chance, and lost again.

    References: Sønderby et al. 2016, 1610.04490; Arjovsky & Bottou 2017, 1701.04862; Diffusion-GAN (Wang et al. 2022,
    2206.02262).

    Arguments:
        std: σ at the beginning, in units of the data as it is scaled: half the way between modes.
        final: σ at the end of the fall: less than the width of a mode.
        share: Share of the training that it lasts.
    """

    def __init__(self, std: PositiveFloat = 0.5, final: PositiveFloat = 0.02, share: Share = 0.6) -> None:
        self.std, self.final, self.share = std, final, share
        self.needs_horizon = True

    def __call__(self, x: Tensor, progress: float) -> Tensor:
        if progress >= self.share:
            return x
        return x + self.std * (self.final / self.std) ** (progress / self.share) * normal_like(x)


def _symmetric(x: Tensor) -> Tensor:
    """Uniform in [−1, 1), one per example, (B, 1, 1, 1)."""
    return 2 * uniform(len(x), 1, 1, 1, device=x.device, dtype=x.dtype) - 1
