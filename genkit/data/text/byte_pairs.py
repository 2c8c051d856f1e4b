r"""Byte-pair encoding: tokens 0 … 255 are the bytes, each later one is two earlier ones side by side.

A document is cut into words first, and no token reaches over the end of one: a run of letters with the space before
it, up to three digits, other signs, white space. The words are a function of the bytes alone, every byte above 127
counting as a letter, so no table of Unicode's is asked, which differs between versions. In each word the pair that was
learned first is joined first, from the left, until no learned pair is left.

Learning joins the most frequent pair of neighbours again and again; the library `tokenizers` does it, on words that are
cut here. Encoding and decoding need no library.

Sources: Gage 1994, "A New Algorithm for Data Compression"; Sennrich, Haddow and Birch 2016 (1508.07909); over bytes:
Radford et al. 2019.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from genkit.data.text.tokenizer import BYTE_TOKENS, Ids, Tokenizer
from genkit.errors import ConfigError, DataError

LONGEST = 32  # bytes of a word besides the space before it
LARGEST_VOCABULARY = 2**20
KEPT = 2**16  # words whose tokens are remembered
LETTER, DIGIT, BLANK = rb"A-Za-z\x80-\xff", rb"0-9", rb"\t-\r "
WORD = re.compile(
    rb" ?[%b]{1,%d}| ?[%b]{1,3}| ?[^%b%b%b]{1,%d}|[%b]{1,%d}"
    % (LETTER, LONGEST, DIGIT, LETTER, DIGIT, BLANK, LONGEST, BLANK, LONGEST)
)
FIRST, BETWEEN = 0x100, "\u0200"  # the letter that stands for byte 0 in the library, and what ends a word there
TABLE = {byte: FIRST + byte for byte in range(BYTE_TOKENS)}
INSTALL = "pip install 'genkit-toolkit[text]'"


@dataclass(frozen=True)
class BytePairs(Tokenizer):
    """Bytes and joined pairs.

    Attributes:
        merges: Pairs of tokens in the order in which they were learned; each that makes a new string is the next token.

    Raises:
        DataError: a pair of tokens that are not there yet, or strings longer than a word.
    """

    merges: tuple[tuple[int, int], ...]

    name: ClassVar[str] = "bpe"

    def __post_init__(self) -> None:
        if len(self.merges) > LARGEST_VOCABULARY or len(set(self.merges)) < len(self.merges):
            raise DataError(f"byte pairs are at most {LARGEST_VOCABULARY:,}, each once")
        _ = self.pieces  # refused here, not when first used

    @cached_property
    def pieces(self) -> tuple[bytes, ...]:
        return self._learned[0]

    @cached_property
    def _learned(self) -> tuple[tuple[bytes, ...], dict[tuple[int, int], tuple[int, int]]]:
        """The bytes of each token, and of each pair its place in the order and the token that it becomes."""
        pieces = [bytes([byte]) for byte in range(BYTE_TOKENS)]
        token_of = {piece: token for token, piece in enumerate(pieces)}
        joined = {}
        for rank, (left, right) in enumerate(self.merges):
            if not all(type(token) is int and 0 <= token < len(pieces) for token in (left, right)):
                raise DataError(f"byte pair {rank} is not of two tokens before it")
            piece = pieces[left] + pieces[right]
            if len(piece) > LONGEST + 1:
                raise DataError(f"byte pair {rank} is longer than a word")
            if piece not in token_of:
                token_of[piece] = len(pieces)
                pieces.append(piece)
            joined[left, right] = rank, token_of[piece]
        return tuple(pieces), joined

    @cached_property
    def _known(self) -> dict[bytes, list[int]]:
        return {}

    def encode(self, data: bytes) -> Ids:
        found: list[int] = []
        for word in WORD.findall(data):
            found += self._word(word)
        return np.array(found, dtype=np.int64)

    def settled(self, data: bytes) -> int:
        """The start of the last word, which alone later bytes can make longer."""
        return max((match.start() for match in WORD.finditer(data)), default=0)

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "merges": [list(pair) for pair in self.merges]}

    def _word(self, word: bytes) -> list[int]:
        """The tokens of a word."""
        if (found := self._known.get(word)) is None:
            if len(self._known) >= KEPT:
                self._known.clear()
            found = self._known[word] = self._joined(list(word))
        return found

    def _joined(self, tokens: list[int]) -> list[int]:
        _, joined = self._learned
        nothing = (len(joined), 0)
        while len(tokens) > 1:
            rank, at = min((joined.get(pair, nothing)[0], i) for i, pair in enumerate(pairwise(tokens)))
            if rank == len(joined):
                break
            tokens[at : at + 2] = [joined[tokens[at], tokens[at + 1]][1]]
        return tokens


def fit_byte_pairs(documents: Iterable[bytes], vocabulary: int) -> BytePairs:
    """The byte pairs of documents, a function of these and the size alone.

    Args:
        documents: Or parts of them; a word that reaches over the end of a part counts as two.
        vocabulary: V, more than 256.

    Raises:
        ConfigError: the library is not installed, or V is no size.
        DataError: the documents have fewer pairs that occur twice.
    """
    if not BYTE_TOKENS < vocabulary <= LARGEST_VOCABULARY:
        raise ConfigError(
            f"data.vocabulary={vocabulary}: byte pairs have {BYTE_TOKENS + 1} … {LARGEST_VOCABULARY:,} tokens; "
            "data.tokenizer=bytes has 256"
        )
    try:
        from tokenizers import Tokenizer as Library
        from tokenizers import models, pre_tokenizers, trainers
    except ImportError as error:
        raise ConfigError(f"data.tokenizer=bpe needs tokenizers: {INSTALL}, or data.tokenizer=bytes") from error
    library = Library(models.BPE())
    library.pre_tokenizer = pre_tokenizers.Split(BETWEEN, "removed")
    alphabet = [chr(code) for code in TABLE.values()]
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, min_frequency=2, initial_alphabet=alphabet, show_progress=False, special_tokens=[]
    )
    library.train_from_iterator(_spelt(documents), trainer)
    found = _of_library(json.loads(library.to_str())["model"]["merges"])
    if found.vocabulary < vocabulary:
        raise DataError(
            f"data.vocabulary={vocabulary}: the training text has pairs for {found.vocabulary:,} tokens only: lower it"
        )
    return found


def _spelt(documents: Iterable[bytes]) -> Iterator[str]:
    """Words for the library: a letter for each byte, which no rule of the library's knows, and a sign between words."""
    for document in documents:
        yield BETWEEN.join(word.decode("latin-1") for word in WORD.findall(document)).translate(TABLE)


def _of_library(merges: list[list[str]]) -> BytePairs:
    """The pairs of strings as pairs of tokens."""
    token_of = {chr(code): byte for byte, code in TABLE.items()}
    pairs = []
    for left, right in merges:
        pairs.append((token_of[left], token_of[right]))
        token_of.setdefault(left + right, len(token_of))
    return BytePairs(tuple(pairs))
