r"""The averaged copy of a model: an exponential moving average of its weights,

.. math:: \bar\theta \leftarrow d\,\bar\theta + (1 - d)\,\theta, \qquad d = \min(d_{max}, \tfrac{1 + n}{10 + n})

after n updates, so that a short run is not an average of its initialisation. It is a separate module, in eval mode, and
never swapped into the live weights. Buffers are copied; frozen parameters are shared.
"""

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn

from genkit.component import Component, Probability

Model = TypeVar("Model", bound=nn.Module)


def averaged_copy(model: Model, frozen: set[nn.Parameter]) -> Model:
    """A copy of `model` in eval mode that shares the `frozen` parameters and asks for no gradients."""
    copied = copy.deepcopy(model, memo={id(parameter): parameter for parameter in frozen})
    return copied.eval().requires_grad_(False)


class EMA(Component):
    """Settings of an exponential moving average of the weights.

    References: Polyak & Juditsky 1992; Yazıcı et al. 2018, 1806.04498; warm-up as in TensorFlow's
    ExponentialMovingAverage.

    Arguments:
        decay: d_max.
    """

    def __init__(self, decay: Probability = 0.999) -> None:
        self.decay = decay

    @torch.no_grad()
    def update(self, averaged: list[Tensor], live: list[Tensor], n: int) -> None:
        """Moves `averaged` towards `live`, in place, after n earlier updates."""
        if averaged:
            torch._foreach_lerp_(averaged, live, 1 - min(self.decay, (1 + n) / (10 + n)))
