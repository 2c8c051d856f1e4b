"""Documents to tokens on disk: hashed and split, a tokenizer fitted to the training ones, all of them encoded.

Documents are split by the hashes of their contents (`genkit.data.text.document_split`). One long text is cut into its
first 90 % for training, the next 5 % for validation and the last 5 % for test, between characters; each part is then a
document. What is held in memory is a part of a document, and a hash and a size of each.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import pairwise
from typing import Any, BinaryIO

import numpy as np
import torch

from genkit.data.content_split import NAMES
from genkit.data.dataset import SplitName
from genkit.data.on_disk import Layout, aloud
from genkit.data.prepared import Facts, Prepared, Writer, prepare
from genkit.data.source_state import content_hash_of
from genkit.data.split import CHUNK, Examples
from genkit.data.text.corpus import Corpus, Document
from genkit.data.text.document_split import split_documents
from genkit.data.text.kind import Text
from genkit.data.text.token_rows import packed, width_of
from genkit.data.text.tokenizers import TokenizerName, fitted_tokenizer
from genkit.data.text.utf8 import Errors, between, boundary
from genkit.errors import DataError
from genkit.storage.disk import require_free_disk, user_folder

RULES = 2  # of how tokens are made; raised when these change, and all data is prepared again
HASH = 16  # bytes of the hash of a document
FEWEST = 100  # bytes of one text that is to be cut in three
CUTS = (0.90, 0.95)  # where one text is cut


@dataclass(frozen=True)
class TextOptions:
    """Choices of how documents become tokens.

    Attributes:
        tokenizer: The name of the tokenizer.
        vocabulary: V of byte pairs.
        errors: See `genkit.data.text.utf8.checked`.
    """

    tokenizer: TokenizerName = "bytes"
    vocabulary: int = 512
    errors: Errors = "strict"

    @property
    def facts(self) -> dict[str, Any]:
        """All that the tokens depend on, as JSON knows it."""
        size = {"vocabulary": self.vocabulary} if self.tokenizer == "bpe" else {}
        return {"tokenizer": self.tokenizer, "errors": self.errors, **size}


def prepared_text(corpus: Corpus, options: TextOptions) -> Prepared:
    """The tokens of a corpus, made now or before.

    Raises:
        DataError: no text, not UTF-8, too little of it, or a character outside of an alphabet.
        ConfigError: a library is not installed, or no size of a vocabulary.
        StorageError: the disk lacks room or refuses.
    """
    files = corpus.files
    content = content_hash_of(files.root, files.state(), files.content)
    facts = {"text": RULES, "content": content, **options.facts}

    def make(writer: Writer) -> None:
        _Preparation(corpus, options, writer).write(facts)

    return prepare(facts, make, source=str(files.root.absolute()))


@dataclass(frozen=True)
class _Survey:
    """The documents of a corpus, looked at once: the hash and the bytes of each, in order."""

    hashes: np.ndarray
    sizes: list[int]


class _Preparation:
    """The tokens of a corpus written into a folder."""

    def __init__(self, corpus: Corpus, options: TextOptions, writer: Writer) -> None:
        self.corpus, self.options, self.writer = corpus, options, writer
        survey = _surveyed(corpus)
        self.size = sum(survey.sizes)
        self.parts: list[SplitName] | None = None
        if len(survey.hashes) > 1:
            self.parts = split_documents(survey.hashes, survey.sizes, corpus.name)
        elif corpus.alone:
            raise DataError(f"{corpus.name}: one document only, which cannot be divided: {corpus.alone}")
        elif self.size < FEWEST:
            raise DataError(
                f"{corpus.name}: {self.size:,} bytes of text, which are not enough to train on: give {FEWEST:,} or more"
            )

    def write(self, facts: Facts) -> None:
        """Write the three splits and the description. Raises what `prepared_text` raises."""
        if self.size > CHUNK:
            aloud(f"{self.corpus.name}: preparing {self.size:,} bytes of text")
        tokenizer = fitted_tokenizer(self.options.tokenizer, self.options.vocabulary, lambda: self._bytes_of("train"))
        kind = Text(tokenizer=tokenizer)
        width = width_of(kind.count)
        require_free_disk(2 * width * self.size, user_folder(), "set GENKIT_CACHE to a folder on a larger disk")
        counts = {name: self._write_split(name, kind, width) for name in NAMES}
        about = {
            "tokenizer": tokenizer.to_json(),
            "documents": {name: count.documents for name, count in counts.items()},
            "bytes": {name: count.bytes for name, count in counts.items()},
            "tokens": {name: count.tokens for name, count in counts.items()},
            "longest": max(count.longest for count in counts.values()),
            "whole": self.parts is None,
        }
        self.writer.describe(about, {name: [] for name in NAMES}, facts)

    def _documents(self, name: SplitName) -> Iterator[Document]:
        """The documents of a split, those without text left out; of one text its part."""
        if self.parts is None:
            low, high = self._cuts[name]
            for document in _with_text(self.corpus):
                yield Document(document.name, partial(_between, document, low, high))
            return
        parts = iter(self.parts)
        for document in _with_text(self.corpus):
            part = next(parts, None)
            if part is None:
                raise DataError(f"{self.corpus.name}: changed while it was read: begin again")
            if part == name:
                yield document

    @cached_property
    def _cuts(self) -> dict[SplitName, tuple[int, int]]:
        """The first byte of each split's part of one text, and the first one after it."""
        document = next(_with_text(self.corpus))
        edges = [0, *(boundary(document.parts(), int(self.size * share)) for share in CUTS), self.size]
        return dict(zip(NAMES, pairwise(edges), strict=True))

    def _bytes_of(self, name: SplitName) -> Iterator[bytes]:
        return (part for document in self._documents(name) for part in document.parts())

    def _write_split(self, name: SplitName, kind: Text, width: int) -> _Counts:
        """Write the tokens of a split, by way of a file, since their number must be known before."""
        path = self.writer.folder / "tokens"
        with open(path, "w+b") as file:
            counts = _encode(self._documents(name), kind, width, file)
            file.seek(0)
            layout = Layout(counts.tokens, (width,), "uint8")
            self.writer.split(name, _rows(file, width), layout)
        path.unlink()
        return counts


@dataclass
class _Counts:
    """Numbers of a split: documents, bytes of text, tokens with the ends, and tokens of the longest document."""

    documents: int = 0
    bytes: int = 0
    tokens: int = 0
    longest: int = 0


def _encode(documents: Iterator[Document], kind: Text, width: int, file: BinaryIO) -> _Counts:
    """Append the tokens of documents to a file, and after each its end."""
    counts = _Counts()
    end = packed(np.array([kind.eos], np.int64), width).tobytes()
    for document in documents:
        before = counts.tokens
        try:
            for ids in kind.tokenizer.encode_parts(_counted(document, counts)):
                file.write(packed(ids, width).tobytes())
                counts.tokens += len(ids)
        except DataError as error:
            if str(error).startswith(document.name):
                raise
            raise DataError(f"{document.name}: {error}: data.tokenizer=bytes has a token for everything") from error
        file.write(end)
        counts.tokens += 1
        counts.documents += 1
        counts.longest = max(counts.longest, counts.tokens - before)
    return counts


def _counted(document: Document, counts: _Counts) -> Iterator[bytes]:
    for part in document.parts():
        counts.bytes += len(part)
        yield part


def _between(document: Document, low: int, high: int) -> Iterator[bytes]:
    return between(document.parts(), low, high)


def _rows(file: BinaryIO, width: int) -> Iterator[Examples]:
    while data := file.read(CHUNK // width * width):
        yield Examples(torch.from_numpy(np.frombuffer(bytearray(data), np.uint8).reshape(-1, width)))


def _with_text(corpus: Corpus) -> Iterator[Document]:
    """The documents that are not empty."""
    for document in corpus.documents():
        if next(document.parts(), b""):
            yield document


def _surveyed(corpus: Corpus) -> _Survey:
    """Hashes and sizes. Raises DataError where there is no text."""
    hashes, sizes = bytearray(), list[int]()
    for document in _with_text(corpus):
        digest, size = hashlib.blake2b(digest_size=HASH), 0
        for part in document.parts():
            digest.update(part)
            size += len(part)
        hashes += digest.digest()
        sizes.append(size)
    if not hashes:
        raise DataError(f"{corpus.name}: empty: there is no text to learn from")
    return _Survey(np.frombuffer(bytes(hashes), dtype=f"V{HASH}"), sizes)
