"""A network that sees something beside what it is asked about, as further channels or values."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from genkit.nn.backbone import Backbone, BackboneFactory


class WithCondition(Backbone):
    """A network that sees a condition beside what it is asked about.

    Arguments:
        in_shape, out_shape, num_classes, time: See `Backbone`.
        network: What makes the network within, whose input has the condition's channels (of vectors, values) too.
        condition: Shape of the condition, which differs from in_shape in its first size alone.
        optional: Whether it may be asked without a condition, which is then 0.

    Attributes:
        c: The conditions (B, *condition) of the examples that it is being asked about, k rows for each of them in turn.
    """

    def __init__(
        self,
        *,
        in_shape: tuple[int, ...],
        out_shape: tuple[int, ...],
        num_classes: int | None = None,
        time: bool = False,
        network: BackboneFactory,
        condition: tuple[int, ...],
        optional: bool = False,
    ) -> None:
        super().__init__()
        both = (in_shape[0] + condition[0], *in_shape[1:])
        self.network = network(in_shape=both, out_shape=out_shape, num_classes=num_classes, time=time)
        self.condition, self.optional = condition, optional
        self.c: Tensor | None = None

    def forward(self, x: Tensor, t: Tensor | None = None, y: Tensor | None = None) -> Tensor:
        assert self.c is not None or self.optional, "the network is asked inside of `given` alone"
        c = x.new_zeros(len(x), *self.condition) if self.c is None else self.c
        return self.network(torch.cat([x, c.repeat_interleave(len(x) // len(c), 0).to(x)], 1), t, y)

    @contextmanager
    def given(self, c: Tensor) -> Iterator[None]:
        """Ask about examples with these conditions (B, *condition)."""
        self.c = c
        try:
            yield
        finally:
            self.c = None
