"""The diffusion of lucidrains' denoising-diffusion-pytorch, its U-Net and its average of weights in a plain loop.

    python -m pip install torch==2.13.0 denoising-diffusion-pytorch   # in an environment of its own

1,000 levels of its sigmoid schedule, v-prediction weighted as by its defaults, samples by its 50 steps of DDIM; Adam
(0.9, 0.99) and clipping at 1 as in its trainer, which reads a folder of images. Its rate of 8e-5 is for seven hundred
thousand steps, so the rate and batches are those of the other loops: 1e-3 and 128.

It imports torchvision for that folder alone, whose wheel is for one build of torch and does not load beside another:
an empty module stands in its place.
"""

from __future__ import annotations

import sys
from unittest.mock import MagicMock

import torch
from loop import Job, job

sys.modules["torchvision"] = MagicMock()
from denoising_diffusion_pytorch import GaussianDiffusion, Unet  # noqa: E402
from ema_pytorch import EMA  # noqa: E402

BATCH, STEPS, LEVELS = 128, 50, 1000


def diffusion_of(of: Job) -> GaussianDiffusion:
    """About as large as genkit's of the same data; attention at the lowest resolution."""
    _, channels, side, _ = of.x.shape
    factors = (1, 2) if side <= 8 else (1, 2, 2)
    net = Unet(dim=24, dim_mults=factors, channels=channels, attn_heads=4, attn_dim_head=12, flash_attn=False)
    return GaussianDiffusion(
        net, image_size=side, timesteps=LEVELS, sampling_timesteps=STEPS, objective="pred_v", beta_schedule="sigmoid"
    )


def main() -> None:
    """Train, then draw."""
    of = job()
    model = diffusion_of(of)
    optimizer, steps = torch.optim.Adam(model.parameters(), 1e-3, (0.9, 0.99)), 0
    average = EMA(model, beta=0.995, update_every=10)
    for x, _ in of.batches(BATCH):
        optimizer.zero_grad()
        model((x + 1) / 2).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        average.update()
        steps += 1
    drawn = of.in_parts(lambda many: average.ema_model.sample(batch_size=many))
    of.write(drawn * 2 - 1, steps, parameters=sum(p.numel() for p in model.parameters()))


if __name__ == "__main__":
    main()
