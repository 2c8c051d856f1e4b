r"""Variational dequantisation: where in its bin a stored value is put, learned.

A density p over real values says of a stored value v, whose bin of width w has the middle c,

.. math:: \log P(v) \ge E_{q(x \mid v)} [\log p(x) - \log q(x \mid v)]

for every distribution q on the bin. Uniform noise is one choice, and asks the flow to model a box. Here q is the image
of uniform noise x̃ under a bijection r of the bin onto itself that depends on the bins of the whole example, so that

.. math:: \log p(x) - \log q(x \mid v) - D \log w = \log p(r(\tilde x)) + \log |\det \partial r / \partial \tilde x|,

comparable with every other density of dequantised values: one more bijection in front of the flow, except that a sample
needs not go back through it, since no value leaves its bin. r is a sequence of spline couplings on a checkerboard;
their networks read all bins and the noise that stays.

References:
    Flow++: Improving flow-based generative models with variational dequantization and architecture design
    (Ho, Chen, Srinivas, Duan, Abbeel, 2019), arXiv:1902.00275.
"""

from typing import Annotated, Protocol

import torch
from torch import Tensor, nn

from genkit.component import Component, Depth, Range, Width
from genkit.data.spec import DataSpec
from genkit.errors import ConfigError
from genkit.flows.coupling import GAIN
from genkit.flows.spline import RationalQuadratic
from genkit.flows.transform import Transform, per_example
from genkit.nn.backbone import Backbone
from genkit.nn.mlp import MLP
from genkit.nn.residual_conv import ResidualConv


class DequantisationFactory(Protocol):
    """A model's `dequantisation` argument, to be given the data's spec."""

    def __call__(self, *, spec: DataSpec, num_classes: int | None) -> "VariationalDequantisation": ...


class VariationalDequantisation(Transform, Component):
    """A bijection of every bin onto itself, conditioned on the bins of the example.

    Raises ConfigError for data without levels.

    Arguments:
        layers: Couplings, in turn of the one and the other colour of the checkerboard.
        bins: Pieces of the spline on a bin.
        hidden_channels, depth: Of the networks: convolutions on images, an MLP on vectors.
        spec: The data.
        num_classes: Number of labels that the networks read, None for none.
    """

    mask: Tensor

    def __init__(
        self,
        *,
        spec: DataSpec,
        num_classes: int | None,
        layers: Depth = 2,
        bins: Annotated[int, Range(2, 1024)] = 4,
        hidden_channels: Width = 16,
        depth: Depth = 1,
    ) -> None:
        super().__init__()
        if not spec.kind.spreads:
            raise ConfigError("model.dequantisation: continuous data has no levels to dequantise: set it to null")
        self.spec, self.spline = spec, RationalQuadratic(bins, 1.0)
        self.networks = nn.ModuleList(self._network(num_classes, hidden_channels, depth) for _ in range(layers))
        shape = (self.spline.num_parameters * spec.shape[0], *spec.shape[1:])
        self.bias = nn.ParameterList(torch.zeros(shape) for _ in range(layers))
        self.gain = nn.ParameterList(torch.full((shape[0], *[1] * (len(shape) - 1)), GAIN) for _ in range(layers))
        places = sum(torch.meshgrid(*(torch.arange(size) for size in spec.shape), indexing="ij"))
        self.register_buffer("mask", torch.as_tensor(places) % 2 == 0, persistent=False)

    def forward(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """x (B, *shape) anywhere in its bins to other places in them."""
        centre, v = self._split(x)
        log_abs_det = x.new_zeros(len(x))
        for layer in range(len(self.networks)):
            moves, theta = self._theta(layer, centre, v, y)
            bent, log_slope = self.spline.forward(v, theta)
            v, log_abs_det = torch.where(moves, bent, v), log_abs_det + per_example(log_slope * moves)
        return centre + v * (self.spec.bin_width / 2), log_abs_det

    def inverse(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        centre, v = self._split(z)
        for layer in reversed(range(len(self.networks))):
            moves, theta = self._theta(layer, centre, v, y)
            v = torch.where(moves, self.spline.inverse(v, theta), v)
        return centre + v * (self.spec.bin_width / 2)

    def _network(self, num_classes: int | None, width: int, depth: int) -> Backbone:
        channels, *size = self.spec.shape
        seen, theta = (2 * channels, *size), (self.spline.num_parameters * channels, *size)
        kind: type[ResidualConv] | type[MLP] = ResidualConv if size else MLP
        return kind(in_shape=seen, out_shape=theta, num_classes=num_classes, width=width, depth=depth)

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The middle of each bin, and the place in it in [−1, 1]."""
        centre = self.spec.centre(x)
        return centre, ((x - centre) * (2 / self.spec.bin_width)).clamp(-1, 1)

    def _theta(self, layer: int, centre: Tensor, v: Tensor, y: Tensor | None) -> tuple[Tensor, Tensor]:
        """The mask of the values that layer `layer` moves, and the parameters of their splines (B, C, P, …)."""
        moves = self.mask if layer % 2 == 0 else ~self.mask
        seen = torch.cat((centre, v.where(~moves, 0)), dim=1)
        theta = self.bias[layer] + self.gain[layer] * self.networks[layer](seen, y=y)
        return moves, theta.unflatten(1, (self.spec.shape[0], -1))
