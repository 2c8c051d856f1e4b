"""The U-Net of diffusers in a plain training loop: `--how flow` (optimal-transport flow matching) or `--how edm`.

    python -m pip install torch==2.13.0 diffusers scipy      # in an environment of its own

Flow matching: x_t = (1 − t) ε + t x, the noise of a batch paired with its images by the cheapest assignment (Tong et
al. 2023, 2302.00482), samples by 25 midpoint steps. EDM: the preconditioning, levels and weights of Karras et al. 2022
(2206.00364), samples by 25 Heun steps. Both: AdamW at 1e-3, batches of 128, an average of the weights.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from diffusers import UNet2DModel
from loop import Average, Job, job, own_word
from scipy.optimize import linear_sum_assignment
from torch import Tensor

BATCH, STEPS, LOW, HIGH, RHO = 128, 25, 0.002, 80.0, 7.0


def network(of: Job) -> UNet2DModel:
    """About as large as genkit's of the same data; attention at the lowest resolution."""
    _, channels, side, _ = of.x.shape
    widths = (24, 48) if side <= 8 else (24, 48, 48)
    plain = ("DownBlock2D",) * (len(widths) - 1), ("UpBlock2D",) * (len(widths) - 1)
    return UNet2DModel(
        sample_size=side,
        in_channels=channels,
        out_channels=channels,
        layers_per_block=1,
        block_out_channels=widths,
        down_block_types=(*plain[0], "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", *plain[1]),
        norm_num_groups=8,
        attention_head_dim=8,
        num_class_embeds=of.classes or None,
    )


def shaped(value: Tensor) -> Tensor:
    return value[:, None, None, None]


class FlowMatching:
    """The velocity x − ε at x_t."""

    def __init__(self, of: Job, net: UNet2DModel) -> None:
        self.net = net

    def loss(self, x: Tensor, y: Tensor | None) -> Tensor:
        noise = torch.randn_like(x)
        rows, columns = linear_sum_assignment(torch.cdist(x.flatten(1), noise.flatten(1)).square().numpy())
        x, noise = x[rows], noise[columns]
        y = None if y is None else y[rows]
        t = torch.rand(len(x))
        x_t = (1 - shaped(t)) * noise + shaped(t) * x
        return (self.velocity(x_t, t, y) - (x - noise)).square().mean()

    def velocity(self, x_t: Tensor, t: Tensor, y: Tensor | None) -> Tensor:
        return self.net(x_t, 1000 * t, class_labels=y).sample

    def sample(self, x: Tensor, y: Tensor | None) -> Tensor:
        h = 1 / STEPS
        for i in range(STEPS):
            t = torch.full((len(x),), i * h)
            middle = x + h / 2 * self.velocity(x, t, y)
            x = x + h * self.velocity(middle, t + h / 2, y)
        return x


class EDM:
    """The clean image from one with noise of level sigma."""

    def __init__(self, of: Job, net: UNet2DModel) -> None:
        self.net, self.std = net, float(of.x.std())

    def denoised(self, x: Tensor, sigma: Tensor, y: Tensor | None) -> Tensor:
        total = sigma**2 + self.std**2
        out = self.net(x / shaped(total.sqrt()), sigma.log() * 250, class_labels=y).sample
        return shaped(self.std**2 / total) * x + shaped(sigma * self.std / total.sqrt()) * out

    def loss(self, x: Tensor, y: Tensor | None) -> Tensor:
        sigma = (torch.randn(len(x)) * 1.2 - 1.2).exp()
        weight = (sigma**2 + self.std**2) / (sigma * self.std) ** 2
        error = self.denoised(x + shaped(sigma) * torch.randn_like(x), sigma, y) - x
        return (shaped(weight) * error.square()).mean()

    def sample(self, x: Tensor, y: Tensor | None) -> Tensor:
        ends = HIGH ** (1 / RHO), LOW ** (1 / RHO)
        levels = torch.cat((torch.linspace(*ends, STEPS) ** RHO, torch.zeros(1)))
        x = levels[0] * x
        for level, lower in pairwise(levels):
            slope = (x - self.denoised(x, level.expand(len(x)), y)) / level
            there = x + (lower - level) * slope
            if lower > 0:
                slope = (slope + (there - self.denoised(there, lower.expand(len(x)), y)) / lower) / 2
            x = x + (lower - level) * slope
        return x


def main() -> None:
    """Train, then draw."""
    how = own_word("--how")
    of = job()
    net = network(of)
    model = {"flow": FlowMatching, "edm": EDM}[how](of, net)
    optimizer, average, steps = torch.optim.AdamW(net.parameters(), 1e-3), Average(net), 0
    for x, y in of.batches(BATCH):
        optimizer.zero_grad()
        model.loss(x, y).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        average.update()
        steps += 1
    average.load()
    net.eval()
    drawn = of.in_parts(lambda many: model.sample(torch.randn(many, *of.x.shape[1:]), of.drawn_labels(many)))
    of.write(drawn, steps, parameters=sum(p.numel() for p in net.parameters()))


if __name__ == "__main__":
    main()
