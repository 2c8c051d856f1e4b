"""Tokenizers by name: read back from plain values, and fitted to the documents of a training split."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

from genkit.data.text.byte_pairs import BytePairs, fit_byte_pairs
from genkit.data.text.tokenizer import LARGEST_ALPHABET, Bytes, Characters, Tokenizer
from genkit.errors import DataError

TokenizerName = Literal["bytes", "characters", "bpe"]
Parts = Callable[[], Iterator[bytes]]  # UTF-8, cut between characters


def tokenizer_of(node: dict[str, Any]) -> Tokenizer:
    """The tokenizer of plain values. Raises what their reading raises, or DataError."""
    match node["name"]:
        case Bytes.name:
            return Bytes()
        case Characters.name:
            return Characters(node["alphabet"])
        case BytePairs.name:
            return BytePairs(tuple((left, right) for left, right in node["merges"]))
    raise ValueError("no tokenizer of this name")


def fitted_tokenizer(name: TokenizerName, vocabulary: int, parts: Parts) -> Tokenizer:
    """The tokenizer of a training split.

    Args:
        name: Which.
        vocabulary: V of byte pairs; the others have a size of their own.
        parts: Gives the training documents, from the first one on.

    Raises:
        ConfigError: a library is not installed, or no size of a vocabulary.
        DataError: the text has fewer pairs, or too many characters for an alphabet.
    """
    match name:
        case "bytes":
            return Bytes()
        case "characters":
            return Characters("".join(sorted(_letters(parts()))))
        case "bpe":
            return fit_byte_pairs(parts(), vocabulary)


def _letters(parts: Iterator[bytes]) -> set[str]:
    letters: set[str] = set()
    for part in parts:
        letters |= set(part.decode())
        if len(letters) > LARGEST_ALPHABET:
            raise DataError(f"data.tokenizer=characters: more than {LARGEST_ALPHABET:,} characters: use bytes or bpe")
    return letters
