"""The deep convolutional GAN in a plain loop (Radford et al. 2016, 1511.06434).

    python -m pip install torch==2.13.0 numpy                # in an environment of its own

Strided convolutions, batch normalisation, ReLU and leaky ReLU 0.2, no linear layers but the first; Adam at 2e-4 with
beta 0.5, batches of 128, weights from N(0, 0.02²). With `--labels` both players are given the label as more channels
(Mirza & Osindero 2014, 1411.1784).
"""

from __future__ import annotations

import torch
from loop import Job, job
from torch import Tensor, nn

LATENTS, WIDTH, BATCH = 100, 32, 128


def normal(layer: nn.Module) -> None:
    """The paper's first weights."""
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(layer.weight, 0, 0.02)


def halvings(side: int) -> int:
    """How often a side is halved on the way to 4 or 7."""
    count = 0
    while side % 2 == 0 and side > 7:
        side, count = side // 2, count + 1
    return max(count, 1)


def players(of: Job) -> tuple[nn.Module, nn.Module]:
    """Generator (B, latents + classes, 1, 1) to images, discriminator images + classes to (B, 1, 1, 1)."""
    _, channels, side, _ = of.x.shape
    times = halvings(side)
    start, widest = side // 2**times, WIDTH * 2 ** (times - 1)
    up: list[nn.Module] = [nn.ConvTranspose2d(LATENTS + of.classes, widest, start, bias=False), nn.BatchNorm2d(widest)]
    down: list[nn.Module] = []
    wide, before = widest, channels + of.classes
    for i in range(times):
        last = i == times - 1
        up += [nn.ReLU(), nn.ConvTranspose2d(wide, channels if last else wide // 2, 4, 2, 1, bias=last)]
        up += [nn.Tanh()] if last else [nn.BatchNorm2d(wide // 2)]
        wide //= 2
        after = WIDTH * 2**i
        down += [nn.Conv2d(before, after, 4, 2, 1, bias=i == 0)]
        down += [nn.LeakyReLU(0.2)] if i == 0 else [nn.BatchNorm2d(after), nn.LeakyReLU(0.2)]
        before = after
    down.append(nn.Conv2d(before, 1, start))
    return nn.Sequential(*up).apply(normal), nn.Sequential(*down).apply(normal)


def with_labels(x: Tensor, y: Tensor | None, classes: int) -> Tensor:
    """x (B, C, H, W) with a channel for each class."""
    if y is None:
        return x
    planes = nn.functional.one_hot(y, classes).float()[:, :, None, None]
    return torch.cat((x, planes.expand(-1, -1, *x.shape[2:])), 1)


def main() -> None:
    """Train, then draw."""
    of = job()
    generator, discriminator = players(of)
    first = torch.optim.Adam(generator.parameters(), 2e-4, (0.5, 0.999))
    second = torch.optim.Adam(discriminator.parameters(), 2e-4, (0.5, 0.999))
    judge, steps = nn.functional.binary_cross_entropy_with_logits, 0
    for x, y in of.batches(BATCH):
        fake = generator(with_labels(torch.randn(len(x), LATENTS, 1, 1), y, of.classes))
        second.zero_grad()
        real = discriminator(with_labels(x, y, of.classes))
        made = discriminator(with_labels(fake.detach(), y, of.classes))
        (judge(real, torch.ones_like(real)) + judge(made, torch.zeros_like(made))).backward()
        second.step()
        first.zero_grad()
        made = discriminator(with_labels(fake, y, of.classes))
        judge(made, torch.ones_like(made)).backward()
        first.step()
        steps += 1
    generator.eval()
    with torch.no_grad():
        drawn = generator(with_labels(torch.randn(of.n, LATENTS, 1, 1), of.drawn_labels(of.n), of.classes))
    of.write(drawn, steps, parameters=sum(p.numel() for p in generator.parameters()))


if __name__ == "__main__":
    main()
