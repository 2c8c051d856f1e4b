r"""Causal transforms of patches: every patch of an image is changed given the patches before it, by a transformer.

With x_1, …, x_T the patches of an image in some order, D values each,

.. math:: z_t = g(x_t;\, \theta_t(x_1, …, x_{t-1}, y)), \qquad \log|\det| = \sum_t \log|g'(x_t)|,

where a causal transformer gives all θ_t in one pass. So a density costs one evaluation, and the inverse T of them, each
of one position only: keys and values of the positions before it are kept. Layers alternate between the order and its
reverse, so that every patch is changed given all others.

The label `num_classes` means "no label". A transform that was trained with some labels withheld can be inverted with
guidance: with θ(none) + s (θ(y) − θ(none)) instead of θ(y).

References: Normalizing Flows are Capable Generative Models (Zhai et al. 2024, 2412.06329).

In this file: the network, its transform, the map of images to patches, the recipe.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genkit.component import Depth, Width
from genkit.data.kinds import Modality
from genkit.data.spec import DataSpec
from genkit.errors import ConfigError
from genkit.flows.coupling import Affine, Elementwise
from genkit.flows.prior import NormalBase
from genkit.flows.recipe import Bijection, Recipe
from genkit.flows.transform import Chain, Reshape, Transform, per_example
from genkit.nn.attention import HEADS
from genkit.nn.gpt import GPTBlock
from genkit.nn.sequence_network import StartTokens

MOST = 64  # patches of an image where nobody chooses: an inverse asks for one after the other


class Guidance(NamedTuple):
    """Classifier-free guidance of an inverse.

    Attributes:
        scale: s; 1 is none.
        none: The label that means "no label".
    """

    scale: float
    none: int


class CausalNetwork(nn.Module):
    """Patches (B, T, D) and labels to (B, T, outputs), those of position t a function of the patches before t.

    Arguments:
        length, dim: T and D.
        outputs: Numbers for each position; all zero at the start.
        num_classes: Number of labels, None without labels; one more means "no label".
        features, depth, heads: Of the transformer.
    """

    def __init__(
        self, length: int, dim: int, outputs: int, num_classes: int | None, features: int, depth: int, heads: int
    ) -> None:
        super().__init__()
        self.length, self.heads = length, heads
        self.begin = StartTokens(features, None if num_classes is None else num_classes + 1)
        self.enter = nn.Linear(dim, features)
        self.places = nn.Parameter(0.02 * torch.randn(length, features))
        self.blocks = nn.ModuleList(GPTBlock(features, heads, length, dropout=0.0) for _ in range(depth))
        self.norm, self.last = nn.RMSNorm(features), nn.Linear(features, outputs)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor, y: Tensor | None) -> Tensor:
        """Of the first k patches (B, k, D), k < T: (B, k + 1, outputs)."""
        h = torch.cat((self.begin(len(x), y)[:, None], self.enter(x)), 1) + self.places[: x.shape[1] + 1]
        for block in self.blocks:
            h = block(h)
        return cast(Tensor, self.last(self.norm(h))).to(x.dtype)

    def start(self, n: int, y: Tensor | None) -> tuple[Tensor, list[Tensor]]:
        """The outputs (n, outputs) of position 1, and the keys and values that `step` goes on with."""
        h = self.begin(n, y)
        d = h.shape[1] // self.heads
        past = [h.new_empty(2, n, self.heads, self.length, d) for _ in self.blocks]
        return self._advance(h, past, 0), past

    def step(self, x: Tensor, past: list[Tensor], position: int) -> Tensor:
        """The outputs (n, outputs) at `position`, counted from 0, after the patch x (n, D) before it."""
        return self._advance(self.enter(x), past, position)

    def _advance(self, h: Tensor, past: list[Tensor], position: int) -> Tensor:
        h = (h + self.places[position])[:, None]
        for block, kept in zip(self.blocks, past, strict=True):
            h = cast(GPTBlock, block).step(h, kept, position)
        return cast(Tensor, self.last(self.norm(h)))[:, 0]


class CausalTransform(Transform):
    """z_t = g(x_t; θ_t(x_<t, y)) on patches (B, T, D), in their order or the reverse.

    Arguments:
        elementwise: The map g.
        network: To θ (B, T, P D).
        backwards: Whether the last patch is the first that is read.
    """

    def __init__(self, elementwise: Elementwise, network: CausalNetwork, backwards: bool) -> None:
        super().__init__()
        self.elementwise, self.network, self.backwards = elementwise, network, backwards

    def forward(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        x = self._ordered(x)
        z, log_slope = self.elementwise.forward(x, self._theta(self.network(x[:, :-1], y)))
        return self._ordered(z), per_example(log_slope)

    def inverse(self, z: Tensor, y: Tensor | None = None, guidance: Guidance | None = None) -> Tensor:
        """The x with forward(x, y)[0] = z; with a scale of guidance other than 1, that of guided parameters.

        With gradients each position asks for all before it again, since what is kept would be overwritten.
        """
        z, n = self._ordered(z), len(z)
        guided = y is not None and guidance is not None and guidance.scale != 1.0
        labels = torch.cat((y, torch.full_like(y, guidance.none))) if guided else y  # type: ignore[arg-type, union-attr]
        copies = 2 if guided else 1
        kept = None if torch.is_grad_enabled() else self.network.start(copies * n, labels)
        found: list[Tensor] = []
        for t in range(z.shape[1]):
            if kept is None:
                before = torch.stack(found, 1) if found else z[:, :0]
                out = self.network(before.repeat(copies, 1, 1), labels)[:, -1]
            else:
                out = self.network.step(found[-1].repeat(copies, 1), kept[1], t) if found else kept[0]
            theta = self._theta(out[:, None].to(z.dtype))
            if guided:
                given, none = theta.chunk(2)
                theta = none + guidance.scale * (given - none)  # type: ignore[union-attr]
            found.append(self.elementwise.inverse(z[:, t : t + 1], theta)[:, 0])
        return self._ordered(torch.stack(found, 1))

    def _ordered(self, x: Tensor) -> Tensor:
        return x.flip(1) if self.backwards else x

    def _theta(self, out: Tensor) -> Tensor:
        """(B, T, P D) to (B, T, P, D)."""
        return out.unflatten(2, (self.elementwise.num_parameters, -1))


def guided_inverse(transform: Transform, z: Tensor, y: Tensor | None, guidance: Guidance) -> Tensor:
    """The inverse of a transform, guided in those of its parts that can be."""
    if isinstance(transform, Chain):
        for layer in reversed(cast(Sequence[Transform], transform.layers)):
            z = guided_inverse(layer, z, y, guidance)
        return z
    return transform.inverse(z, y, guidance) if isinstance(transform, CausalTransform) else transform.inverse(z, y)


class Patches(Transform):
    """Images (B, C, H, W) to their patches, row by row, (B, H W / p², C p²).

    Arguments:
        shape: (C, H, W).
        patch: p, which divides H and W.
    """

    def __init__(self, shape: tuple[int, ...], patch: int) -> None:
        super().__init__()
        self.patch, self.grid = patch, (shape[1] // patch, shape[2] // patch)

    def forward(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return F.pixel_unshuffle(x, self.patch).flatten(2).transpose(1, 2), x.new_zeros(len(x))

    def inverse(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return F.pixel_shuffle(z.transpose(1, 2).unflatten(2, self.grid), self.patch)


class CausalPatches(Recipe):
    """Causal transforms of the patches of an image, each in the order opposite to the one before it.

    Arguments:
        patch: Side of a patch in pixels, which divides the image's sides; None takes the smallest that leaves at most
            64 patches.
        steps: Transforms.
        elementwise: The map of one value; None: affine.
        features: Width of the transformers, an even multiple of `heads`.
        depth: Blocks of each transformer.
        heads: Attention heads.
    """

    modalities: ClassVar[tuple[Modality, ...]] = ("image",)

    def __init__(
        self,
        patch: Depth | None = None,
        steps: Depth = 4,
        elementwise: Elementwise | None = None,
        features: Width = 64,
        depth: Depth = 2,
        heads: Depth = HEADS,
    ) -> None:
        self.patch, self.steps, self.elementwise = patch, steps, elementwise or Affine()
        self.features, self.depth, self.heads = features, depth, heads

    def layers(self, spec: DataSpec, num_classes: int | None) -> Bijection:
        """Raises ConfigError for a patch that does not divide the image's sides."""
        patch = self.patch or _patch_of(*spec.shape[1:])
        if spec.shape[1] % patch or spec.shape[2] % patch:
            height, width = spec.shape[1:]
            raise ConfigError(f"model.transform.patch={patch} does not divide images of {height}x{width}")
        patches = Patches(spec.shape, patch)
        length, dim = patches.grid[0] * patches.grid[1], spec.shape[0] * patch**2
        outputs = dim * self.elementwise.num_parameters
        steps = [
            CausalTransform(
                self.elementwise,
                CausalNetwork(length, dim, outputs, num_classes, self.features, self.depth, self.heads),
                backwards=step % 2 == 1,
            )
            for step in range(self.steps)
        ]
        return Bijection(Chain([patches, *steps, Reshape((length, dim), (spec.dim,))]), NormalBase())


def _patch_of(height: int, width: int) -> int:
    """The smallest common divisor of the sides that leaves at most MOST patches, else the largest."""
    common = [p for p in range(1, min(height, width) + 1) if height % p == 0 == width % p]
    return next((p for p in common if height * width <= MOST * p**2), common[-1])
