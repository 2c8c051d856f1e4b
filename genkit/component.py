"""What a configuration may name, and which values its arguments may take.

A class that derives from `Component` can stand as `_target_` in a YAML node or in a checkpoint; nothing else can be
named by a checkpoint. The annotations of its constructor are its schema: `genkit.config.build` checks every argument
against them before anything is built, so an argument with a range declares it there, once:

    def __init__(self, latent_dim: PositiveInt = 16, dropout: Probability = 0.0, *, spec: DataSpec): ...
"""

from dataclasses import dataclass
from typing import Annotated


class Component:
    """Marker base of everything that a configuration can build: models, backbones, samplers, datasets, metrics, …"""


@dataclass(frozen=True)
class Range:
    """A finite closed interval [low, high] that a number must lie in; `open_low` excludes the lower end.

    Infinity and NaN are outside every range, and a bool is no number.
    """

    low: float
    high: float
    open_low: bool = False

    def __contains__(self, value: float) -> bool:
        return (self.low < value if self.open_low else self.low <= value) and value <= self.high

    def __str__(self) -> str:
        return f"{'(' if self.open_low else '['}{self.low:g}, {self.high:g}]"


PositiveInt = Annotated[int, Range(1, 2**31 - 1)]
NonNegativeInt = Annotated[int, Range(0, 2**31 - 1)]
Count = Annotated[int, Range(1, 100_000)]  # of draws or steps, which cost time and memory and are in no tensor
Width = Annotated[int, Range(1, 65536)]
Depth = Annotated[int, Range(1, 1024)]
PositiveFloat = Annotated[float, Range(0.0, 1e12, open_low=True)]
NonNegativeFloat = Annotated[float, Range(0.0, 1e12)]
Probability = Annotated[float, Range(0.0, 1.0)]
