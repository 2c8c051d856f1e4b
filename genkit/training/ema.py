r"""The averaged copy of a model: an exponential moving average of its weights,

.. math:: \bar\theta \leftarrow d\,\bar\theta + (1 - d)\,\theta, \qquad d = \min(d_{max}, \tfrac{1 + n}{10 + n})

after n updates, so that a short run is not an average of its initialisation. It is a separate module, in eval mode, and
never swapped into the live weights. Buffers are copied, and those that `preparation.py` fits are fitted before a use;
frozen parameters are shared.
"""

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn

from genkit.component import Component, Probability

LEAST_HORIZON = 1000  # steps
SHARE = 0.05  # of a run

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
        decay: d_max; None chooses by the length of the run (`horizon`).
    """

    def __init__(self, decay: Probability | None = None) -> None:
        self.decay = decay

    def of_run(self, steps: int) -> float:
        """d_max in a run of so many steps."""
        return 1 - 1 / horizon(steps) if self.decay is None else self.decay

    @torch.no_grad()
    def update(self, averaged: list[Tensor], live: list[Tensor], n: int, steps: int) -> None:
        """Moves `averaged` towards `live`, in place, after n earlier updates in a run of so many steps."""
        if averaged:
            torch._foreach_lerp_(averaged, live, 1 - min(self.of_run(steps), (1 + n) / (10 + n)))


def horizon(steps: int) -> float:
    """The steps that an average looks back on: a twentieth of the run, at least a thousand.

    The longer a run, the longer its weights wander around one place, so that an average over a fixed share of the run
    is as good at every length (Karras et al. 2023, 2312.02696).
    """
    return max(LEAST_HORIZON, steps * SHARE)
