r"""Coupling layers: change some channels by a monotone map whose parameters a network reads off other channels.

.. math:: z_{change} = g(x_{change}; \theta), \quad \theta = b + a \cdot \mathrm{net}(x_{keep}, y), \quad
          z_i = x_i \text{ elsewhere}.

The Jacobian is triangular, so its log-determinant is the sum of log g′, and the inverse needs g⁻¹ only, for any
network. b holds one set of parameters per position: the marginal of every pixel is learned directly, and the
network adds what the context says. With few channels `keep`, a sequence of couplings is autoregressive in groups.

`Elementwise` is the contract of g, `Additive` the map of NICE, `Affine` that of RealNVP; the spline is in `spline.py`.
`Marginal` is a coupling that reads nothing but the label.

References:
    NICE: Non-linear independent components estimation (Dinh, Krueger, Bengio, 2014), arXiv:1410.8516.
    Density estimation using Real NVP (Dinh, Sohl-Dickstein, Bengio, 2016), arXiv:1605.08803.
    Glow: Generative flow with invertible 1x1 convolutions (Kingma, Dhariwal, 2018), arXiv:1807.03039.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from genkit.component import Component, PositiveFloat
from genkit.flows.transform import Transform, per_example
from genkit.nn.backbone import BackboneFactory

# Not 1: an untrained network would bend the flow. Not 0: for a step the network would get no gradient.
GAIN = 0.1


class Elementwise(Component, ABC):
    """A strictly increasing map g(·; θ) of single values, the identity at θ = 0.

    Attributes:
        num_parameters: P, how many numbers θ has per value.
    """

    num_parameters: int

    @abstractmethod
    def forward(self, x: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, C, …) and θ (B or 1, C, P, …) to (g(x), log g′(x)), both (B, C, …)."""

    @abstractmethod
    def inverse(self, z: Tensor, theta: Tensor) -> Tensor:
        """g⁻¹(z) for z (B, C, …) and θ (B or 1, C, P, …)."""


class Additive(Elementwise):
    """g(x) = x + t: it keeps the volume."""

    num_parameters = 1

    def forward(self, x: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
        return x + theta.squeeze(2), torch.zeros_like(x)

    def inverse(self, z: Tensor, theta: Tensor) -> Tensor:
        return z - theta.squeeze(2)


class Affine(Elementwise):
    """g(x) = x exp(s) + t with s = m tanh(s̃ / m): the scale cannot leave [e⁻ᵐ, eᵐ].

    Arguments:
        max_log_scale: m.
    """

    num_parameters = 2

    def __init__(self, max_log_scale: PositiveFloat = 3.0) -> None:
        self.max_log_scale = max_log_scale

    def forward(self, x: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
        log_scale, shift = self._bounded(theta)
        return x * log_scale.exp() + shift, log_scale.expand_as(x)

    def inverse(self, z: Tensor, theta: Tensor) -> Tensor:
        log_scale, shift = self._bounded(theta)
        return (z - shift) * (-log_scale).exp()

    def _bounded(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        free, shift = theta.unbind(2)
        return self.max_log_scale * torch.tanh(free / self.max_log_scale), shift


class CouplingLayer(Transform):
    """Changes the channels `change` of x (B, C, …) given its channels `keep`; any others pass untouched and unread.

    Arguments:
        elementwise: The map g.
        shape: (C, …), one example: (D,) for vectors, (C, H, W) for images.
        keep: Channels that the network reads; at least one.
        change: Channels that change; disjoint from `keep`, at least one.
        network: Factory of the network, (len(keep), …) to (len(change) · P, …).
        num_classes: Number of labels that the network reads, None for none.
        gain: a at the start, what the untrained network adds to b; 0 starts with the network silent.
    """

    keep: Tensor
    change: Tensor

    def __init__(
        self,
        elementwise: Elementwise,
        *,
        shape: tuple[int, ...],
        keep: Sequence[int],
        change: Sequence[int],
        network: BackboneFactory,
        num_classes: int | None = None,
        gain: float = GAIN,
    ) -> None:
        super().__init__()
        self.elementwise = elementwise
        outputs = (len(change) * elementwise.num_parameters, *shape[1:])
        self.network = network(in_shape=(len(keep), *shape[1:]), out_shape=outputs, num_classes=num_classes)
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.gain = nn.Parameter(torch.full((outputs[0], *[1] * (len(shape) - 1)), gain))
        self.register_buffer("keep", torch.tensor(list(keep)), persistent=False)
        self.register_buffer("change", torch.tensor(list(change)), persistent=False)

    def forward(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        changed, log_slope = self.elementwise.forward(x.index_select(1, self.change), self._theta(x, y))
        return x.index_copy(1, self.change, changed), per_example(log_slope)

    def inverse(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        changed = self.elementwise.inverse(z.index_select(1, self.change), self._theta(z, y))
        return z.index_copy(1, self.change, changed)

    def _theta(self, x: Tensor, y: Tensor | None) -> Tensor:
        theta = self.bias + self.gain * self.network(x.index_select(1, self.keep), y=y)
        return theta.unflatten(1, (len(self.change), -1))  # (B, len(change), P, …)


class Marginal(Transform):
    """g with its own parameters for every position and label: z_i = g(x_i; b_i + e_i(y)).

    Arguments:
        elementwise: The map g.
        shape: One example.
        num_classes: Number of labels, None for none.
    """

    def __init__(self, elementwise: Elementwise, *, shape: tuple[int, ...], num_classes: int | None = None) -> None:
        super().__init__()
        self.elementwise = elementwise
        self.bias = nn.Parameter(torch.zeros(shape[0], elementwise.num_parameters, *shape[1:]))
        self.by_label = None if num_classes is None else nn.Parameter(torch.zeros(num_classes, *self.bias.shape))

    def forward(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z, log_slope = self.elementwise.forward(x, self._theta(y))
        return z, per_example(log_slope)

    def inverse(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return self.elementwise.inverse(z, self._theta(y))

    def _theta(self, y: Tensor | None) -> Tensor:
        """(B, C, P, …), or (1, C, P, …) where all examples share it."""
        return self.bias[None] if self.by_label is None or y is None else self.bias + self.by_label[y]
