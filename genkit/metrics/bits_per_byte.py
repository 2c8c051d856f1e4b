r"""Bits per byte of text: what a likelihood is worth whatever the tokens.

.. math:: \frac{-\sum_i \log P(x_i)}{\ln 2 \; \sum_i b_i}

over all examples i of b_i bytes of decoded text: nats are summed and divided once, never a mean of means. A perplexity
of tokens compares models of one tokenizer only; bits per byte compare all of them. The end of a document is paid for.
A model of byte pairs gives a text at least the probability of its one way to be cut that is scored here, so bits per
byte are then an upper bound, exact as they are in tokens.

A document that is longer than the T tokens of an example is scored by windows that slide over it by a stride s, each
token once and after at least T − s others (`genkit.data.text.sliding`): s = T/2 unless told otherwise. With s = T the
windows lie side by side, which is cheapest and costs a few hundredths of a bit, since what follows an edge is predicted
from nothing. A model that gives no log-probability of single tokens, such as a bound of whole windows, is scored side
by side alone. Context and stride stand in the record, and values of different strides are not compared.

The interval is that of a bootstrap of documents, whose tokens are not independent of each other; of a single document,
or of many short windows of few, of blocks of 4 KiB.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor
from torchmetrics.utilities import dim_zero_cat

from genkit.component import PositiveInt
from genkit.data.kinds import Modality, ValueKind
from genkit.data.spec import DataSpec
from genkit.data.text.kind import Text
from genkit.metrics.base import Probe, Requirement
from genkit.metrics.interval import bootstrap_interval, resamples
from genkit.metrics.mean import ExampleMean

BLOCK = 4096  # bytes
FEWEST = 10  # documents that a bootstrap draws from


def bits_per_unit(nats: float, units: float) -> float:
    """Bits per byte, character or token of −log P in nats of so many."""
    return nats / (math.log(2.0) * units)


def characters(x: Tensor, kind: Text) -> Tensor:
    """(n,) int64: the code points of the text of examples (n, T); one that a window cuts counts where it begins."""
    counts = [sum(byte & 0xC0 != 0x80 for byte in document) for document in kind.documents(x)]
    return torch.tensor(counts, dtype=torch.int64)


def blocks(ended: Tensor, sizes: Tensor, fewest: int = FEWEST, size: int = BLOCK) -> Tensor:
    """(n,) int64: the number of the block of each example, examples of a document following each other.

    Args:
        ended: (n,) bool, whether a document ends in the example.
        sizes: (n,) its bytes.
        fewest: Documents below which blocks of so many bytes take their place.
        size: Bytes of a block.
    """
    documents = ended.long().cumsum(0) - ended.long()
    if len(documents) and int(documents[-1]) + 1 >= fewest:
        return documents
    return (sizes.cumsum(0) - sizes) // size


class BitsPerByte(ExampleMean):
    """−log₂ P of held-out text per byte of it, the ends of documents paid for.

    Args:
        stride: s, tokens by which windows move over a document; null: half of those of an example.
    """

    requires: ClassVar[tuple[Requirement, ...]] = ("log_prob",)
    modalities: ClassVar[tuple[Modality, ...]] = ("sequence",)
    kinds: ClassVar[tuple[type[ValueKind], ...]] = (Text,)
    units: ClassVar[str] = "bits/byte"
    divergence: ClassVar[bool] = False
    covers: ClassVar[str] = "the score over draws of the documents, or of blocks of 4 KiB where they are few"

    facts: list[Tensor]  # (B, 5) each: nats, bytes, characters, tokens with the end, whether it ended

    def __init__(self, stride: PositiveInt | None = None) -> None:
        super().__init__()
        self.add_state("facts", default=[], dist_reduce_fx="cat")
        self.stride = stride
        self.spec: DataSpec | None = None
        self.slides = True

    def per_example(self, probe: Probe) -> Tensor:
        self.slides = "token_log_prob" in probe
        if not self.slides:
            return -probe["log_prob"].double()
        return -probe.ask("token_log_prob", self._asked(probe.spec.dim)).double().sum(1)

    def update(self, probe: Probe) -> None:
        if "log_prob" not in probe:
            return
        super().update(probe)
        kind, x = probe.spec.kind, probe["real"]
        assert isinstance(kind, Text)
        self.spec = probe.spec
        ended = kind.ended(x)
        sizes = (kind.sizes(x), characters(x, kind), kind.counts(x) + ended, ended)
        self.facts.append(torch.stack([size.double() for size in sizes], 1))

    def _sums(self) -> tuple[Tensor, Tensor]:
        """nats (n,) and the facts (n, 4) of the examples."""
        return self.examples(), dim_zero_cat(self.facts)

    def compute(self) -> Tensor:
        nats, facts = self._sums()
        return nats.sum() / (math.log(2.0) * facts[:, 0].sum())

    def interval(self, repeats: int, seed: int) -> tuple[float, float] | None:
        nats, facts = self._sums()
        number = blocks(facts[:, 3].bool(), facts[:, 0].long()).unique(return_inverse=True)[1]
        many = int(number.max()) + 1
        if many < 2:
            return None
        totals = torch.zeros(many, 2, dtype=torch.float64).index_add_(0, number, torch.stack([nats, facts[:, 0]], 1))
        drawn = [(weights[:, None] * totals).sum(0) for weights in resamples(many, repeats, seed)]
        replicates = torch.tensor([bits_per_unit(float(n), float(b)) for n, b in drawn if b > 0], dtype=torch.float64)
        return bootstrap_interval(float(self.compute()), replicates)

    def params(self) -> dict[str, Any]:
        """The stride as a share of the context T, so that models of different T are compared."""
        known = {"includes_eos": True, "of": "text"}
        return known if self.spec is None else {"stride": _share(self._taken, self.spec.dim), **known}

    def notes(self) -> Iterator[str]:
        if self.spec is None:
            return
        assert isinstance(self.spec.kind, Text)
        found = self.findings()
        name = self.spec.kind.tokenizer.name
        characters = found["bits_per_character"]
        said = "" if characters is None else f"{characters:.3f} bits per character, "
        yield (
            f"context {self.spec.dim:,} tokens ({name}), stride {self._taken:,}, ends paid for: {said}perplexity "
            f"{found['perplexity_per_token']:.4g} per token"
        )

    def warnings(self, value: float, floor: float | None) -> Iterator[str]:
        if self.spec is not None and self.stride is not None and self._taken != self.stride:
            yield (
                f"stride={self.stride:,} was asked for; windows lie side by side, since the model gives no "
                "log-probability of single tokens"
            )

    def details(self) -> list[dict[str, float]]:
        """Documents in the order of the split: bytes, characters, tokens with the end, nats, bits per byte."""
        nats, facts = self._sums()
        ended = facts[:, 3].long()
        number = ended.cumsum(0) - ended
        many = int(number[-1]) + 1
        sums = torch.zeros(many, 4, dtype=torch.float64).index_add_(
            0, number, torch.cat([nats[:, None], facts[:, :3]], 1)
        )
        return [
            {
                "document": i,
                "bytes": int(size),
                "characters": int(letters),
                "tokens": int(tokens),
                "nats": total,
                "bits_per_byte": bits_per_unit(total, size) if size else math.nan,
            }
            for i, (total, size, letters, tokens) in enumerate(sums.tolist())
        ]

    def _asked(self, context: int) -> int:
        """s for a context of T tokens."""
        return max(1, context // 2) if self.stride is None else self.stride

    @property
    def _taken(self) -> int:
        """s of the windows that were scored."""
        assert self.spec is not None
        return self._asked(self.spec.dim) if self.slides else self.spec.dim

    def findings(self) -> dict[str, Any]:
        nats, facts = self._sums()
        total = float(nats.sum())
        size, letters, tokens, documents = facts.sum(0).tolist()
        assert self.spec is not None
        kind = self.spec.kind
        assert isinstance(kind, Text)
        return {
            "context": self.spec.dim,
            "stride": self._taken,
            "tokenizer": f"{kind.tokenizer.name} {kind.tokenizer.hash[:8]}",
            "nats": total,
            "bytes": int(size),
            "characters": int(letters),
            "tokens": int(tokens),
            "documents": int(documents),
            "bits_per_character": bits_per_unit(total, letters) if letters else None,
            "bits_per_token": bits_per_unit(total, tokens),
            "perplexity_per_token": math.exp(min(total / tokens, 700.0)),
        }


def _share(stride: int, context: int) -> str:
    """A stride in words that are equal for equal shares of contexts."""
    if stride == context:
        return "T"
    return "T/2" if stride == context // 2 else f"{stride} of T = {context}"
