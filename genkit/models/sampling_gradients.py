"""The ability of sampling along gradients, and the mode in which a model is sampled.

Samples carry no gradient, and most models are sampled with gradients switched off. A model whose samples follow the
gradient of its own density needs them inside.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


class SamplesByGradient:
    """Ability: sampling differentiates the model, so gradients stay on around it."""


@contextmanager
def sampling_mode(model: nn.Module) -> Iterator[None]:
    """Inside, gradients are on for a model that samples by them, whatever the caller has set, and off for others."""
    if isinstance(model, SamplesByGradient):
        with torch.inference_mode(False), torch.enable_grad():
            yield
    else:
        with torch.no_grad():
            yield
