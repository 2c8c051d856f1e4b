"""R3GAN in its authors' own code, relativistic with two gradient penalties (Huang et al. 2024, 2501.05441).

    python -m pip install torch==2.13.0 numpy requests       # in an environment of its own
    git clone https://github.com/brownvc/R3GAN               # its folder is --source

Kept from its preset of CIFAR-10: 64 latents, twofold expansion, groups of 16 channels, one-hot labels in embeddings of
64 and of the discriminator's last width, Adam without momentum, and by half a cosine, here over the CPU seconds, a rate
of 2e-4 to 5e-5, second betas of 0.9 to 0.99, penalties of 0.05 to 0.005 and a half-life of the averaged weights of none
to a quarter of the training. `--rate` sets the first rate, of which the last is a quarter: the preset's is made for
forty thousand steps, and after 50 s of the digits, 750 steps, it is at 143 times the floor where 1e-3 is at 23.

The preset has four stages of 768 channels in two blocks each and batches of 512, on GPUs; here a stage has one block,
of 128 channels at side 4 and half as many at each next one, no fewer than 16. Batches are of 16: a step's time goes by
its images, and in 50 s of the digits these do more than a quarter as many steps of 64. Its augmentation and mirrored
images are left out: no other recipe has them, and a digit that is turned is none.
"""

from __future__ import annotations

import copy
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from loop import Job, half_cosine, job, own_source, own_word
from torch import Tensor, nn

CLONE = "https://github.com/brownvc/R3GAN"
LATENTS, WIDEST, NARROWEST, GROUP, EXPANSION = 64, 128, 16, 16, 2
FIRST_SIDE = 4  # of the reference's first stage
BATCH, DRAWN_AT_ONCE = 16, 500
SECOND_BETA, PENALTY, HALF_LIFE = (0.9, 0.99), (0.05, 0.005), (0.0, 0.25)  # first and last; the half-life in trainings


def reference() -> tuple[Any, Any]:
    """Its modules of networks and of training."""
    own_source()
    try:
        return import_module("R3GAN.Networks"), import_module("R3GAN.Trainer")
    except ModuleNotFoundError as error:
        sys.exit(f"{error}: --source is to be a clone of {CLONE}, with the packages that {Path(__file__).name} names")


def widths(side: int) -> list[int]:
    """Channels of the stages, from the first side to that of the images."""
    doublings = max(side // FIRST_SIDE, 1).bit_length() - 1
    if FIRST_SIDE * 2**doublings != side:
        sys.exit(f"R3GAN makes images of side 4, 8, 16, 32 and so on, none of {side}")
    return [max(WIDEST >> i, NARROWEST) for i in range(doublings + 1)]


def players(of: Job, networks: Any) -> tuple[nn.Module, nn.Module]:
    """Generator (B, latents) to images, discriminator images to (B,); both take one-hot labels, or None, besides."""
    channels, side = of.x.shape[1:3]
    wide = widths(side)
    groups, blocks = [EXPANSION * width // GROUP for width in wide], [1] * len(wide)

    def labelled(size: int) -> dict[str, int]:
        """What a network is told of labels in embeddings of a size."""
        return {"ConditionDimension": of.classes, "ConditionEmbeddingDimension": size} if of.classes else {}

    generator = networks.Generator(LATENTS, wide, groups, blocks, EXPANSION, **labelled(LATENTS))
    discriminator = networks.Discriminator(wide[::-1], groups[::-1], blocks, EXPANSION, **labelled(wide[0]))
    if channels != 3:  # the only number that the reference knows
        generator.AggregationLayer = networks.Convolution(wide[-1], channels, KernelSize=1)
        discriminator.ExtractionLayer = networks.Convolution(channels, wide[-1], KernelSize=1)
    return generator, discriminator


def one_hot(y: Tensor | None, classes: int) -> Tensor | None:
    """Labels as the reference takes them."""
    return None if y is None else nn.functional.one_hot(y, classes).float()


class Player:
    """A network with its optimizer."""

    def __init__(self, net: nn.Module, rate: float) -> None:
        self.net, self.rates = net, (rate, rate / 4)
        self.optimizer = torch.optim.Adam(net.parameters(), rate, (0.0, SECOND_BETA[0]))

    def begin(self, share: float) -> None:
        """Take the turn, with the settings of a share of the training."""
        self.net.requires_grad_(True)
        self.optimizer.zero_grad()
        for group in self.optimizer.param_groups:
            group["lr"], group["betas"] = half_cosine(*self.rates, share), (0.0, half_cosine(*SECOND_BETA, share))

    def end(self) -> None:
        """Step, and be fixed in the other's turn."""
        self.optimizer.step()
        self.net.requires_grad_(False)


@torch.no_grad()
def follow(average: nn.Module, net: nn.Module, passed: float, share: float) -> None:
    """Bring the averaged weights closer, where a share of the training has passed since they last were."""
    decay = 0.5 ** (passed / max(half_cosine(*HALF_LIFE, share), 1e-8))
    for kept, value in zip(average.parameters(), net.parameters(), strict=True):
        kept.lerp_(value, 1 - decay)


def trained(of: Job, networks: Any, training: Any, rate: float) -> tuple[nn.Module, int]:
    """The averaged generator, and the steps."""
    generator, discriminator = (net.requires_grad_(False) for net in players(of, networks))
    average, trainer = copy.deepcopy(generator), training.AdversarialTraining(generator, discriminator)
    first, second = Player(generator, rate), Player(discriminator, rate)
    share, steps, batches = of.spent(), 0, of.batches(BATCH)
    for (x, y), (next_x, next_y) in zip(batches, batches, strict=False):  # images of its own for each turn
        second.begin(share)
        noise, given = torch.randn(len(x), LATENTS), one_hot(y, of.classes)
        trainer.AccumulateDiscriminatorGradients(noise, x, given, half_cosine(*PENALTY, share))
        second.end()
        first.begin(share)
        noise, given = torch.randn(len(next_x), LATENTS), one_hot(next_y, of.classes)
        trainer.AccumulateGeneratorGradients(noise, next_x, given)
        first.end()
        now = of.spent()
        follow(average, generator, now - share, share)
        share, steps = now, steps + 1
    return average, steps


@torch.no_grad()
def drawn(of: Job, generator: nn.Module) -> Tensor:
    """Samples, some at a time: the last stage's are large."""
    y = one_hot(of.drawn_labels(of.n), of.classes)
    parts = torch.arange(of.n).split(DRAWN_AT_ONCE)
    return torch.cat([generator(torch.randn(len(i), LATENTS), None if y is None else y[i]) for i in parts])


def main() -> None:
    """Train, then draw."""
    networks, training = reference()
    rate = float(own_word("--rate", usual="2e-4"))
    of = job()
    generator, steps = trained(of, networks, training, rate)
    of.write(drawn(of, generator), steps, parameters=sum(p.numel() for p in generator.parameters()))


if __name__ == "__main__":
    main()
