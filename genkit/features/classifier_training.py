"""Training of the small classifiers whose features scores are measured in: those that are shipped, and a user's own.

AdamW with a one-cycle rate, batch normalisation folded into the convolutions afterwards, affine augmentation (rotation,
scale, shear, shift) and pixel noise of random strength, so that features stay meaningful on noisy samples. Images are
not mirrored: a mirrored letter is another one, or none.

Training is deterministic on one build of torch and one machine, no further. So features are known by their weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from genkit.features.classifier import FeatureNet

Take = Callable[[Tensor], Tensor]  # numbers (B,) int64 of training images to the images (B, C, H, W) in [0, 1], float32


@dataclass(frozen=True)
class ClassifierRecipe:
    """Shape and training of one network. Shifts are in pixels, angles in degrees; scale and shear are relative."""

    shape: tuple[int, int, int]
    levels: int
    blocks: tuple[tuple[int, int, bool], ...]
    dim: int
    num_classes: int = 10
    epochs: int = 15
    batch_size: int = 64
    lr: float = 4e-3
    weight_decay: float = 0.05
    rotation: float = 10.0
    scale: float = 0.1
    shear: float = 0.1
    shift: float = 1.0
    noise: float = 0.2
    seed: int = 0

    def net(self) -> FeatureNet:
        """The network, new."""
        return FeatureNet(self.shape, self.blocks, self.dim, self.num_classes)


class Training:
    """The training of one network, an epoch at each turn of the iteration.

    Args:
        recipe: What to do.
        take: The training images.
        y: (N,) int64, their labels.
        device: Where to compute.

    Attributes:
        net: The network, with batch normalisation behind every convolution.
    """

    def __init__(self, recipe: ClassifierRecipe, take: Take, y: Tensor, device: torch.device | None = None) -> None:
        self.recipe, self.take, self.y, self.device = recipe, take, y, device or torch.device("cpu")
        with torch.random.fork_rng([]):
            torch.default_generator.manual_seed(recipe.seed)
            net = with_batch_norm(recipe.net())
        self.net: FeatureNet = net.to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def __iter__(self) -> Iterator[FeatureNet]:
        """The network in eval mode after each epoch."""
        recipe, generator = self.recipe, torch.Generator().manual_seed(self.recipe.seed)
        optimizer = torch.optim.AdamW(self.net.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay)
        steps = recipe.epochs * (len(self.y) // recipe.batch_size)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.lr, total_steps=steps)
        for _ in range(recipe.epochs):
            self.net.train()
            for x, y in self._batches(generator):
                optimizer.zero_grad()
                x = x.to(self.device, memory_format=torch.channels_last)
                nn.functional.cross_entropy(self.net(x), y.to(self.device)).backward()
                optimizer.step()
                schedule.step()
            yield self.net.eval()

    def _batches(self, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """One epoch of augmented batches; a last incomplete one is left out."""
        order = torch.randperm(len(self.y), generator=generator)
        for index in order.split(self.recipe.batch_size)[: len(order) // self.recipe.batch_size]:
            yield augment(self.take(index), self.recipe, generator), self.y[index]

    def result(self) -> FeatureNet:
        """The trained network on the CPU, batch normalisation folded, in eval mode."""
        net = folded(self.net.eval()).cpu()
        return net.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]


def affine(x: Tensor, recipe: ClassifierRecipe, generator: torch.Generator) -> Tensor:
    """Each image (B, C, H, W) under its own small random affine map."""

    def uniform(limit: float) -> Tensor:
        return (torch.rand(len(x), generator=generator) * 2 - 1) * limit

    angle, shear = uniform(math.radians(recipe.rotation)), uniform(recipe.shear)
    zoom, dx, dy = 1 + uniform(recipe.scale), uniform(recipe.shift), uniform(recipe.shift)
    high, wide = x.shape[-2] / 2, x.shape[-1] / 2
    top = torch.stack([zoom * angle.cos(), zoom * (shear * angle.cos() - angle.sin()), dx / wide], dim=1)
    bottom = torch.stack([zoom * angle.sin(), zoom * (shear * angle.sin() + angle.cos()), dy / high], dim=1)
    grid = nn.functional.affine_grid(torch.stack([top, bottom], dim=1), list(x.shape), align_corners=False)
    return nn.functional.grid_sample(x, grid, align_corners=False)


def augment(x: Tensor, recipe: ClassifierRecipe, generator: torch.Generator) -> Tensor:
    """Affine map and pixel noise, half of the images noiseless, clipped to [0, 1]."""
    strength = recipe.noise * (2 * torch.rand(len(x), 1, 1, 1, generator=generator) - 1).clamp(min=0)
    return (affine(x, recipe, generator) + strength * torch.randn(x.shape, generator=generator)).clamp(0, 1)


def with_batch_norm(net: FeatureNet) -> FeatureNet:
    """The same network with batch normalisation behind every convolution."""
    layers: list[nn.Module] = []
    for layer in net.trunk:
        layers.append(layer)
        if isinstance(layer, nn.Conv2d):
            layers.append(nn.BatchNorm2d(layer.out_channels))
    net.trunk = nn.Sequential(*layers)
    return net


def folded(net: FeatureNet) -> FeatureNet:
    """The batch normalisations folded into the convolutions before them."""
    layers: list[nn.Module] = []
    for layer in net.trunk:
        if isinstance(layer, nn.BatchNorm2d):
            convolution = layers.pop()
            assert isinstance(convolution, nn.Conv2d)
            layers.append(fuse_conv_bn_eval(convolution, layer))
        else:
            layers.append(layer)
    net.trunk = nn.Sequential(*layers)
    return net


def batches_of(x: Tensor) -> tuple[Tensor, ...]:
    """Images in pieces that a network is asked about at once."""
    return x.split(500)


@torch.no_grad()
def accuracy(net: FeatureNet, x: Tensor, y: Tensor) -> float:
    """Share of images x (N, C, H, W) that the network gives their labels y (N,)."""
    right = sum(int((net(part).argmax(1) == of).sum()) for part, of in zip(batches_of(x), batches_of(y), strict=True))
    return right / len(x)


@torch.no_grad()
def statistics(net: FeatureNet, pieces: Iterable[Tensor], dead: float) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, standard deviation and mask of live units (F,) of the features of images (n_i, C, H, W) in pieces.

    See `genkit.features.base` for what they are for.
    """
    f = torch.cat([net.features(piece) for piece in pieces]).double()
    sd = f.std(0)
    return f.mean(0), sd, sd >= dead * sd.median()
