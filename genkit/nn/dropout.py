"""Dropout whose mask is a function of an example's position in the batch, however the batch is divided."""

from torch import Tensor, nn

from genkit.batch_noise import dropout


class Dropout(nn.Dropout):
    """As `torch.nn.Dropout`, of examples x (B, …)."""

    def forward(self, x: Tensor) -> Tensor:
        return dropout(x, self.p) if self.training else x
