"""Text as a kind of values: the tokens of a document, then `eos` where it ends, then `pad`.

An example (T,) is a document, or a window of one that is longer than T: such a window has no eos unless the document
ends in it. An example of packed training data is several documents, each after the eos of the one before. There is no
token for the start, which is a model's own affair, and after the (last) eos all is pad, which costs a likelihood
nothing. The tokenizer is part of the kind, so a checkpoint decodes what it draws, and data of another tokenizer is
other data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from genkit.data.kinds import END, PAD, Categorical, Drawing, Modality
from genkit.data.text.tokenizer import Ids, Tokenizer
from genkit.data.text.tokenizers import tokenizer_of


@dataclass(frozen=True, repr=False)
class Text(Categorical):
    """Tokens of documents: 0 … V − 1 of the tokenizer, V the end of a document, V + 1 what follows it.

    Attributes:
        tokenizer: Of the documents.
        packed: Whether training examples hold several documents; all others hold one, so a checkpoint need not know.
    """

    vocabulary: int = field(init=False)
    specials: tuple[str, ...] = field(init=False, default=(END, PAD))
    symbols: tuple[str, ...] = field(init=False, default=())
    tokenizer: Tokenizer = field(kw_only=True)
    packed: bool = field(default=False, kw_only=True, compare=False)

    name: ClassVar[str] = "text"

    def __post_init__(self) -> None:
        object.__setattr__(self, "vocabulary", self.tokenizer.vocabulary)
        super().__post_init__()

    def __repr__(self) -> str:
        return f"text of {self.vocabulary:,} tokens ({self.tokenizer.name}, {self.tokenizer.hash[:8]})"

    @property
    def eos(self) -> int:
        """The token at the end of a document."""
        return self.vocabulary

    @property
    def pad(self) -> int:
        """The token that fills an example after its document."""
        return self.vocabulary + 1

    def symbol(self, token: int) -> str:
        """The characters of a token, or its special's name."""
        if token >= self.vocabulary:
            return super().symbol(token)
        return self.tokenizer.pieces[token].decode("utf-8", "replace")

    def counts(self, x: Tensor) -> Tensor:
        """(n,) int64: the tokens of examples (n, T) before the first special."""
        special = x >= self.vocabulary
        return torch.where(special.any(1), special.to(torch.uint8).argmax(1), x.shape[1])

    def ended(self, x: Tensor) -> Tensor:
        """(n,) bool: whether the document of an example (n, T) ends in it."""
        place = self.counts(x).clamp(max=x.shape[1] - 1)
        return x.gather(1, place[:, None])[:, 0] == self.eos

    def documents(self, x: Tensor) -> list[bytes]:
        """The bytes of examples (n, T), up to the first special of each."""
        rows, counts = x.detach().cpu().numpy(), self.counts(x).tolist()
        return [self.tokenizer.decode(row[:count]) for row, count in zip(rows, counts, strict=True)]

    def texts(self, x: Tensor) -> list[str]:
        """The text of examples (n, T); bytes that are no UTF-8 are U+FFFD."""
        return [document.decode("utf-8", "replace") for document in self.documents(x)]

    def sizes(self, x: Tensor) -> Tensor:
        """(n,) int64: the bytes of the text of examples (n, T)."""
        lengths = torch.from_numpy(np.concatenate([self.tokenizer.lengths, np.zeros(2, np.int64)])).to(x.device)
        before = torch.arange(x.shape[1], device=x.device) < self.counts(x)[:, None]
        return (lengths[x] * before).sum(1)

    def examples(self, documents: Sequence[bytes], length: int) -> Tensor:
        """(n, length) int64: the first tokens of documents, each with its end where there is room.

        Raises:
            DataError: a document has no tokens, as a character outside an alphabet.
        """
        rows = np.full((len(documents), length), self.pad, dtype=np.int64)
        for row, document in zip(rows, documents, strict=True):
            ids: Ids = np.append(self.tokenizer.encode(document), self.eos)[:length]
            row[: len(ids)] = ids
        return torch.from_numpy(rows)

    def drawing(self, modality: Modality) -> Drawing:
        return "text"

    @property
    def described(self) -> str:
        return f" of text, {self.vocabulary:,} tokens ({self.tokenizer.name}) and {', '.join(self.specials)}"

    def to_json(self) -> dict[str, Any]:
        return {"kind": {"name": self.name, "tokenizer": self.tokenizer.to_json()}}

    @classmethod
    def of_json(cls, node: dict[str, Any]) -> Text:
        """Raises what its reading raises, or DataError."""
        return cls(tokenizer=tokenizer_of(node["tokenizer"]))
