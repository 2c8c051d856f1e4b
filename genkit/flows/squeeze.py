r"""Space to channels: (B, C, H, W) to (B, 4C, H/2, W/2), a permutation of the values.

The four pixels of every 2x2 block become four groups of C channels in the order (0,0), (0,1), (1,0), (1,1): channels
0 … C−1 are the image subsampled by two, and a coupling between groups is a checkerboard coupling between pixels.

References: Density estimation using Real NVP (Dinh, Sohl-Dickstein, Bengio, 2016), arXiv:1605.08803.
"""

from torch import Tensor

from genkit.flows.transform import Transform


class Squeeze(Transform):
    """2x2 blocks to channels; height and width must be even."""

    def forward(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z = x.unflatten(3, (-1, 2)).unflatten(2, (-1, 2))  # (B, C, H/2, 2, W/2, 2)
        return z.permute(0, 3, 5, 1, 2, 4).flatten(1, 3), x.new_zeros(len(x))

    def inverse(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        blocks = z.unflatten(1, (2, 2, -1)).permute(0, 3, 4, 1, 5, 2)  # (B, C, H/2, 2, W/2, 2)
        return blocks.flatten(4, 5).flatten(2, 3)
