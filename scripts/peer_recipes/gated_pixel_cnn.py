"""Gated PixelCNN of pytorch-generative on black and white images (van den Oord et al. 2016, 1606.05328).

    python -m pip install torch==2.13.0 numpy scikit-learn tensorboard torchvision    # in an environment of its own
    git clone https://github.com/EugenHotaj/pytorch-generative                        # its folder is --source

Its layers, loss, Adam at 1e-3 and a rate that falls by 0.9999 a step are those of its own training; with ten gated
layers of 128 channels a step of 128 images takes some 16 s of one thread, so it has six of 32, and batches of 16.

DATA.npz holds grey `x`, of whose pixels each is drawn black or white anew by its brightness whenever it is seen, and
`test` (N, 1, H, W), drawn once; OUT.json `nll`, nats of one of these.
"""

from __future__ import annotations

import numpy as np
import torch
from loop import job, own_source
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

BATCH, LAYERS, WIDTH = 16, 6, 32


def main() -> None:
    """Train, then score."""
    own_source()
    from pytorch_generative.models.autoregressive.gated_pixel_cnn import GatedPixelCNN

    of = job()
    with np.load(of.data) as file:
        test = torch.from_numpy(file["test"]).float()
    model = GatedPixelCNN(1, 1, n_gated=LAYERS, gated_channels=WIDTH, head_channels=WIDTH)

    def nats(x: Tensor) -> Tensor:
        """Of each image (B, 1, H, W) of zeros and ones."""
        return binary_cross_entropy_with_logits(model(x), x, reduction="none").sum((1, 2, 3))

    optimizer, steps = torch.optim.Adam(model.parameters(), 1e-3), 0
    schedule = torch.optim.lr_scheduler.MultiplicativeLR(optimizer, lambda _: 0.9999)
    for x, _ in of.batches(BATCH):
        optimizer.zero_grad()
        nats(torch.bernoulli((x + 1) / 2)).mean().backward()
        optimizer.step()
        schedule.step()
        steps += 1
    model.eval()
    with torch.no_grad():
        cost = torch.cat([nats(part) for part in test[: of.n].split(100)]).mean()
    of.score({"nll": float(cost)}, steps, parameters=sum(p.numel() for p in model.parameters()))


if __name__ == "__main__":
    main()
