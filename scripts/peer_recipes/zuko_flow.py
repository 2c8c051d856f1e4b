"""Neural spline flow of zuko on flattened images, autoregressive or, with `--passes 2`, by couplings.

    python -m pip install torch==2.13.0 numpy zuko           # in an environment of its own

Values are dequantised uniformly and brought to [-3, 3]; three spline transforms of 8 bins (Durkan et al. 2019,
1906.04032), networks of 2 x 128, Adam at 1e-3, batches of 128. With `--labels` the flow is given the label, one-hot. A
sample takes as many passes as there are values, where these are thousands an hour and more: couplings take two.
"""

from __future__ import annotations

import math

import torch
import zuko
from loop import job, own_word
from torch import Tensor, nn

RANGE = 3.0


def main() -> None:
    """Train, then draw."""
    passes = int(own_word("--passes", usual="0"))  # 0: as many as there are values
    of = job()
    shape, dim = of.x.shape[1:], of.x[0].numel()
    flow = zuko.flows.NSF(dim, of.classes, transforms=3, hidden_features=(128, 128), passes=passes or None)
    optimizer, steps = torch.optim.Adam(flow.parameters(), 1e-3), 0

    def seen(x: Tensor) -> Tensor:
        """Images in [-1, 1] to dequantised vectors in [-3, 3]."""
        stored = (x.flatten(1) + 1) / 2 * (of.levels - 1)
        return ((stored.round() + torch.rand_like(stored)) / of.levels * 2 - 1) * RANGE

    def given(y: Tensor | None) -> Tensor | None:
        return None if y is None else nn.functional.one_hot(y, of.classes).float()

    for x, y in of.batches(128):
        optimizer.zero_grad()
        loss = -flow(given(y)).log_prob(seen(x)).mean()
        loss.backward()
        optimizer.step()
        steps += 1
    with torch.no_grad():
        y = of.drawn_labels(of.n)
        drawn = flow(given(y)).sample(() if y is not None else (of.n,))
        bits = (float(loss.detach()) / dim - math.log(2 * RANGE / of.levels)) / math.log(2)
    stored = ((drawn / RANGE + 1) / 2 * of.levels).floor()
    x = (stored / (of.levels - 1) * 2 - 1).unflatten(1, tuple(shape))
    of.write(x, steps, parameters=sum(p.numel() for p in flow.parameters()), last_bits_per_dim=bits)


if __name__ == "__main__":
    main()
