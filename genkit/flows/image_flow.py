r"""Multiscale flows of images to standard normal latents: RealNVP and Glow.

    pixels ── logit ── [ squeeze ── layers of the level ── split ] x levels ── rest

A split lets half of the channels leave as latents after one more affine coupling that reads the half that stays: that
is Glow's learned prior p(gone | kept). The rest has a learned mean and scale for every value and label.

The pixels may first pass a spline each, of its own for every position (`bins`): it learns the pixel's marginal
distribution exactly, hard ends and peaks included, which affine maps of a Gaussian cannot bend themselves to.

* `RealNVP`: after the squeeze the four pixels of a 2x2 block are the groups a b / c d; a checkerboard mask couples
  {a, d} with {b, c}, a channel mask {a, b} with {c, d}. An ActNorm stands for the paper's batch normalisation.
* `Glow`: steps of ActNorm, invertible 1x1 convolution and coupling of one half given the other, whose network is
  silent at the start.

References:
    Density estimation using Real NVP (Dinh, Sohl-Dickstein, Bengio, 2016), arXiv:1605.08803.
    Glow: Generative flow with invertible 1x1 convolutions (Kingma, Dhariwal, 2018), arXiv:1807.03039.
    Neural spline flows (Durkan, Bekasov, Murray, Papamakarios, 2019), arXiv:1906.04032.
"""

from abc import abstractmethod
from collections.abc import Sequence
from functools import partial
from typing import Annotated, ClassVar

from genkit.component import Depth, Range, Width
from genkit.data.kinds import Modality
from genkit.data.spec import DataSpec
from genkit.flows.border import Border
from genkit.flows.coupling import Affine, CouplingLayer, Elementwise, Marginal
from genkit.flows.linear import ActNorm, LULinear
from genkit.flows.multiscale import Multiscale, halved, halvings
from genkit.flows.prior import NormalBase
from genkit.flows.recipe import Bijection, Recipe, unbounded
from genkit.flows.spline import RationalQuadratic
from genkit.flows.transform import Chain, Rescale, Transform
from genkit.nn.backbone import BackboneFactory
from genkit.nn.residual_conv import ResidualConv

MarginalBins = Annotated[int, Range(0, 1024)]


class ImageFlow(Recipe):
    """Common base of RealNVP and Glow: pixels to the real line, levels that split, a learned prior of the rest.

    Arguments:
        elementwise: The map of the couplings.
        levels: How often the image is halved, at most; all but the first halving leave at least 4x4.
        steps: Repetitions of a level's layers.
        bins: Pieces of the spline that every pixel passes first; 0: none.
        hidden_channels, depth: Of the convolutional networks.
        network: Of the couplings; None: the residual convolutional network.
    """

    modalities: ClassVar[tuple[Modality, ...]] = ("image",)

    def __init__(
        self,
        elementwise: Elementwise,
        levels: Depth = 2,
        steps: Depth = 4,
        bins: MarginalBins = 0,
        hidden_channels: Width = 32,
        depth: Depth = 1,
        network: BackboneFactory | None = None,
    ) -> None:
        self.elementwise, self.levels, self.steps, self.bins = elementwise, levels, steps, bins
        self.network = network or partial(ResidualConv, width=hidden_channels, depth=depth)

    @abstractmethod
    def step(self, shape: tuple[int, ...], number: int, num_classes: int | None) -> Sequence[Transform]:
        """The layers of one step on squeezed images of `shape`."""

    def layers(self, spec: DataSpec, num_classes: int | None) -> Bijection:
        shape, parts, kept = spec.shape, list[Transform](), list[int]()
        for _ in range(halvings(spec.shape, self.levels)):
            shape = halved(shape)
            parts.append(self._level(shape, len(parts), num_classes))
            kept.append(shape[0] // 2)
            shape = (kept[-1], *shape[1:])
        top = Marginal(Affine(), shape=(shape[0] * shape[1] * shape[2],), num_classes=num_classes)
        border = partial(Border, Affine(), network=self.network, num_classes=num_classes, gain=0.0)
        scales = Multiscale(spec.shape, parts, kept, top, lambda shape: border(shape=shape))
        return Bijection(Chain([*self._pixels(spec, num_classes), scales]), NormalBase())

    def _pixels(self, spec: DataSpec, num_classes: int | None) -> list[Transform]:
        """From the pixel range to the real line."""
        if not self.bins or spec.value_range is None:
            return unbounded(spec)
        own = Marginal(RationalQuadratic(self.bins, 1.0), shape=spec.shape, num_classes=num_classes)
        box = DataSpec(spec.shape, spec.modality, (-1.0, 1.0))
        return [Rescale(*spec.value_range), own, *unbounded(box)]

    def _level(self, shape: tuple[int, ...], level: int, num_classes: int | None) -> Transform:
        layers: list[Transform] = []
        for step in range(self.steps):
            layers += self.step(shape, level * self.steps + step, num_classes)
        stay, go = range(shape[0] // 2), range(shape[0] // 2, shape[0])
        return Chain([*layers, self.coupling(stay, go, shape, num_classes, Affine())])

    def coupling(
        self,
        keep: Sequence[int],
        change: Sequence[int],
        shape: tuple[int, ...],
        num_classes: int | None,
        elementwise: Elementwise | None = None,
    ) -> CouplingLayer:
        return CouplingLayer(
            elementwise or self.elementwise,
            shape=shape,
            keep=keep,
            change=change,
            network=self.network,
            num_classes=num_classes,
            gain=0.0,
        )


class RealNVP(ImageFlow):
    """Checkerboard couplings both ways, then channel couplings both ways, each after an ActNorm."""

    def step(self, shape: tuple[int, ...], number: int, num_classes: int | None) -> Sequence[Transform]:
        size = shape[0] // 4
        a, b, c, d = (list(range(i * size, (i + 1) * size)) for i in range(4))
        masks = ((a + d, b + c), (b + c, a + d), (a + b, c + d), (c + d, a + b))
        pairs = [(ActNorm(shape[0]), self.coupling(keep, change, shape, num_classes)) for keep, change in masks]
        return [layer for pair in pairs for layer in pair]


class Glow(ImageFlow):
    """ActNorm, invertible 1x1 convolution, and a coupling of the second half of the channels given the first."""

    def step(self, shape: tuple[int, ...], number: int, num_classes: int | None) -> Sequence[Transform]:
        first, second = range(shape[0] // 2), range(shape[0] // 2, shape[0])
        mixing = LULinear(shape[0], _order(shape[0], number))
        return [ActNorm(shape[0]), mixing, self.coupling(first, second, shape, num_classes)]


def _order(channels: int, number: int) -> list[int]:
    """Initial order of a step's channels: odd steps swap the halves, even ones deal channels to them in turn.

    A random rotation would blend pixels before any coupling has seen them, and noise with hard ends, once blended, is
    hard to tell apart again.
    """
    half = channels // 2
    if number % 2:
        return [*range(half, channels), *range(half)]
    return [*range(0, channels, 2), *range(1, channels, 2)]
