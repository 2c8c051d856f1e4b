"""Datasets of text: what files, lines, sequences and the embedded text share.

An example is a document, or a window of one that is longer than `length` tokens (`genkit.data.text.kind`). Validation
and test data are all windows side by side, so that every token is scored once. In training, window k of a document of M
tokens begins at a random place,

.. math:: s = \\min(\\max(k T + o - \\lfloor T/2 \\rfloor, 0), \\max(M - T, 0)), \\qquad o \\sim U\\{0, …, T - 1\\},

where o is a function of (seed, epoch, example): an epoch is as long as the text, and its windows lie elsewhere in the
next one. A document that fits into T tokens is always seen whole. Packed training data has several of those in an
example (`genkit.data.text.packing`), the same ones in every epoch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from genkit.data.batch_size import default_batch_size
from genkit.data.content_split import NAMES
from genkit.data.counter_stream import ViewStream
from genkit.data.dataset import Dataset, SplitName
from genkit.data.provenance import Provenance
from genkit.data.spec import DataSpec
from genkit.data.split import Split
from genkit.data.text.corpus import Corpus
from genkit.data.text.kind import Text
from genkit.data.text.packing import PackedDocuments
from genkit.data.text.preparation import TextOptions, prepared_text
from genkit.data.text.token_rows import Documents, WindowNumbers, Windows
from genkit.data.text.tokenizers import tokenizer_of

MOST_SCORED = 1_000
LONGEST = 256  # tokens of an example where the documents decide


class PreparedText(Dataset):
    """Text that is prepared once from a corpus.

    Attributes:
        documents: The documents of each split.

    Args:
        corpus: The documents.
        options: How they become tokens.
        length: T, tokens of an example; None: as many as the longest document has with its end, at most 256.
        batch_size: Examples in one training micro-batch; None: by the length.
        pack: Whether a training example holds several documents.
    """

    def __init__(
        self, corpus: Corpus, options: TextOptions, length: int | None, batch_size: int | None, pack: bool = False
    ) -> None:
        self.prepared = prepared_text(corpus, options)
        about = self.prepared.about
        kind = Text(tokenizer=tokenizer_of(about["tokenizer"]), packed=pack)
        self.kind = kind
        self.spec = DataSpec((length or min(about["longest"], LONGEST),), "sequence", kind=kind)
        self.documents = {name: Documents.of(self.prepared.splits[name], kind.eos) for name in NAMES}
        self.windows = {name: Windows(found, self.spec.dim, kind.pad) for name, found in self.documents.items()}
        self.rows = PackedDocuments(self.documents["train"], self.spec.dim, kind.pad) if pack else None
        self._numbers = WindowNumbers(len(self.windows["train"]))
        self.batch_size = batch_size or default_batch_size(self.spec)
        self.eval_n = min(len(self.windows["test"]), len(self._numbers), MOST_SCORED)
        self.notice = _line(corpus.name, about, kind)

    def split(self, name: SplitName) -> Split:
        return self.windows[name]

    @property
    def view_source(self) -> Split:
        """The packed rows, or the numbers of the windows, which `view` reads at places of its own."""
        return self._numbers if self.rows is None else self.rows

    def view(self, values: Tensor, index: Tensor, stream: ViewStream) -> Tensor:
        """Windows (B, T) at random places, see above; packed rows as they are."""
        if self.rows is not None:
            return values
        windows, length = self.windows["train"], self.spec.dim
        document, number = windows.places(index)
        moved = number * length + stream.integers("window", index, length).numpy() - length // 2
        last = np.maximum(windows.documents.lengths[document] - length, 0)
        return windows.at(document, np.clip(moved, 0, last)).x

    @property
    def provenance(self) -> Provenance:
        return Provenance(self.prepared.folder)


def _line(name: str, about: Mapping[str, Any], kind: Text) -> str:
    """Say in one line what was read."""
    size, tokens = sum(about["bytes"].values()), sum(about["tokens"].values())
    documents = about["documents"]
    what = (
        "one text, cut 90/5/5"
        if about["whole"]
        else f"{sum(documents.values()):,} documents ({', '.join(f'{documents[name]:,} {name}' for name in NAMES)})"
    )
    return f"{name}: {what}, {size:,} bytes -> {tokens:,} tokens of {kind.vocabulary:,} ({kind.tokenizer.name})"
