"""Count evaluations of networks: the cost of a sample, guidance included."""

from types import TracebackType
from typing import Self

from torch import nn


class Evaluations:
    """Counts the calls of networks while it is entered: `with Evaluations(net) as asked: …; asked.count`.

    One call answers for a whole batch, so it counts once for each sample.

    Args:
        networks: The modules whose forward passes are counted, all in one sum.
    """

    def __init__(self, *networks: nn.Module) -> None:
        self.networks, self.count = networks, 0

    def __enter__(self) -> Self:
        self.handles = [network.register_forward_hook(self._saw) for network in self.networks]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for handle in self.handles:
            handle.remove()

    def _saw(self, *_: object) -> None:
        self.count += 1
