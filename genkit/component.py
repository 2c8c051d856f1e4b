"""Classes that a configuration may name, and the values that their arguments may take.

A class that derives from `Component` can stand as `_target_` in a YAML node or in a checkpoint; nothing else can be
named by a checkpoint. The annotations of its constructor are its schema: `genkit.config.build` checks every argument
against them before anything is built, so an argument with a range declares it there, once:

    def __init__(self, latent_dim: PositiveInt = 16, dropout: Probability = 0.0, *, spec: DataSpec): ...
"""

from dataclasses import dataclass
from typing import Annotated, Any


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


@dataclass(frozen=True)
class AtSampling:
    """Marks an argument of a model that may be changed each time the model samples.

    `genkit sample` and `genkit eval` take their keys from these marks: which values are allowed, the help, what can be
    swept, what results remember.

        def __init__(self, *, spec: DataSpec, top_k: Annotated[int, Range(0, 999), AtSampling("0: all")] = 0): ...

    An ability may mark the arguments of a method in the same way, one of them a trained model: the method is called
    with the model of that checkpoint where the user names one (`genkit.models.base.Guidable`).

    Attributes:
        help: The description of the key, for --help.
        key: What it is called on the command line, dotted where it belongs to others; "": as the argument.
        needs: Another key without which this one changes nothing, with a value for an example: "guidance.scale=2".
        parts: Of an argument that is an object: the arguments of that which can be swept, with their annotations.
    """

    help: str
    key: str = ""
    needs: str = ""
    parts: tuple[tuple[str, Any], ...] = ()


PositiveInt = Annotated[int, Range(1, 2**31 - 1)]
NonNegativeInt = Annotated[int, Range(0, 2**31 - 1)]
Count = Annotated[int, Range(1, 100_000)]  # of draws or steps, which cost time and memory and are in no tensor
Width = Annotated[int, Range(1, 65536)]
Depth = Annotated[int, Range(1, 1024)]
PositiveFloat = Annotated[float, Range(0.0, 1e12, open_low=True)]
NonNegativeFloat = Annotated[float, Range(0.0, 1e12)]
Probability = Annotated[float, Range(0.0, 1.0)]
