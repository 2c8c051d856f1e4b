"""R3GAN by its authors' own code (Huang, Gokaslan, Kuleshov & Tompkin 2024, 2501.05441): `--source FOLDER`, its clone.

    python -m pip install torch==2.13.0 numpy requests       # in an environment of its own
    git clone https://github.com/brownvc/R3GAN               # the FOLDER

Its networks and its relativistic loss with both gradient penalties. Its preset of CIFAR-10 is kept: noise of 64,
twofold expansion, convolutions in groups of 16 channels, one-hot labels by embeddings of the noise's size and the
widest stage's, Adam without a first moment and, by half a cosine over the time that there is, learning rate 2e-4 to
5e-5, second beta 0.9 to 0.99, gamma 0.05 to 0.005 and an average of the weights with a half-life of 0 to a quarter of
the training. It is made for days of GPUs, 4 stages of 768 channels in two blocks each with batches of 512: here one
block a stage, of 128 channels at side 4 and half as many at each next one, as its presets of larger images taper, and
batches of 64. Without its augmentation and mirrored images, which no other peer has and which are none of digits.
"""

from __future__ import annotations

import math
import sys
from importlib import import_module
from typing import Any

import torch
from loop import Average, Job, job, own_source
from torch import Tensor, nn

NOISE, FIRST_SIDE, WIDEST, NARROWEST, GROUP, EXPANSION = 64, 4, 128, 16, 16, 2
BATCH, DRAWN_AT_ONCE = 64, 500
RATE, SECOND_BETA, GAMMA, HALF_LIFE = (2e-4, 5e-5), (0.9, 0.99), (0.05, 0.005), (0.0, 0.25)  # the last in trainings


def reference() -> tuple[Any, Any]:
    """Modules of networks and of training of the clone."""
    own_source()
    return import_module("R3GAN.Networks"), import_module("R3GAN.Trainer")


def widths(side: int) -> list[int]:
    """Channels of the stages from side 4 up to that of the images."""
    doublings = max(side // FIRST_SIDE, 1).bit_length() - 1
    if FIRST_SIDE * 2**doublings != side:
        sys.exit(f"images of side {side}: R3GAN makes those of 4, 8, 16, 32 and so on")
    return [max(WIDEST >> i, NARROWEST) for i in range(doublings + 1)]


def players(of: Job, networks: Any) -> tuple[nn.Module, nn.Module]:
    """Generator (B, NOISE) to images, discriminator images to (B,); both are given one-hot labels or None."""
    channels, side = of.x.shape[1:3]
    wide = widths(side)
    groups = [EXPANSION * width // GROUP for width in wide]
    rest = {"BlocksPerStage": [1] * len(wide), "ExpansionFactor": EXPANSION}
    first, second = (
        {"ConditionDimension": of.classes, "ConditionEmbeddingDimension": size} if of.classes else {}
        for size in (NOISE, wide[0])
    )
    generator = networks.Generator(NOISE, wide, groups, **rest, **first)
    discriminator = networks.Discriminator(wide[::-1], groups[::-1], **rest, **second)
    if channels != 3:  # the reference knows colour alone
        generator.AggregationLayer = networks.Convolution(wide[-1], channels, KernelSize=1)
        discriminator.ExtractionLayer = networks.Convolution(channels, wide[-1], KernelSize=1)
    return generator, discriminator


def at(share: float, ends: tuple[float, float]) -> float:
    """Half a cosine from the first to the last value."""
    start, end = ends
    return end + (start - end) * (1 + math.cos(math.pi * min(share, 1.0))) / 2


def optimizer_of(net: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(net.parameters(), RATE[0], (0.0, SECOND_BETA[0]))


def turn(mover: nn.Module, other: nn.Module, optimizer: torch.optim.Optimizer, share: float) -> None:
    """Make it the turn of a player."""
    mover.requires_grad_(True)
    other.requires_grad_(False)
    optimizer.zero_grad()
    for group in optimizer.param_groups:
        group["lr"], group["betas"] = at(share, RATE), (0.0, at(share, SECOND_BETA))


def given(y: Tensor | None, classes: int) -> Tensor | None:
    """Labels as the reference takes them."""
    return None if y is None else nn.functional.one_hot(y, classes).float()


def trained(of: Job, generator: nn.Module, discriminator: nn.Module, training: Any) -> int:
    """Steps that were made; the generator ends as its average."""
    trainer = training.AdversarialTraining(generator, discriminator)
    first, second = optimizer_of(generator), optimizer_of(discriminator)
    average, steps, before = Average(generator), 0, of.spent()
    begun, batches = before, of.batches(BATCH)
    for (x, y), (x_next, y_next) in zip(batches, batches, strict=False):  # each player has images of its own
        turn(discriminator, generator, second, share=before)
        noise = torch.randn(len(x), NOISE)
        trainer.AccumulateDiscriminatorGradients(noise, x, given(y, of.classes), at(before, GAMMA))
        second.step()
        turn(generator, discriminator, first, share=before)
        trainer.AccumulateGeneratorGradients(torch.randn(len(x), NOISE), x_next, given(y_next, of.classes))
        first.step()
        now = of.spent()
        average.decay = 0.5 ** ((now - before) / max((1 - begun) * at(before, HALF_LIFE), 1e-8))
        average.update()
        steps, before = steps + 1, now
    average.load()
    return steps


def drawn(of: Job, generator: nn.Module) -> Tensor:
    """Samples, in parts: of the widest layer there is little room for all."""
    y = given(of.drawn_labels(of.n), of.classes)
    parts = torch.arange(of.n).split(DRAWN_AT_ONCE)
    with torch.no_grad():
        made = [generator(torch.randn(len(rows), NOISE), None if y is None else y[rows]) for rows in parts]
    return torch.cat(made)


def main() -> None:
    """Train, then draw."""
    networks, training = reference()
    of = job()
    generator, discriminator = players(of, networks)
    steps = trained(of, generator, discriminator, training)
    of.write(drawn(of, generator), steps, parameters=sum(p.numel() for p in generator.parameters()))


if __name__ == "__main__":
    main()
