"""What the tests of single models share: small data, and a network whose weights can be written down."""

from math import prod

import torch
from torch import Tensor, nn

from genkit.data.spec import DataSpec
from genkit.nn.backbone import Backbone

PLANE = DataSpec(shape=(2,), modality="vector", num_classes=3)
DIGITS = DataSpec(shape=(1, 8, 8), modality="image", value_range=(-1.0, 1.0), levels=17, num_classes=10)


class Affine(Backbone):
    """One linear layer between the flattened shapes; the label adds a row of a table that starts at zero."""

    def __init__(
        self,
        *,
        in_shape: tuple[int, ...],
        out_shape: tuple[int, ...],
        num_classes: int | None = None,
        time: bool = False,
    ) -> None:
        super().__init__()
        self.out_shape = out_shape
        self.linear = nn.Linear(prod(in_shape), prod(out_shape))
        self.table = None if num_classes is None else nn.Embedding(num_classes, prod(out_shape))

    def forward(self, x: Tensor, t: Tensor | None = None, y: Tensor | None = None) -> Tensor:
        out = self.linear(x.flatten(1))
        if self.table is not None:
            assert y is not None
            out = out + self.table(y)
        return out.unflatten(1, self.out_shape)

    @torch.no_grad()
    def set(self, weight: Tensor, bias: Tensor) -> None:
        self.linear.weight.copy_(weight)
        self.linear.bias.copy_(bias)
