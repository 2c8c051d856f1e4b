r"""Masked autoregressive transform: every value is changed given all the values before it.

.. math:: z_i = g(x_i; \theta_i(x_1, …, x_{i-1}, y)),

the strongest factorisation that a triangular Jacobian allows. A network whose weights are masked (MADE) gives all θ_i
in one pass, so the density costs one evaluation and the inverse D of them: for the few values on top of a multiscale
flow that is the right side of the bargain.

References:
    MADE: Masked autoencoder for distribution estimation (Germain, Gregor, Murray, Larochelle, 2015), arXiv:1502.03509.
    Masked autoregressive flow (Papamakarios, Pavlakou, Murray, 2017), arXiv:1705.07057.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from genkit.flows.coupling import GAIN, Elementwise
from genkit.flows.transform import Transform, per_example
from genkit.nn.masked_mlp import MaskedMLP


class MaskedAutoregressive(Transform):
    """z_i = g(x_i; b_i + a_i θ_i(x_{<i}, y)) on vectors (B, D).

    Arguments:
        elementwise: The map g.
        dim: D.
        width, depth: Of the masked network.
        num_classes: Number of labels that the network reads, None for none.
        octaves: Of the waves that the network sees few values with.
    """

    def __init__(
        self,
        elementwise: Elementwise,
        dim: int,
        *,
        width: int,
        depth: int,
        num_classes: int | None = None,
        octaves: int = 0,
    ) -> None:
        super().__init__()
        self.elementwise = elementwise
        self.network = MaskedMLP(dim, elementwise.num_parameters, num_classes, width, depth, octaves)
        self.bias = nn.Parameter(torch.zeros(dim, elementwise.num_parameters))
        self.gain = nn.Parameter(torch.full((dim, elementwise.num_parameters), GAIN))

    def forward(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z, log_slope = self.elementwise.forward(x, self._theta(x, y))
        return z, per_example(log_slope)

    def inverse(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        x = torch.zeros_like(z)
        for i in range(z.shape[1]):
            theta = self._theta(x, y)[:, i : i + 1]
            x = torch.cat((x[:, :i], self.elementwise.inverse(z[:, i : i + 1], theta), x[:, i + 1 :]), dim=1)
        return x

    def _theta(self, x: Tensor, y: Tensor | None) -> Tensor:
        return self.bias + self.gain * self.network(x, y)
