"""Linear layers with some connections left out, of which networks that see only part of their input are made."""

import torch.nn.functional as F
from torch import Tensor, nn


class MaskedLinear(nn.Linear):
    """Linear layer in which output o sees input i only where `allowed[o, i]`."""

    allowed: Tensor

    def __init__(self, allowed: Tensor) -> None:
        super().__init__(allowed.shape[1], allowed.shape[0])
        self.register_buffer("allowed", allowed, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.allowed, self.bias)
