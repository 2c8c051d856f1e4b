"""How often a network is asked: the price of a sample, whatever the sampler and its guidance make of it."""

from types import TracebackType
from typing import Self

from torch import nn


class Evaluations:
    """Counts the calls of a network while it is entered: `with Evaluations(net) as asked: …; asked.count`.

    One call answers for a whole batch, so it counts once for each sample.

    Args:
        network: The module whose forward passes are counted.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network, self.count = network, 0

    def __enter__(self) -> Self:
        self.handle = self.network.register_forward_hook(self._saw)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.handle.remove()

    def _saw(self, *_: object) -> None:
        self.count += 1
