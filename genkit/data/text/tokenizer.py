r"""Tokenizers: documents as bytes to tokens 0 … V − 1 and back, decode(encode(b)) = b.

* `Bytes`: token t is the byte t; V = 256, and every document has tokens.
* `Characters`: token t is the t-th character of a closed alphabet (SMILES, amino acids). A character that the training
  documents do not have would have probability 0, so it is refused.
* `BytePairs` (`genkit.data.text.byte_pairs`): the bytes, and frequent strings of them.

A tokenizer is plain values, which the specification of the data carries in its JSON: what a checkpoint draws is decoded
by the checkpoint alone. Decoding gives bytes; where these are no UTF-8 they are shown with U+FFFD, and stored as they
are. Encoding is a function of the document alone, whatever the pieces that a long one comes in.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from genkit.errors import DataError
from genkit.printing import shown

Ids = NDArray[np.int64]

BYTE_TOKENS = 256
LARGEST_ALPHABET = 2**16


class Tokenizer(ABC):
    """A map between documents and tokens.

    Attributes:
        name: In JSON.
        pieces: (V) the bytes that each token stands for.
    """

    name: ClassVar[str]

    @cached_property
    @abstractmethod
    def pieces(self) -> tuple[bytes, ...]:
        """The bytes of each token."""

    @property
    def vocabulary(self) -> int:
        """V."""
        return len(self.pieces)

    @abstractmethod
    def encode(self, data: bytes) -> Ids:
        """The tokens (n,) of a document. Raises DataError where it has none."""

    @abstractmethod
    def settled(self, data: bytes) -> int:
        """The number of first bytes whose tokens do not depend on what follows."""

    def encode_parts(self, parts: Iterable[bytes]) -> Iterator[Ids]:
        """The tokens of a document that comes in parts: those of the whole, whatever the parts."""
        held = b""
        for part in parts:
            held += part
            if until := self.settled(held):
                yield self.encode(held[:until])
                held = held[until:]
        if held:
            yield self.encode(held)

    def decode(self, ids: Ids) -> bytes:
        """The bytes of any tokens (n,). Raises DataError where one is not in 0 … V − 1."""
        if len(ids) and not (ids.min() >= 0 and ids.max() < self.vocabulary):
            raise DataError(f"tokens in {ids.min()} … {ids.max()}: this vocabulary is 0 … {self.vocabulary - 1}")
        return b"".join(map(self.pieces.__getitem__, ids.tolist()))

    @cached_property
    def lengths(self) -> Ids:
        """(V,) bytes of each token."""
        return np.array([len(piece) for piece in self.pieces], dtype=np.int64)

    @cached_property
    def hash(self) -> str:
        """sha256 of all that it is."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Plain values."""


@dataclass(frozen=True)
class Bytes(Tokenizer):
    """Each byte a token."""

    name: ClassVar[str] = "bytes"

    @cached_property
    def pieces(self) -> tuple[bytes, ...]:
        return tuple(bytes([byte]) for byte in range(BYTE_TOKENS))

    def encode(self, data: bytes) -> Ids:
        return np.frombuffer(data, np.uint8).astype(np.int64)

    def settled(self, data: bytes) -> int:
        return len(data)

    def decode(self, ids: Ids) -> bytes:
        return ids.astype(np.uint8).tobytes() if len(ids) and _are_bytes(ids) else super().decode(ids)

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name}


@dataclass(frozen=True)
class Characters(Tokenizer):
    """Each character of an alphabet a token, in the alphabet's order.

    Attributes:
        alphabet: The characters, each once.

    Raises:
        DataError: no alphabet.
    """

    alphabet: str

    name: ClassVar[str] = "characters"

    def __post_init__(self) -> None:
        letters = self.alphabet
        if type(letters) is not str or not letters or len(set(letters)) < len(letters):
            raise DataError("an alphabet is one character or more, each once")
        if len(letters) > LARGEST_ALPHABET or any("\ud800" <= letter <= "\udfff" for letter in letters):
            raise DataError(f"an alphabet has at most {LARGEST_ALPHABET:,} characters, none of them a surrogate")

    @cached_property
    def pieces(self) -> tuple[bytes, ...]:
        return tuple(letter.encode() for letter in self.alphabet)

    @cached_property
    def _token_of(self) -> dict[str, int]:
        return {letter: token for token, letter in enumerate(self.alphabet)}

    def encode(self, data: bytes) -> Ids:
        try:
            return np.array([self._token_of[letter] for letter in data.decode()], dtype=np.int64)
        except UnicodeDecodeError as error:
            raise DataError(f"not UTF-8 at byte {error.start}, which has no character: use bytes") from error
        except KeyError as error:
            raise DataError(
                f"the character {shown(repr(error.args[0]))} is none of the {len(self.alphabet)} of this alphabet"
            ) from error

    def settled(self, data: bytes) -> int:
        """All but a last character that is not complete."""
        for back in range(1, min(4, len(data)) + 1):
            byte = data[-back]
            if byte < 0x80:
                break
            if byte >= 0xC0:
                wanted = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
                return len(data) - back if wanted > back else len(data)
        return len(data)

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "alphabet": self.alphabet}


def _are_bytes(ids: Ids) -> bool:
    return bool(ids.min() >= 0 and ids.max() < BYTE_TOKENS)
