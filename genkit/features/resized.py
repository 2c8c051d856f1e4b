"""The shipped network of colour images for images of any size.

The network takes 32x32 pixels, so images are brought there by an antialiased cubic and clipped to the range that the
cubic may leave. Without the antialiasing a large image is sampled at every so many pixels, and the score hangs on which
ones (Parmar et al. 2022, 2104.11222). All of an image is kept, since nobody would score what a crop leaves out: one
that is not square is squeezed along its longer side, real and generated images alike. Smaller images are enlarged by
the same cubic. Grey images are repeated to three channels, as for Inception: a network of photographs knows edges and
shapes without colour too, while pixels, the alternative, take a shift by one for another picture.

The name says the size, `fid[cifar@32]`, and so does the id: no score or cache of resized images passes for one of the
network's own. Detail finer than a 32nd of the image is not seen; `features=inception` and `dinov2` see it.
"""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor

from genkit.data.kinds import Quantised, Real
from genkit.data.spec import DataSpec
from genkit.features.base import Classifier, FeatureExtractor
from genkit.features.classifier import ClassifierFeatures
from genkit.features.network import seen

LEAST_LEVELS = 32  # 5 bits, as generative models of photographs reduce them to; fewer make a drawing, not a picture


class ResizedFeatures(FeatureExtractor, Classifier):
    """The features of a shipped network of colour images, of images that are resized for it.

    Args:
        one: The network.
    """

    modalities = ("image",)
    kinds = (Quantised, Real)
    costly = True

    def __init__(self, one: ClassifierFeatures) -> None:
        self.one = one
        _, self.height, self.width = one.shape
        self.name, self.id = f"{one.name}@{self.width}", f"{one.id}/{self.width}-bicubic"
        self.normalize = one.normalize

    def accepts(self, spec: DataSpec) -> bool:
        """Pictures of one or three channels; real numbers only with a range, which says what is black and white."""
        fine = spec.value_range is not None and (spec.levels is None or spec.levels >= LEAST_LEVELS)
        return self.one.shape[0] == 3 and spec.shape[0] in (1, 3) and fine

    def to(self, device: torch.device) -> Self:
        self.one.to(device)
        return self

    def dim(self, spec: DataSpec) -> int:
        return len(self.one.mean)

    def __call__(self, x: Tensor, spec: DataSpec) -> Tensor:
        return self.one.features_of(self._resized(x, spec))

    def logits(self, x: Tensor, spec: DataSpec) -> Tensor:
        """Class scores (B, K) of the same classifier."""
        return self.one.logits_of(self._resized(x, spec))

    def _resized(self, x: Tensor, spec: DataSpec) -> Tensor:
        return seen(x, spec, self.height, self.width).expand(-1, 3, -1, -1)

    def standing_in(self) -> FeatureExtractor:
        other = super().standing_in()
        other.caution = (
            f"{other.name}: the images are resized to {self.height}x{self.width} for a network that is made for "
            f"{self.one.name}, not for this data: features=own (labelled data), inception or dinov2 see more"
        )
        return other
