r"""Examples to bytes and back by a trained model, without loss.

Networks are evaluated in float64, so that their scores hardly depend on the batch, the number of threads or the device
(see `genkit.coding.frequencies` for what is left). Models with the ability `Codes` write one message, block of examples
by block, and within a block symbol by symbol of all its examples. Models with `CodesLatent` chain their examples on one
stack. Labels, where they are kept, are a message of their own, log₂ of their number each.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genkit.coding import bits_back
from genkit.coding.ans import ANSStack
from genkit.coding.frequencies import Floats, Integers, cumulative_frequencies
from genkit.coding.range_coder import RangeDecoder, RangeEncoder
from genkit.errors import ConfigError, DataError
from genkit.models.base import Conditional, GenerativeModel
from genkit.models.codes import Codes, CodesLatent

VALUES, LABELS = "values", "labels"  # sections
RANGE, BITS_BACK = "range", "bits-back"  # coders
SEED = 0  # of the initial bits
Watch = Callable[[int], object]  # is told of so many more examples that are done


@dataclass(frozen=True)
class Coded:
    """Examples as bytes.

    Attributes:
        sections: Bytes by name: "values", and "labels" where those were kept.
        facts: What decoding must know: "n", "coder", and "block" or "initial_bits".
        ideal_bits: −log₂ P of all values by the model, as far as its coder knows: that of a `Codes`; None otherwise.
    """

    sections: Mapping[str, bytes]
    facts: Mapping[str, Any]
    ideal_bits: float | None = None


def why_not(model: GenerativeModel) -> str | None:
    """Reason that a model can code no data, "" where its class has none of the abilities; None where it can."""
    return model.uncodable() if isinstance(model, (Codes, CodesLatent)) else ""


@torch.no_grad()
def encode(
    model: GenerativeModel,
    v: Tensor,
    y: Tensor | None = None,
    *,
    block: int = 256,
    num_labels: int | None = None,
    watch: Watch = lambda _: None,
) -> Coded:
    """Code stored values v (N, *shape), channels first.

    Args:
        model: With `Codes` or `CodesLatent`, in eval mode.
        v: N ≥ 1.
        y: Labels (N,) of a conditional model.
        block: Examples that are evaluated together; changes speed and memory.
        num_labels: The labels are kept too, so many there are; needed by a conditional model.
        watch: Is told of progress.

    Raises:
        ConfigError: the model cannot.
        DataError: an example that has no symbols, such as tokens after an end.
    """
    _require(model)
    given = y if knows_labels(model) else None
    sections: dict[str, bytes] = {}
    with in_double(model) as device:
        if isinstance(model, Codes):
            sections[VALUES], bits = _encode_blocks(model, v, given, block, device, watch)
            facts: dict[str, Any] = {"coder": RANGE, "block": block}
        else:
            stack = _encode_chain(model, v, given, device, watch)
            sections[VALUES], bits = stack.to_bytes(), None
            facts = {"coder": BITS_BACK, "initial_bits": 8 * len(bits_back.BOTTOM) + 32 * stack.drawn}
    if num_labels is not None and y is not None:
        coder = RangeEncoder()
        coder.encode(_uniform(len(y), num_labels), y.cpu().numpy().astype(np.int64))
        sections[LABELS] = coder.finish()
        facts["num_labels"] = num_labels
    return Coded(sections, {"n": len(v), **facts}, bits)


@torch.no_grad()
def decode(model: GenerativeModel, coded: Coded, *, watch: Watch = lambda _: None) -> tuple[Tensor, Tensor | None]:
    """The stored values (N, *shape) and labels that `encode` was given, by the same model.

    Raises:
        ConfigError: the model cannot.
        DataError: bytes or facts that `encode` returns none of.
    """
    _require(model)
    n, facts = _whole(coded.facts.get("n")), coded.facts
    y = None
    if LABELS in coded.sections:
        table = _uniform(n, _whole(facts.get("num_labels")))
        y = torch.from_numpy(RangeDecoder(coded.sections[LABELS]).decode(table))
    given = y if knows_labels(model) else None
    message = coded.sections.get(VALUES, b"")
    with in_double(model) as device:
        if isinstance(model, Codes) and facts.get("coder") == RANGE:
            x = _decode_blocks(model, message, n, given, _whole(facts.get("block")), device, watch)
        elif isinstance(model, CodesLatent) and facts.get("coder") == BITS_BACK:
            x = _decode_chain(model, message, n, given, device, watch)
        else:
            raise DataError("coded in a way that is none of this model's")
        return model.spec.unscale(x).cpu(), y


@contextmanager
def in_double(model: GenerativeModel) -> Iterator[torch.device]:
    """Let a model compute in float64 inside, and as before afterwards; gives its device."""
    tensors = [*model.parameters(), *model.buffers()]
    first = next((t for t in tensors if t.is_floating_point()), torch.empty(0))
    dtype, device = first.dtype, first.device
    model.double()
    try:
        yield device
    finally:
        model.to(dtype)


def knows_labels(model: GenerativeModel) -> bool:
    """Tell whether a model needs the labels of what it codes."""
    return isinstance(model, Conditional) and model.num_classes is not None


def _require(model: GenerativeModel) -> None:
    reason = why_not(model)
    if reason is not None:
        raise ConfigError(f"{type(model).__name__} codes no data{f': {reason}' if reason else ''}")


def _encode_blocks(
    model: Any, v: Tensor, y: Tensor | None, block: int, device: torch.device, watch: Watch
) -> tuple[bytes, float]:
    coder, bits = RangeEncoder(), 0.0
    for first in range(0, len(v), block):
        part = v[first : first + block].to(device)
        labels = None if y is None else y[first : first + block].to(device)
        x = model.spec.scale(part)
        symbols = model.symbols_of(x.double() if x.is_floating_point() else x, labels)
        columns = iter(symbols.unbind(1))

        def written(scores: Tensor, wanted: Tensor, columns: Iterator[Tensor] = columns) -> Tensor:
            nonlocal bits
            column, rows = next(columns), wanted.to(scores.device)
            told = column[rows]
            if bool((told < 0).any()):
                raise DataError("an example is padded without an end: nothing tells it from another")
            bits -= float(scores[rows].double().log_softmax(1).gather(1, told[:, None]).sum()) / math.log(2)
            coder.encode(cumulative_frequencies(_numpy(scores[rows])), told.cpu().numpy())
            return column.clamp(min=0)

        found = model.spec.unscale(model.code(len(part), labels, written))
        if not torch.equal(found, part.to(found)):
            raise DataError("an example goes on after its end: its symbols do not tell it")
        watch(len(part))
    return coder.finish(), bits


def _decode_blocks(
    model: Any, message: bytes, n: int, y: Tensor | None, block: int, device: torch.device, watch: Watch
) -> Tensor:
    coder, found = RangeDecoder(message), []

    def read(scores: Tensor, wanted: Tensor) -> Tensor:
        rows = wanted.to(scores.device)
        symbols = torch.zeros(len(scores), dtype=torch.int64, device=scores.device)
        symbols[rows] = torch.from_numpy(coder.decode(cumulative_frequencies(_numpy(scores[rows])))).to(scores.device)
        return symbols

    for first in range(0, n, block):
        labels = None if y is None else y[first : first + block].to(device)
        found.append(model.code(min(block, n - first), labels, read))
        watch(len(found[-1]))
    return torch.cat(found)


class _Latent:
    """A model with a latent, asked about one example at a time."""

    def __init__(self, model: Any, y: Tensor | None, device: torch.device) -> None:
        self.model, self.y, self.device = model, y, device

    def posterior(self, i: int) -> bits_back.Posterior:
        def moments(symbols: Integers) -> tuple[Floats, Floats]:
            stored = torch.from_numpy(symbols).view(1, *self.model.spec.shape).to(self.device)
            mean, log_std = self.model.coded_posterior(self.model.spec.scale(stored).double(), self._label(i))
            return _numpy(mean[0]), _numpy(log_std[0])

        return moments

    def scores(self, i: int) -> bits_back.Scores:
        def of_latent(z: Floats) -> Floats:
            latent = torch.from_numpy(z)[None].to(self.device)
            return _numpy(self.model.coded_scores(latent, self._label(i))[0])

        return of_latent

    def _label(self, i: int) -> Tensor | None:
        return None if self.y is None else self.y[i : i + 1].to(self.device)


def _encode_chain(model: Any, v: Tensor, y: Tensor | None, device: torch.device, watch: Watch) -> ANSStack:
    stack, latent = bits_back.start(SEED), _Latent(model, y, device)
    for i, symbols in enumerate(v.flatten(1).cpu().numpy().astype(np.int64)):
        bits_back.push_example(stack, symbols, latent.posterior(i), latent.scores(i))
        watch(1)
    return stack


def _decode_chain(model: Any, message: bytes, n: int, y: Tensor | None, device: torch.device, watch: Watch) -> Tensor:
    stack, latent = ANSStack(message), _Latent(model, y, device)
    found = np.empty((n, model.spec.dim), dtype=np.int64)
    for i in reversed(range(n)):
        found[i] = bits_back.pop_example(stack, latent.posterior(i), latent.scores(i), model.latent_dim)
        watch(1)
    if not bits_back.is_start(stack, SEED):
        raise DataError(
            "bits are left over: these were coded with another model, or on a machine that rounds otherwise"
        )
    return model.spec.scale(torch.from_numpy(found).view(n, *model.spec.shape))


def _uniform(n: int, count: int) -> Integers:
    return np.repeat(cumulative_frequencies(np.zeros((1, count))), n, axis=0)


def _numpy(x: Tensor) -> Floats:
    return x.detach().double().cpu().numpy()


def _whole(value: Any) -> int:
    if type(value) is not int or value < 1:
        raise DataError("the facts beside coded data are none that genkit writes")
    return value
