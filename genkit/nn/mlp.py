r"""A residual multilayer perceptron, for data without spatial structure and as the plainest choice for any other.

.. math:: h_0 = W x, \quad h_{k+1} = h_k + V_k\, s(U_k\, s(h_k) + E_k e), \quad f = W' s(h_K)

with s = SiLU and e the embedding of time and label. Everything is flattened on the way in and shaped on the way out.
"""

from math import prod

from torch import Tensor, nn
from torch.nn import functional as F

from genkit.component import Depth, Width
from genkit.nn.backbone import Backbone
from genkit.nn.embedding import condition_embedding


class ResidualLayer(nn.Module):
    """h + V s(U s(h) + E e), (B, width) to (B, width)."""

    def __init__(self, width: int, condition: int | None) -> None:
        super().__init__()
        self.first = nn.Linear(width, width)
        self.second = nn.Linear(width, width)
        self.condition = nn.Linear(condition, width) if condition else None

    def forward(self, h: Tensor, e: Tensor | None) -> Tensor:
        inner = self.first(F.silu(h))
        if self.condition is not None:
            inner = inner + self.condition(e)
        return h + self.second(F.silu(inner))


class MLP(Backbone):
    """Residual multilayer perceptron between any two shapes.

    Arguments:
        in_shape, out_shape: Shapes of one example in and out.
        num_classes: Number of labels, None without labels.
        time: Whether a time is given.
        width: Hidden features.
        depth: Residual layers.
    """

    def __init__(
        self,
        *,
        in_shape: tuple[int, ...],
        out_shape: tuple[int, ...],
        num_classes: int | None = None,
        time: bool = False,
        width: Width = 128,
        depth: Depth = 3,
    ) -> None:
        super().__init__()
        self.out_shape = out_shape
        self.embedding = condition_embedding(width, num_classes, time)
        condition = width if self.embedding is not None else None
        self.first = nn.Linear(prod(in_shape), width)
        self.layers = nn.ModuleList(ResidualLayer(width, condition) for _ in range(depth))
        self.last = nn.Linear(width, prod(out_shape))

    def forward(self, x: Tensor, t: Tensor | None = None, y: Tensor | None = None) -> Tensor:
        e = self.embedding(t, y) if self.embedding is not None else None
        h = self.first(x.flatten(1))
        for layer in self.layers:
            h = layer(h, e)
        return self.last(F.silu(h)).unflatten(1, self.out_shape)
