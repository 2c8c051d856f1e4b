"""The text that genkit carries: Python's documentation topics, compressed, with their licence beside them."""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterator
from functools import cached_property, partial
from pathlib import Path

from genkit.data.source_files import SourceFiles
from genkit.data.text.corpus import Corpus, Document

TOPICS = Path(__file__).parent / "pydoc_topics.json.xz"


class PydocCorpus(Corpus):
    """The topics in the order of their names, each a document."""

    def __init__(self) -> None:
        self.files = SourceFiles(TOPICS, [TOPICS], "topics")

    @property
    def name(self) -> str:
        return "pydoc"

    @cached_property
    def topics(self) -> dict[str, str]:
        """The text of each topic."""
        return json.loads(lzma.decompress(TOPICS.read_bytes()))

    def documents(self) -> Iterator[Document]:
        for topic, text in sorted(self.topics.items()):
            yield Document(f"pydoc topic {topic}", partial(_part, text))


def _part(text: str) -> Iterator[bytes]:
    return iter([text.encode()])
