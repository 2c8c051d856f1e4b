r"""Features of images whose channels are digits of their own: those of each channel, side by side.

The classes are the tuples of the channels' classes; a tuple's logit is the sum of its classes' log-probabilities, so
that its probability is their product. Stacked MNIST has 10³ of them (VEEGAN, Srivastava et al. 2017, 1705.07761).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Self

import torch
from torch import Tensor

from genkit.component import PositiveInt
from genkit.data.spec import DataSpec
from genkit.features.base import Classifier, FeatureExtractor
from genkit.features.classifier import ClassifierFeatures


class StackedFeatures(FeatureExtractor, Classifier):
    """The features of a shipped classifier, channel by channel.

    Args:
        name: The classifier, made for one channel: "mnist" or "digits".
        channels: C, how many there are.

    Raises:
        ConfigError: there is no such classifier.
        DataError: its files are missing or altered.
    """

    costly = True

    def __init__(self, name: str = "mnist", channels: PositiveInt = 3) -> None:
        self.one, self.channels = ClassifierFeatures(name), channels
        self.name, self.id = f"stacked_{name}", f"{self.one.id}x{channels}"
        self.normalize = self.one.normalize

    def accepts(self, spec: DataSpec) -> bool:
        return spec.shape[:1] == (self.channels,) and self.one.serves(_of_one_channel(spec))

    def to(self, device: torch.device) -> Self:
        self.one.to(device)
        return self

    def dim(self, spec: DataSpec) -> int:
        return self.channels * self.one.dim(_of_one_channel(spec))

    def __call__(self, x: Tensor, spec: DataSpec) -> Tensor:
        return torch.cat([self.one(part, _of_one_channel(spec)) for part in x.split(1, dim=1)], 1)

    def logits(self, x: Tensor, spec: DataSpec) -> Tensor:
        """Log-probabilities (B, K^C) of the tuples, the first channel's class counting most."""
        joint = x.new_zeros(len(x), 1)
        for part in x.split(1, dim=1):
            each = self.one.logits(part, _of_one_channel(spec)).log_softmax(1)
            joint = (joint[:, :, None] + each[:, None]).flatten(1)
        return joint


def _of_one_channel(spec: DataSpec) -> DataSpec:
    return replace(spec, shape=(1, *spec.shape[1:]))
