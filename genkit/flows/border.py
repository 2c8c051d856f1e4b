r"""Odd sides: the last row and column of an image leave before it is halved, given all the rest.

.. math:: z_{border} = g(x_{border}; \theta), \quad \theta = b + a \cdot \mathrm{net}(\mathrm{even}(x), y), \quad
          z_i = x_i \text{ elsewhere}

where even(x) is the largest part of x with even sides, its last row and column repeated where the border was.
One coupling with an exact density like any other, so that every size has one.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genkit.flows.coupling import Elementwise
from genkit.flows.transform import Transform, per_example
from genkit.nn.backbone import BackboneFactory


class Border(Transform):
    """Changes the last row of x (B, C, H, W), its last column or both, where H or W is odd, given the rest.

    Arguments:
        elementwise: The map g.
        shape: (C, H, W) of one example, H or W odd.
        network: Factory of the network, (C, H, W) to (C · P, H, W).
        num_classes: Number of labels that the network reads, None for none.
        gain: a at the start.
    """

    outside: Tensor

    def __init__(
        self,
        elementwise: Elementwise,
        *,
        shape: tuple[int, ...],
        network: BackboneFactory,
        num_classes: int | None,
        gain: float,
    ) -> None:
        super().__init__()
        channels, height, width = shape
        self.elementwise = elementwise
        outputs = (channels * elementwise.num_parameters, height, width)
        self.network = network(in_shape=shape, out_shape=outputs, num_classes=num_classes)
        outside = torch.ones(height, width, dtype=torch.bool)
        outside[: height - height % 2, : width - width % 2] = False
        self.register_buffer("outside", outside, persistent=False)
        self.bias = nn.Parameter(torch.zeros(outputs[0], int(outside.sum())))
        self.gain = nn.Parameter(torch.full((outputs[0], 1), gain))

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, C, H, W) to its part with even sides and the values of its border, (B, D)."""
        height, width = x.shape[2:]
        return x[:, :, : height - height % 2, : width - width % 2], x[:, :, self.outside].flatten(1)

    def join(self, even: Tensor, border: Tensor) -> Tensor:
        """The inverse of `split`."""
        x = self._padded(even).clone()
        x[:, :, self.outside] = border.unflatten(1, (x.shape[1], -1))
        return x

    def forward(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        even, border = self.split(x)
        changed, log_slope = self.elementwise.forward(border.unflatten(1, (x.shape[1], -1)), self._theta(even, y))
        return self.join(even, changed.flatten(1)), per_example(log_slope)

    def inverse(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        even, border = self.split(z)
        changed = self.elementwise.inverse(border.unflatten(1, (z.shape[1], -1)), self._theta(even, y))
        return self.join(even, changed.flatten(1))

    def _theta(self, even: Tensor, y: Tensor | None) -> Tensor:
        """θ (B, C, P, n) of the n places of the border."""
        out = self.network(self._padded(even), y=y)[:, :, self.outside]
        return (self.bias + self.gain * out).unflatten(1, (even.shape[1], -1))

    def _padded(self, even: Tensor) -> Tensor:
        """The even part in the size of the whole, its last row and column repeated."""
        height, width = self.outside.shape
        return F.pad(even, (0, width - even.shape[3], 0, height - even.shape[2]), mode="replicate")
