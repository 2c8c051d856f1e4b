"""Ways to code text that are no trained model, as rows beside the scores of models: n-grams and compressors.

They see the training documents, at most the last `SEEN` bytes of them, and code each held-out document from its
beginning: an n-gram model of the order that codes the validation documents best, and the compressors of the standard
library.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genkit.data.dataset import Dataset
from genkit.data.prepared_text import PreparedText
from genkit.data.spec import DataSpec
from genkit.data.split import Split
from genkit.data.text.token_rows import Documents, Windows
from genkit.data.text.tokenizer import Ids
from genkit.errors import ConfigError
from genkit.evaluation.record import Record
from genkit.evaluation.source import Quantity, Source
from genkit.metrics.base import Requirement
from genkit.metrics.compression import SEEN, primed_size
from genkit.metrics.ngram import witten_bell

LARGEST = 2**22  # tokens of held-out text beyond which there are no such rows: they would take minutes
ORDERS = 7  # the longest context of n-grams, in tokens


@dataclass
class KnownLogProb(Source):
    """Log-probabilities of the examples of a reference that were computed before.

    Args:
        log_prob: (N,) nats, in the order of the reference.
        label: Their name in tables.
        by_example: Whether each example's is its own; a share of a sum by bytes has no spread that means anything.
    """

    log_prob: Tensor
    label: str
    by_example: bool = True

    def __post_init__(self) -> None:
        self.n = len(self.log_prob)

    def check(self, spec: DataSpec) -> None:
        """Nothing: it was computed of the reference itself."""

    def fakes(
        self, spec: DataSpec, seed: int, batch_size: int, chosen: range, like: Tensor | None = None
    ) -> Iterator[tuple[Tensor, Tensor | None]]:
        raise ConfigError(f"{self.label} draws no samples")

    def lacks(self, quantity: Requirement, reference: Split) -> str | None:
        return None if quantity == "log_prob" else f"{self.label} gives no {quantity}"

    def answers(self, v: Tensor, y: Tensor | None, seed: int, first: int) -> dict[str, Quantity]:
        return {"log_prob": lambda: self.log_prob[first : first + len(v)]}

    @property
    def bound(self) -> str | None:
        return "exact"

    def facts(self, like: Tensor | None) -> dict[str, Any] | None:
        return {"family": self.label}


def text_source(name: str, dataset: Dataset | None, reference: Split) -> KnownLogProb | None:
    """A baseline of a dataset of text on its reference; None of other data, and of text that is too long.

    Args:
        name: "ngram", or a compressor.
        dataset: It.
        reference: The split that is scored, windows side by side.
    """
    if not isinstance(dataset, PreparedText) or not isinstance(reference, Windows):
        return None
    train, held_out = dataset.documents["train"], reference.documents
    if len(held_out.tokens) > LARGEST:
        return None
    if name == "ngram":
        order = _best_order(dataset)
        found = _log_prob(dataset, held_out, order)[order]
        return KnownLogProb(_by_window(found, reference), f"{order + 1}-gram")
    size = primed_size(name, _bytes_of(train, dataset), _bytes_of(held_out, dataset))
    sizes = dataset.kind.sizes(reference.between(0, len(reference)).x).double()
    return KnownLogProb(-8 * math.log(2.0) * size * sizes / sizes.sum(), name, by_example=False)


def whole_documents(record: Record) -> Record:
    """The record of what sees documents as they are: it has neither context nor stride, and any stride compares."""
    params = {key: value for key, value in record.params.items() if key != "stride"}
    findings = {key: value for key, value in record.findings.items() if key not in ("context", "stride")}
    return replace(record, params=params, findings=findings, notes=("whole documents, ends paid for",))


def _best_order(dataset: PreparedText) -> int:
    """The order that codes the validation documents best."""
    if len(dataset.documents["val"].tokens) > LARGEST:
        return ORDERS // 2
    return int(np.argmax([found.sum() for found in _log_prob(dataset, dataset.documents["val"], ORDERS)]))


def _log_prob(dataset: PreparedText, held_out: Documents, order: int) -> list[np.ndarray]:
    """log P of each held-out token for each order up to this."""
    train = _ids(dataset.documents["train"], SEEN)
    return list(witten_bell(train, _ids(held_out), dataset.kind.vocabulary + 1, order))


def _ids(documents: Documents, most: int | None = None) -> list[Ids]:
    """The tokens of documents, at most so many of the last ones."""
    until = documents.starts[-1] + documents.lengths[-1]
    first = 0 if most is None else max(0, int(until) - most)
    edges = [first, *documents.starts[documents.starts > first].tolist(), int(until)]
    whole = documents.between(first, int(until)).numpy()
    return [whole[low - first : high - first] for low, high in pairwise(edges)]


def _bytes_of(documents: Documents, dataset: PreparedText) -> bytes:
    """The text of documents, at most the last `SEEN` tokens, a zero after each: a compressor pays for ends too."""
    decode, kind = dataset.kind.tokenizer.decode, dataset.kind
    return b"".join(decode(ids[ids < kind.vocabulary]) + b"\0" for ids in _ids(documents, SEEN))


def _by_window(log_prob: np.ndarray, windows: Windows) -> Tensor:
    """(N,) sums over the windows of the tokens of documents that follow each other."""
    documents, length = windows.documents, windows.length
    starts = np.concatenate(
        [np.arange(low, low + n, length) for low, n in zip(documents.starts, documents.lengths, strict=True)]
    )
    return torch.from_numpy(np.add.reduceat(log_prob, starts))
