r"""Embeddings of time and label, the two things that condition a network.

Time enters as Fourier features, (cos 2πf_k t, sin 2πf_k t) with frequencies f_k spaced geometrically, which lets a
network resolve both coarse and fine differences of t (Tancik et al. 2020, 2006.10739). Labels enter as a table. Both
are added and passed through a small MLP.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class FourierFeatures(nn.Module):
    """(B,) to (B, features): cosines and sines at `features / 2` frequencies from 1/8 to 16 cycles per unit.

    Several times at once, (B, K), share the features: the k-th takes every K-th of them.

    Arguments:
        features: An odd number leaves out the last sine.
    """

    frequencies: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.features = features
        octaves = torch.linspace(-3.0, 4.0, (features + 1) // 2)
        self.register_buffer("frequencies", 2 * math.pi * 2.0**octaves, persistent=False)

    def forward(self, t: Tensor) -> Tensor:
        if t.ndim == 2:
            return torch.cat([self(one)[:, k :: t.shape[1]] for k, one in enumerate(t.unbind(1))], dim=1)
        angle = t[:, None] * self.frequencies  # (B, features / 2), rounded up
        return torch.cat((angle.cos(), angle.sin()), dim=1)[:, : self.features]


class ConditionEmbedding(nn.Module):
    """Time and label to one vector (B, features) that the blocks of a network are modulated with.

    Label `num_classes` means "no label": a denoiser that drops labels in training can be asked without one.

    Arguments:
        features: Size of the embedding.
        num_classes: Number of labels, None without labels.
        time: Whether `t` is given.
    """

    def __init__(self, features: int, num_classes: int | None, time: bool) -> None:
        super().__init__()
        self.time = FourierFeatures(features) if time else None
        self.label = nn.Embedding(num_classes + 1, features) if num_classes is not None else None
        self.mix = nn.Sequential(nn.Linear(features, features), nn.SiLU(), nn.Linear(features, features))

    def forward(self, t: Tensor | None, y: Tensor | None) -> Tensor:
        """t (B,) or (B, K), y (B,) int64 to (B, features); raises ValueError where it was built for another input."""
        parts = []
        if self.time is not None:
            if t is None:
                raise ValueError("this network was built with time=True: it needs t")
            parts.append(self.time(t))
        if self.label is not None:
            if y is None:
                raise ValueError("this network was built with labels: it needs y")
            parts.append(self.label(y))
        return F.silu(self.mix(torch.stack(parts).sum(0)))


def condition_embedding(features: int, num_classes: int | None, time: bool) -> ConditionEmbedding | None:
    """The embedding that a network needs, None where nothing conditions it."""
    return ConditionEmbedding(features, num_classes, time) if time or num_classes is not None else None
