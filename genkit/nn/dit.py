r"""A diffusion transformer: an image as a sequence of patches, every block modulated by time and label.

.. math:: h \leftarrow h + g_1(e)\, \mathrm{attention}\big(\mathrm{norm}(h) (1 + a_1(e)) + b_1(e)\big), \qquad
          h \leftarrow h + g_2(e)\, \mathrm{mlp}\big(\mathrm{norm}(h) (1 + a_2(e)) + b_2(e)\big)

The gates g start at zero, so that the network starts as the identity on its tokens, and the last layer at zero ("adaLN
zero"). Positions enter as fixed sines and cosines of the row and the column.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genkit.component import Depth, Width
from genkit.errors import ConfigError
from genkit.nn.attention import HEADS
from genkit.nn.backbone import Backbone
from genkit.nn.embedding import condition_embedding
from genkit.nn.fold import fold, unfold
from genkit.nn.transformer import EXPANSION


class Modulation(nn.Module):
    """e (B, F) to `parts` tensors (B, 1, width) that start at zero; learned constants where nothing conditions.

    Arguments:
        condition: F, None without an embedding.
        width: Features of a token.
        parts: How many.
    """

    def __init__(self, condition: int | None, width: int, parts: int) -> None:
        super().__init__()
        self.parts = parts
        self.constant = nn.Parameter(torch.zeros(parts * width))
        self.linear = nn.Linear(condition, parts * width, bias=False) if condition else None
        if self.linear is not None:
            nn.init.zeros_(self.linear.weight)

    def forward(self, e: Tensor | None) -> tuple[Tensor, ...]:
        out = self.constant[None] if self.linear is None else self.constant + self.linear(e)
        return out[:, None].chunk(self.parts, dim=2)


class DiTBlock(nn.Module):
    """Self-attention and a perceptron over the tokens (B, T, width), gated by e (B, F).

    Arguments:
        width: Features of a token, a multiple of `heads`.
        heads: Attention heads.
        expansion: Hidden features of the perceptron, in units of the width.
        condition: F, None without an embedding.
    """

    def __init__(self, width: int, heads: int, expansion: int, condition: int | None) -> None:
        super().__init__()
        self.heads = heads
        self.modulation = Modulation(condition, width, 6)
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.Linear(width, expansion * width), nn.GELU(approximate="tanh"), nn.Linear(expansion * width, width)
        )

    def forward(self, h: Tensor, e: Tensor | None) -> Tensor:
        scale, shift, gate, mlp_scale, mlp_shift, mlp_gate = self.modulation(e)
        h = h + gate * self._attention(self.norm(h) * (1 + scale) + shift)
        return h + mlp_gate * self.mlp(self.norm(h) * (1 + mlp_scale) + mlp_shift)

    def _attention(self, h: Tensor) -> Tensor:
        B, T, C = h.shape
        q, k, v = self.qkv(h).reshape(B, T, 3, self.heads, C // self.heads).permute(2, 0, 3, 1, 4)
        return self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(B, T, C))


class DiT(Backbone):
    """Diffusion transformer between images of one size.

    References: Scalable Diffusion Models with Transformers (Peebles & Xie 2022, 2212.09748).

    Arguments:
        in_shape, out_shape: (C, H, W) and (C', H, W).
        num_classes: Number of labels, None without labels.
        time: Whether a time is given.
        patch: Side of a patch in pixels; sides that it does not divide are padded.
        width: Features of a token, a multiple of 4 and of `heads`.
        depth: Blocks.
        heads: Attention heads.
        expansion: Hidden features of the perceptrons, in units of the width.
    """

    position: Tensor

    def __init__(
        self,
        *,
        in_shape: tuple[int, ...],
        out_shape: tuple[int, ...],
        num_classes: int | None = None,
        time: bool = False,
        patch: Depth = 2,
        width: Width = 128,
        depth: Depth = 4,
        heads: Depth = HEADS,
        expansion: Depth = EXPANSION,
    ) -> None:
        super().__init__()
        if len(in_shape) != 3 or len(out_shape) != 3 or in_shape[1:] != out_shape[1:]:
            raise ConfigError(
                f"backbone=dit maps images to images of the same size, not {in_shape} to {out_shape}: "
                "use backbone=conv (image to vector and back) or backbone=mlp"
            )
        if width % heads or width % 4:
            raise ConfigError(f"backbone.width={width}: a DiT's width is a multiple of 4 and of backbone.heads={heads}")
        self.patch = patch
        self.embedding = condition_embedding(width, num_classes, time)
        condition = width if self.embedding is not None else None
        rows, columns = (math.ceil(side / patch) for side in in_shape[1:])
        self.register_buffer("position", positions(rows, columns, width), persistent=False)
        self.first = nn.Conv2d(in_shape[0] * patch**2, width, 1)
        self.blocks = nn.ModuleList(DiTBlock(width, heads, expansion, condition) for _ in range(depth))
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulation = Modulation(condition, width, 2)
        self.last = nn.Linear(width, out_shape[0] * patch**2)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor, t: Tensor | None = None, y: Tensor | None = None) -> Tensor:
        e = self.embedding(t, y) if self.embedding is not None else None
        H, W = x.shape[-2:]
        folded = self.first(fold(x, self.patch, self.patch))  # (B, width, rows, columns)
        h = folded.flatten(2).transpose(1, 2) + self.position
        for block in self.blocks:
            h = block(h, e)
        scale, shift = self.modulation(e)
        h = self.last(self.norm(h) * (1 + scale) + shift).transpose(1, 2)
        return unfold(h.unflatten(2, folded.shape[2:]), self.patch, H, W)


def positions(rows: int, columns: int, width: int) -> Tensor:
    """(rows · columns, width): sines and cosines of the row in one half of the features, of the column in the other."""
    rates = 10_000 ** -(torch.arange(width // 4) / (width // 4))
    row, column = (torch.arange(n)[:, None] * rates for n in (rows, columns))
    halves = [torch.cat((angle.sin(), angle.cos()), 1) for angle in (row, column)]
    down, across = halves[0][:, None].expand(-1, columns, -1), halves[1][None].expand(rows, -1, -1)
    return torch.cat((down, across), 2).flatten(0, 1)
