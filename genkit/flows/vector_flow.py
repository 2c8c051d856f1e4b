r"""Flows of vectors to standard normal latents: couplings of halves, masked autoregression, a differential equation.

* `Couplings`: ActNorm, then `layers` couplings of one half of the values given the other, with rotations between them
  or without. The elementwise map says which flow it is: additive NICE, affine RealNVP, splines NSF.
* `Autoregression`: every value given all before it, in an order that turns around from layer to layer. Affine MAF, or
  splines, with which one layer already represents any density that its network does.
* `Continuous`: one ordinary differential equation, see `continuous.py`.

Images are flattened and mapped to the real line by a logit first, where a recipe serves them.

References:
    NICE: Non-linear independent components estimation (Dinh, Krueger, Bengio, 2014), arXiv:1410.8516.
    Density estimation using Real NVP (Dinh, Sohl-Dickstein, Bengio, 2016), arXiv:1605.08803.
    Masked autoregressive flow (Papamakarios, Pavlakou, Murray, 2017), arXiv:1705.07057.
    Neural spline flows (Durkan, Bekasov, Murray, Papamakarios, 2019), arXiv:1906.04032.
"""

from collections.abc import Iterator
from functools import partial
from typing import Annotated, ClassVar

import torch

from genkit.component import Depth, NonNegativeFloat, Range, Width
from genkit.data.kinds import Modality
from genkit.data.spec import DataSpec
from genkit.flows.autoregressive import MaskedAutoregressive
from genkit.flows.continuous import ContinuousFlow
from genkit.flows.coupling import CouplingLayer, Elementwise, Marginal
from genkit.flows.linear import ActNorm, LULinear, Permutation, Scaling
from genkit.flows.prior import NormalBase
from genkit.flows.recipe import Bijection, Recipe, flattened, unbounded
from genkit.flows.transform import Chain, Transform
from genkit.nn.backbone import BackboneFactory
from genkit.nn.mlp import MLP
from genkit.noise import generator_of

Octaves = Annotated[int, Range(0, 16)]
HIDDEN_FEATURES, DEPTH = 64, 2  # of the networks that tell a layer its parameters


class Couplings(Recipe):
    """ActNorm and `layers` couplings between halves.

    One value alone has nothing to be coupled with: there the maps depend on the label only.

    Arguments:
        elementwise: The map of the values that change.
        layers: Couplings.
        rotate: Whether a linear map mixes all values after each coupling; else they keep their places.
        scaling: Whether every latent is scaled at last, for maps that keep the volume.
        hidden_features, depth: Of the MLPs.
        octaves: Of the waves that an MLP of at most eight inputs sees them with.
        network: Of the couplings; None: the residual MLP.
    """

    def __init__(
        self,
        elementwise: Elementwise,
        layers: Depth = 6,
        rotate: bool = True,
        scaling: bool = False,
        hidden_features: Width = HIDDEN_FEATURES,
        depth: Depth = DEPTH,
        octaves: Octaves = 0,
        network: BackboneFactory | None = None,
    ) -> None:
        self.elementwise, self.count = elementwise, layers
        self.rotate, self.scaling = rotate, scaling
        self.network = network or partial(MLP, width=hidden_features, depth=depth, octaves=octaves)

    def layers(self, spec: DataSpec, num_classes: int | None) -> Bijection:
        parts = [*unbounded(spec), *flattened(spec), ActNorm(spec.dim)]
        for keep, change in halves(spec.dim, self.count):
            parts.append(self._coupling(spec.dim, keep, change, num_classes))
            if self.rotate and spec.dim > 1:
                parts.append(LULinear(spec.dim, generator_of(len(parts), "rotation")))
        if self.scaling:
            parts.append(Scaling(spec.dim))
        return Bijection(Chain(parts), NormalBase())

    def _coupling(self, dim: int, keep: list[int], change: list[int], num_classes: int | None) -> Transform:
        if dim == 1:
            return Marginal(self.elementwise, shape=(1,), num_classes=num_classes)
        return CouplingLayer(
            self.elementwise, shape=(dim,), keep=keep, change=change, network=self.network, num_classes=num_classes
        )


class Autoregression(Recipe):
    """ActNorm and `layers` masked autoregressive maps, the order of the values reversed after each.

    The density costs one pass of each network and a sample D of them.

    Arguments:
        elementwise: The map of each value.
        layers: Autoregressive maps.
        last: The map of the last layer, next to the latents; None: as the others. A mixture gives an affine flow a base
            with modes.
        normalise: Whether an ActNorm stands before every layer, as the paper's batch normalisation does, or one first.
        hidden_features, depth: Of the masked MLPs.
        octaves: Of the waves that a masked MLP of at most eight inputs sees them with.
    """

    modalities: ClassVar[tuple[Modality, ...]] = ("vector",)

    def __init__(
        self,
        elementwise: Elementwise,
        layers: Depth = 5,
        last: Elementwise | None = None,
        normalise: bool = True,
        hidden_features: Width = HIDDEN_FEATURES,
        depth: Depth = DEPTH,
        octaves: Octaves = 0,
    ) -> None:
        self.maps, self.normalise = [elementwise] * (layers - 1) + [last or elementwise], normalise
        self.width, self.depth, self.octaves = hidden_features, depth, octaves

    def layers(self, spec: DataSpec, num_classes: int | None) -> Bijection:
        dim, parts = spec.dim, list[Transform](unbounded(spec))
        for layer, elementwise in enumerate(self.maps):
            if self.normalise or layer == 0:
                parts.append(ActNorm(dim))
            if layer:
                parts.append(Permutation(torch.arange(dim - 1, -1, -1)))
            parts.append(
                MaskedAutoregressive(
                    elementwise,
                    dim,
                    width=self.width,
                    depth=self.depth,
                    num_classes=num_classes,
                    octaves=self.octaves,
                )
            )
        return Bijection(Chain(parts), NormalBase())


class Continuous(Recipe):
    """ActNorm, then the flow of one differential equation.

    Arguments:
        steps: Runge-Kutta steps.
        exact_up_to: Most dimensions in which the divergence is computed; above, it is estimated.
        kinetic: λ, weight of the mean squared velocity in the loss (Finlay et al. 2020, 2002.02798).
        hidden_features, depth, octaves: Of the velocity's MLP.
        network: Of the velocity; it takes a time. None: the residual MLP.
    """

    modalities: ClassVar[tuple[Modality, ...]] = ("vector",)

    def __init__(
        self,
        steps: Depth = 8,
        exact_up_to: Width = 8,
        kinetic: NonNegativeFloat = 0.01,
        hidden_features: Width = HIDDEN_FEATURES,
        depth: Depth = DEPTH,
        octaves: Octaves = 0,
        network: BackboneFactory | None = None,
    ) -> None:
        self.steps, self.exact_up_to, self.kinetic = steps, exact_up_to, kinetic
        self.network = network or partial(MLP, width=hidden_features, depth=depth, octaves=octaves)

    def layers(self, spec: DataSpec, num_classes: int | None) -> Bijection:
        velocity = self.network(in_shape=(spec.dim,), out_shape=(spec.dim,), num_classes=num_classes, time=True)
        flow = ContinuousFlow(
            velocity, spec.dim, steps=self.steps, exact=spec.dim <= self.exact_up_to, kinetic=self.kinetic
        )
        return Bijection(Chain([*unbounded(spec), ActNorm(spec.dim), flow]), NormalBase())


def halves(dim: int, layers: int) -> Iterator[tuple[list[int], list[int]]]:
    """(keep, change) per layer: a random half, then the other half, then new halves; each layer changes what it can."""
    for layer in range(layers):
        order = torch.randperm(dim, generator=generator_of(layer // 2, "halves", dim), device="cpu").tolist()
        first, second = order[: dim // 2], order[dim // 2 :]
        yield (first, second) if layer % 2 == 0 else (second, first)
