r"""Self-attention (Vaswani et al. 2017, 1706.03762) over the positions of a feature map or of a sequence.

.. math:: o_t = \sum_s \mathrm{softmax}_s(q_t \cdot k_s / \sqrt{d})\, v_s

per head, with s ≤ t alone where the attention is causal.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

HEADS = 4

KeyValue = tuple[Tensor, Tensor]  # keys and values of the positions so far, each (B, heads, T, features / heads)


class SelfAttention(nn.Module):
    """Attention of a sequence to itself, (B, T, features) to the same; it knows no order but that of `causal`.

    Arguments:
        features: A multiple of `heads`.
        heads: Attention heads.
        causal: Whether a position sees itself and earlier ones alone.
    """

    def __init__(self, features: int, heads: int = HEADS, causal: bool = False) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.qkv = nn.Linear(features, 3 * features)
        self.out = nn.Linear(features, features)

    def forward(self, h: Tensor) -> Tensor:
        q, k, v = self._heads(h)
        return self._merge(F.scaled_dot_product_attention(q, k, v, is_causal=self.causal))

    def step(self, h: Tensor, past: KeyValue | None) -> tuple[Tensor, KeyValue]:
        """One more position (B, 1, features) of a causal sequence after `past`, and the past with it."""
        q, k, v = self._heads(h)
        if past is not None:
            k, v = torch.cat((past[0], k), dim=2), torch.cat((past[1], v), dim=2)
        return self._merge(F.scaled_dot_product_attention(q, k, v)), (k, v)

    def _heads(self, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        # (B, T, 3F) -> three of (B, heads, T, F / heads)
        q, k, v = self.qkv(h).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return q, k, v

    def _merge(self, h: Tensor) -> Tensor:
        return self.out(h.transpose(1, 2).flatten(2))


class SelfAttention2d(nn.Module):
    """x + attention(norm(x)) over the H·W positions, (B, C, H, W) to itself; starts as the identity.

    References: as in a diffusion model's U-Net (Ho et al. 2020, 2006.11239).

    Arguments:
        channels: C, a multiple of `heads`.
        heads: Attention heads.
    """

    def __init__(self, channels: int, heads: int = HEADS) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(min(8, channels), channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        B, C, H, W = x.shape
        # (B, 3C, H, W) -> three of (B, heads, HW, C / heads)
        q, k, v = self.qkv(self.norm(x)).reshape(B, 3, self.heads, C // self.heads, H * W).transpose(3, 4).unbind(1)
        h = F.scaled_dot_product_attention(q, k, v)
        return x + self.out(h.transpose(2, 3).reshape(B, C, H, W))
