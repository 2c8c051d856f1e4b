"""Self-attention over the positions of a feature map (Vaswani et al. 2017, 1706.03762; Ho et al. 2020, 2006.11239)."""

from torch import Tensor, nn
from torch.nn import functional as F


class SelfAttention2d(nn.Module):
    """x + attention(norm(x)) over the H·W positions, (B, C, H, W) to itself; starts as the identity.

    Arguments:
        channels: C, a multiple of `heads`.
        heads: Attention heads.
    """

    def __init__(self, channels: int, heads: int = 4) -> None:
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
