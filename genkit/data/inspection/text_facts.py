"""Documents, tokens and their text, as `genkit data show` describes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from genkit.data.content_split import NAMES
from genkit.data.dataset import Dataset, SplitName
from genkit.data.prepared_text import PreparedText

EXCERPTS, LONGEST = 3, 400  # documents of which the beginning is shown, and its tokens


@dataclass(frozen=True)
class TextFacts:
    """Text over all splits.

    Attributes:
        tokenizer: Its name.
        tokenizer_hash: Of all that it is.
        vocabulary: V.
        documents, bytes, tokens: Of each split; the tokens with the ends of documents.
        longest: Tokens of the longest document with its end.
        whole: Whether it is one text, cut in three.
        excerpts: The beginnings of the first training documents.
    """

    tokenizer: str
    tokenizer_hash: str
    vocabulary: int
    documents: Mapping[SplitName, int]
    bytes: Mapping[SplitName, int]
    tokens: Mapping[SplitName, int]
    longest: int
    whole: bool
    excerpts: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def text_facts(dataset: Dataset) -> TextFacts | None:
    """The facts of text; None of other data."""
    if not isinstance(dataset, PreparedText):
        return None
    about, kind, train = dataset.prepared.about, dataset.kind, dataset.documents["train"]
    heads = [train.head(number, LONGEST) for number in range(min(EXCERPTS, len(train)))]
    by_split = {key: {name: about[key][name] for name in NAMES} for key in ("documents", "bytes", "tokens")}
    return TextFacts(
        kind.tokenizer.name,
        kind.tokenizer.hash,
        kind.vocabulary,
        **by_split,
        longest=about["longest"],
        whole=about["whole"],
        excerpts=tuple(kind.texts(head[None])[0] for head in heads),
    )
