r"""Linear layers: normalise, mix and permute the channels of x (B, C, …).

* `ActNorm`: z = (x − m) / s per channel; m and s start as mean and standard deviation of the first training batch.
* `LULinear`: z = W x at every position, W = P L U with fixed permutation P, unit lower L and upper U, so that
  log |det W| = Σ log |U_ii| and no determinant is ever computed. On images it is the invertible 1x1 convolution.
* `Scaling`: z = x exp(s) value by value, what gives a volume-preserving flow its volume.
* `Permutation`: a fixed order of the channels.

A channel map applied at each of N positions counts N times in the log-determinant.

References: Glow: Generative flow with invertible 1x1 convolutions (Kingma, Dhariwal, 2018), arXiv:1807.03039.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from genkit.flows.transform import Transform
from genkit.upgrade import RetiredBuffers, upgrade_in_loading

# A constant channel has no spread to divide by; its scale starts here instead of at infinity.
MIN_STD = 1e-3


def _positions(x: Tensor) -> int:
    """Number of positions that each channel of x (B, C, …) has."""
    return x[0, 0].numel()


def _per_channel(values: Tensor, x: Tensor) -> Tensor:
    """(C,) shaped to multiply x (B, C, …)."""
    return values.view(-1, *[1] * (x.dim() - 2))


class ActNorm(Transform, RetiredBuffers):
    """Per-channel affine map that `initialise` makes a standardisation; the identity before.

    Arguments:
        channels: C.
    """

    retired = ("initialised",)

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(channels))
        self.log_std = nn.Parameter(torch.zeros(channels))
        upgrade_in_loading(self)

    def forward(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z = (x - _per_channel(self.mean, x)) * _per_channel((-self.log_std).exp(), x)
        return z, -(self.log_std.sum() * _positions(x)).expand(len(x))

    def inverse(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return z * _per_channel(self.log_std.exp(), z) + _per_channel(self.mean, z)

    @torch.no_grad()
    def initialise(self, x: Tensor) -> None:
        values = x.transpose(0, 1).flatten(1)  # (C, B · positions)
        self.mean.copy_(values.mean(1))
        self.log_std.copy_(values.std(1, correction=0).clamp_min(MIN_STD).log())


class Scaling(Transform):
    """z_i = x_i exp(s_i), the last layer of NICE (Dinh, Krueger, Bengio, 2014, arXiv:1410.8516).

    Arguments:
        dim: D, of vectors (B, D).
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return x * self.log_scale.exp(), self.log_scale.sum().expand(len(x))

    def inverse(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return z * (-self.log_scale).exp()


class LULinear(Transform):
    """z = P L U x per position, starting from a random rotation or from a given order of the channels.

    Arguments:
        channels: C.
        start: Draws the rotation, or is the order: z_i = x_{order[i]} at the start.
    """

    permutation: Tensor
    sign: Tensor

    def __init__(self, channels: int, start: torch.Generator | Sequence[int]) -> None:
        super().__init__()
        if isinstance(start, torch.Generator):
            rotation = torch.linalg.qr(torch.randn(channels, channels, generator=start, dtype=torch.float64))[0]
        else:
            rotation = torch.eye(channels, dtype=torch.float64)[list(start)]
        permutation, lower, upper = (part.float() for part in torch.linalg.lu(rotation))
        diagonal = upper.diagonal()
        self.register_buffer("permutation", permutation)
        self.register_buffer("sign", diagonal.sign())
        self.log_diagonal = nn.Parameter(diagonal.abs().log())
        self.lower = nn.Parameter(lower.tril(-1))
        self.upper = nn.Parameter(upper.triu(1))

    def forward(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        lower, upper = self._factors()
        z = torch.einsum("ij,bj...->bi...", self.permutation @ lower @ upper, x)
        return z, (self.log_diagonal.sum() * _positions(x)).expand(len(x))

    def inverse(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        lower, upper = self._factors()
        flat = torch.einsum("ji,bj...->bi...", self.permutation, z).flatten(2) if z.dim() > 2 else z @ self.permutation
        columns = flat.transpose(0, 1).reshape(len(lower), -1)  # (C, B · positions)
        columns = torch.linalg.solve_triangular(lower, columns, upper=False, unitriangular=True)
        columns = torch.linalg.solve_triangular(upper, columns, upper=True)
        return columns.view(z.shape[1], z.shape[0], *z.shape[2:]).transpose(0, 1)

    def _factors(self) -> tuple[Tensor, Tensor]:
        lower = self.lower.tril(-1) + torch.eye(len(self.lower), dtype=self.lower.dtype, device=self.lower.device)
        return lower, self.upper.triu(1) + torch.diag(self.sign * self.log_diagonal.exp())


class Permutation(Transform):
    """z_i = x_{order[i]}: a fixed order of the channels, its own inverse by sorting.

    Arguments:
        order: A permutation of 0 … C−1.
    """

    order: Tensor
    back: Tensor

    def __init__(self, order: Tensor) -> None:
        super().__init__()
        self.register_buffer("order", order.clone())
        self.register_buffer("back", order.argsort())

    def forward(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return x.index_select(1, self.order), x.new_zeros(len(x))

    def inverse(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return z.index_select(1, self.back)
