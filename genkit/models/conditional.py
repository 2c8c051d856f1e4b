"""Labels: the conditioning of models, and the default labels of samples."""

from __future__ import annotations

from abc import ABC

import torch
from torch import Tensor, nn

from genkit.data.spec import Batch, DataSpec
from genkit.errors import ConfigError
from genkit.noise import generator_of
from genkit.printing import shown

GOLDEN = (5**0.5 - 1) / 2  # its multiples modulo 1 fill [0, 1) most evenly, for any number of them
RESOLUTION = 10_000  # labels that stand for the shares of all of a table


class Conditional(ABC):
    """Ability: the model can be conditioned on a label, if it was built with num_classes."""

    num_classes: int | None  # None: this instance was built without labels

    def labels_of(self, batch: Batch) -> Tensor | None:
        """The labels (B,) of a training batch; None for an unconditional model, also where the batch has labels."""
        return None if self.num_classes is None else batch["y"]

    def check_labels(self, y: Tensor | None, n: int | None = None) -> None:
        """Refuse labels y that are not (n,) integers in 0 … num_classes − 1, None of an unconditional model.

        Args:
            y: The labels.
            n: How many examples they are of, None where that is not known.

        Raises:
            ConfigError: they are given to an unconditional model, missing from a conditional one, or no such labels.
        """
        if y is not None and self.num_classes is None:
            raise ConfigError("this model is unconditional: it takes no y= (train it with model.conditional=true)")
        if self.num_classes is None:
            return
        if y is None:
            raise ConfigError(f"this model is conditional: it needs labels y in 0 … {self.num_classes - 1}")
        check_labels(y, self.num_classes, len(y) if n is None and y.ndim else n)


def classes_of(spec: DataSpec, conditional: bool) -> int | None:
    """The number of classes that a model conditions on, None for an unconditional one.

    Raises ConfigError where labels are asked for and the data has none.
    """
    if conditional and spec.num_classes is None:
        raise ConfigError("model.conditional=true needs labelled data, and this data has no labels")
    return spec.num_classes if conditional else None


def labels_like(y: Tensor, indices: range, seed: int) -> Tensor:
    """Labels (n,) of the samples `indices` in the shares that they have among y (N,), N > 0.

    Label i is the quantile of y at the fractional part of u + i φ, u a function of the seed and φ the golden ratio
    (a Kronecker sequence): a function of (seed, i), and the shares of n labels are off by O(log n / n) alone.
    """
    u = torch.rand((), generator=generator_of(seed, "labels"), dtype=torch.float64)
    at = torch.tensor(indices, dtype=torch.float64) * GOLDEN + u
    return y.sort().values[((at - at.floor()) * len(y)).long().clamp(max=len(y) - 1)].to(torch.int64)


def usual_labels(spec: DataSpec) -> Tensor | None:
    """Labels (n,) in their shares of the training data, as many as say these; None where nothing asks for them."""
    counts = torch.tensor(spec.kind.label_counts, dtype=torch.float64)
    if not len(counts) or not counts.sum():
        return None
    shares = counts * min(1.0, RESOLUTION / float(counts.sum()))
    return torch.arange(len(counts)).repeat_interleave(torch.where(counts > 0, shares.round().clamp(min=1), 0).long())


def labels_for(
    model: nn.Module, indices: range, y: int | None = None, *, like: Tensor | None = None, seed: int = 0
) -> Tensor | None:
    """Labels (n,) of the samples `indices`; None for an unconditional model.

    `y` for all of them if given, else in the shares of the labels `like` (N,), else the classes in turn.

    Raises ConfigError for a label that the model does not know.
    """
    num_classes = model.num_classes if isinstance(model, Conditional) else None
    if num_classes is None:
        if y is not None:
            raise ConfigError(f"y={y}: this model is unconditional (train it with model.conditional=true)")
        return None
    if y is not None and not 0 <= y < num_classes:
        raise ConfigError(f"y={y}: the model knows the labels 0 … {num_classes - 1}")
    if y is None and like is not None:
        if not 0 <= int(like.min()) <= int(like.max()) < num_classes:
            raise ConfigError(
                f"the data has labels in {int(like.min())} … {int(like.max())}, the model knows 0 … {num_classes - 1}: "
                "choose the data= that it was trained on"
            )
        return labels_like(like, indices, seed)
    return torch.tensor([i % num_classes if y is None else y for i in indices], dtype=torch.int64)


def labels_of_call(model: nn.Module, n: int, y: Tensor | int | None) -> Tensor | None:
    """Labels (n,) int64 of n samples: those given, one for all of them, or the classes in turn; as `labels_for`.

    Raises ConfigError for labels that the model does not know, or of another number.
    """
    if not isinstance(y, Tensor):
        if y is not None and type(y) is not int:
            raise ConfigError(f"y={shown(y)}: labels are one whole number, or a tensor ({n},) of them")
        return labels_for(model, range(n), y)
    if not isinstance(model, Conditional):
        raise ConfigError("this model is unconditional: it takes no y=")
    model.check_labels(y, n)
    return y.long()


def check_labels(y: Tensor, num_classes: int, n: int | None) -> None:
    """Raises ConfigError where y is not (n,) integers in 0 … num_classes − 1.

    Values are looked at on the CPU alone: on a device every look would wait for all that it was asked before.
    """
    kind = str(y.dtype).removeprefix("torch.")
    whole = not (y.is_floating_point() or y.is_complex() or y.dtype == torch.bool)
    if y.ndim != 1 or (n is not None and len(y) != n) or not whole:
        raise ConfigError(f"y of shape {tuple(y.shape)} and type {kind}: labels are ({'n' if n is None else n},) int64")
    if y.device.type == "cpu" and len(y) and not 0 <= int(y.min()) <= int(y.max()) < num_classes:
        raise ConfigError(f"y in {int(y.min())} … {int(y.max())}: the model knows the labels 0 … {num_classes - 1}")
