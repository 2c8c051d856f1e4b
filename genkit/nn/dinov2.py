r"""The vision transformer of DINOv2, whose class token is the feature of FD-DINOv2.

An image is cut into patches of 14 pixels, each mapped to a token; a class token stands before them, positions are
added, and L blocks h ← h + λ₁ attention(norm(h)), h ← h + λ₂ mlp(norm(h)) follow, λ learned per channel. Positions were
learned on 37 x 37 patches and are interpolated to other sizes. Parameter names are those of the published safetensors
files of `Dinov2Model`, so that they load as they are, and the sizes are read from their shapes.

References:
    DINOv2: Learning Robust Visual Features without Supervision (Oquab et al., 2023), 2304.07193.
    An Image is Worth 16x16 Words (Dosovitskiy et al., 2021), 2010.11929.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isqrt

import torch
from torch import Tensor, nn
from torch.nn import functional as F

HEAD = 64  # channels of an attention head in all of the published sizes
EPS = 1e-6
OFFSET = 0.1  # added to the number of patches when positions are interpolated, as the published models do


@dataclass(frozen=True)
class Sizes:
    """Of a network: channels, blocks, hidden channels of an MLP, whether it is gated, patch, patches per side."""

    width: int
    depth: int
    hidden: int
    gated: bool
    patch: int
    side: int

    @classmethod
    def of(cls, state: Mapping[str, Tensor]) -> Sizes:
        """Read from the shapes of its parameters. Raises KeyError or ValueError where they are of another network."""
        kernel = state["embeddings.patch_embeddings.projection.weight"]
        positions = state["embeddings.position_embeddings"]
        numbers = [int(key.split(".")[2]) for key in state if key.startswith("encoder.layer.")]
        gated = "encoder.layer.0.mlp.weights_in.weight" in state
        last = state[f"encoder.layer.0.mlp.{'weights_out' if gated else 'fc2'}.weight"]
        width, side = kernel.shape[0], isqrt(positions.shape[1] - 1)
        if width % HEAD or side**2 != positions.shape[1] - 1:
            raise ValueError(f"{width} channels and {positions.shape[1]} positions are of another network")
        return cls(width, 1 + max(numbers), last.shape[1], gated, kernel.shape[2], side)


class Scale(nn.Module):
    """λ per channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.lambda1 = nn.Parameter(torch.ones(width))

    def forward(self, h: Tensor) -> Tensor:
        return self.lambda1 * h


class GELUFeedForward(nn.Module):
    """Each token by itself, with GELU."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, h: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(h)))


class GatedMLP(nn.Module):
    """Each token by itself, silu(a) · b (SwiGLU, Shazeer 2020, 2002.05202), as the largest network has it."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.weights_in, self.weights_out = nn.Linear(width, 2 * hidden), nn.Linear(hidden, width)

    def forward(self, h: Tensor) -> Tensor:
        gate, value = self.weights_in(h).chunk(2, dim=-1)
        return self.weights_out(F.silu(gate) * value)


class Heads(nn.Module):
    """Softmax attention of all tokens to all tokens."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))

    def forward(self, h: Tensor) -> Tensor:
        parts = (part(h).unflatten(-1, (-1, HEAD)).transpose(1, 2) for part in (self.query, self.key, self.value))
        return F.scaled_dot_product_attention(*parts).transpose(1, 2).flatten(2)


class Attention(nn.Module):
    """Heads, then a linear map."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.attention = Heads(width)
        self.output = nn.ModuleDict({"dense": nn.Linear(width, width)})

    def forward(self, h: Tensor) -> Tensor:
        return self.output["dense"](self.attention(h))


class Block(nn.Module):
    """One block; (B, T, width) to the same."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        width = sizes.width
        self.norm1, self.norm2 = nn.LayerNorm(width, EPS), nn.LayerNorm(width, EPS)
        self.attention = Attention(width)
        self.layer_scale1, self.layer_scale2 = Scale(width), Scale(width)
        self.mlp = (GatedMLP if sizes.gated else GELUFeedForward)(width, sizes.hidden)

    def forward(self, h: Tensor) -> Tensor:
        h = h + self.layer_scale1(self.attention(self.norm1(h)))
        return h + self.layer_scale2(self.mlp(self.norm2(h)))


class Embeddings(nn.Module):
    """Images (B, 3, H, W), multiples of the patch, to tokens (B, 1 + patches, width)."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.side, self.patch = sizes.side, sizes.patch
        self.cls_token = nn.Parameter(torch.zeros(1, 1, sizes.width))
        self.mask_token = nn.Parameter(torch.zeros(1, sizes.width))  # of the training, unused here
        self.position_embeddings = nn.Parameter(torch.zeros(1, 1 + sizes.side**2, sizes.width))
        projection = nn.Conv2d(3, sizes.width, sizes.patch, sizes.patch)
        self.patch_embeddings = nn.ModuleDict({"projection": projection})

    def forward(self, x: Tensor, offset: float) -> Tensor:
        h = self.patch_embeddings["projection"](x)
        positions = self.positions(h.shape[2], h.shape[3], offset)
        tokens = torch.cat([self.cls_token.expand(len(x), -1, -1), h.flatten(2).transpose(1, 2)], 1)
        return tokens + positions

    def positions(self, rows: int, columns: int, offset: float) -> Tensor:
        """(1, 1 + rows · columns, width), interpolated where the image has another size than those learned on."""
        if rows == columns == self.side:
            return self.position_embeddings
        first, rest = self.position_embeddings[:, :1], self.position_embeddings[:, 1:]
        grid = rest.unflatten(1, (self.side, self.side)).permute(0, 3, 1, 2)
        factor = ((rows + offset) / self.side, (columns + offset) / self.side)
        grid = F.interpolate(grid, scale_factor=factor, mode="bicubic", align_corners=False)
        return torch.cat([first, grid.permute(0, 2, 3, 1).flatten(1, 2)], 1)


class DINOv2(nn.Module):
    """The network; its parameters have the names of the published files.

    Arguments:
        sizes: Of the network.
        offset: Added to the number of patches when positions are interpolated: 0.1 as in the published models, behind
            published scores, or 0, which is what Hugging Face's class computes.
    """

    def __init__(self, sizes: Sizes, offset: float = OFFSET) -> None:
        super().__init__()
        self.offset = offset
        self.embeddings = Embeddings(sizes)
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(Block(sizes) for _ in range(sizes.depth))})
        self.layernorm = nn.LayerNorm(sizes.width, EPS)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised images (B, 3, H, W) to the class token (B, width)."""
        h = self.embeddings(x, self.offset)
        for block in self.encoder["layer"]:  # type: ignore[attr-defined]
            h = block(h)
        return self.layernorm(h[:, 0])
