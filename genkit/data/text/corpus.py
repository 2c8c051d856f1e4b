"""Documents of files: one in each file or archive member, or several in one, cut at a separator.

A document is read in parts, so it may be longer than memory, unless it was cut out of a file.
"""

from __future__ import annotations

import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from genkit.data.arrays import DAMAGE
from genkit.data.source_files import SourceFiles
from genkit.data.text.utf8 import PART, Errors, checked
from genkit.errors import DataError, GenkitError
from genkit.printing import shown
from genkit.storage.regular import open_regular

LONGEST_CUT = 2**28  # bytes of a document that is cut out of a file


@dataclass(frozen=True)
class Document:
    """A document.

    Attributes:
        name: Of where it stands, for messages.
        parts: Gives its bytes, UTF-8, in parts that end where characters end.
    """

    name: str
    parts: Callable[[], Iterator[bytes]]


class Corpus(ABC):
    """Documents in an order of their own.

    Attributes:
        files: All that they are read from.
        alone: What to do where there is one document only; "" where that one is cut into three parts.
    """

    files: SourceFiles
    alone: str = ""

    @property
    def name(self) -> str:
        return self.files.name

    @abstractmethod
    def documents(self) -> Iterator[Document]:
        """The documents, each to be read before the next one is asked for; empty ones are left out by the reader."""


class FileCorpus(Corpus):
    """Files, each a document.

    Args:
        root: What the user named.
        paths: The files.
        errors: See `checked`.
    """

    def __init__(self, root: Path, paths: Sequence[Path], errors: Errors = "strict") -> None:
        self.paths, self.errors = paths, errors
        self.files = SourceFiles(root, paths, ("files", errors))

    def documents(self) -> Iterator[Document]:
        return (self._document(path) for path in self.paths)

    def _document(self, path: Path) -> Document:
        def parts() -> Iterator[bytes]:
            with open_regular(path, advice="name a text file, a folder or a zip (data.root=)") as file:
                yield from checked(iter(lambda: file.read(PART), b""), shown(path), self.errors)

        return Document(shown(path), parts)


class ZipCorpus(Corpus):
    """The files in a zip archive, each a document, in the order of their names.

    Args:
        root: The archive.
        errors: See `checked`.
    """

    def __init__(self, root: Path, errors: Errors = "strict") -> None:
        self.root, self.errors = root, errors
        self.files = SourceFiles(root, [root], ("zip", errors))

    def documents(self) -> Iterator[Document]:
        with open_regular(self.root) as file, readable(self.name), zipfile.ZipFile(file) as archive:
            for name in sorted(info.filename for info in archive.infolist() if is_text_member(info)):
                yield self._document(archive, name)

    def _document(self, archive: zipfile.ZipFile, member: str) -> Document:
        name = f"{self.name}: {shown(member)}"

        def parts() -> Iterator[bytes]:
            with readable(name), archive.open(member) as file:
                yield from checked(iter(lambda: file.read(PART), b""), name, self.errors)

        return Document(name, parts)


@contextmanager
def readable(name: str) -> Iterator[None]:
    """Raise what a damaged archive makes the library raise as a DataError."""
    try:
        yield
    except GenkitError:
        raise
    except DAMAGE as error:
        raise DataError(f"{name}: damaged or encrypted, it cannot be unpacked ({shown(error, 200)})") from error


def is_text_member(info: zipfile.ZipInfo) -> bool:
    """Tell whether a member of an archive is a file that is not hidden."""
    hidden = any(part.startswith((".", "__MACOSX")) for part in info.filename.split("/"))
    return not info.is_dir() and not hidden


class CutCorpus(Corpus):
    """The documents of another corpus, cut where a separator stands, which belongs to none of them.

    Args:
        whole: The other corpus.
        separator: Not empty.
    """

    def __init__(self, whole: Corpus, separator: bytes) -> None:
        self.whole, self.separator = whole, separator
        told = shown(repr(separator.decode()))
        self.alone = f"name what stands between two (not data.separator={told}), or null to cut one text into parts"
        self.files = whole.files.read_as(("cut", separator))

    def documents(self) -> Iterator[Document]:
        for whole in self.whole.documents():
            for number, piece in enumerate(pieces(whole, self.separator)):
                yield Document(f"{whole.name}, document {number + 1:,}", partial(_joined, [piece]))


class LineCorpus(Corpus):
    """The lines of another corpus, each a document; blank ones are left out."""

    alone = "give at least 3 different lines"

    def __init__(self, whole: Corpus) -> None:
        self.whole = whole
        self.files = whole.files.read_as("lines")

    def documents(self) -> Iterator[Document]:
        for whole in self.whole.documents():
            for number, line in enumerate(pieces(whole, b"\n")):
                if stripped := line.removesuffix(b"\r"):
                    yield Document(f"{whole.name}, line {number + 1:,}", partial(_joined, [stripped]))


class FastaCorpus(Corpus):
    """The sequences of FASTA files, each a document: the lines after one that begins with `>`, joined.

    Raises:
        DataError: a line before the first `>`.
    """

    alone = "give at least 3 different sequences"

    def __init__(self, whole: Corpus) -> None:
        self.whole = whole
        self.files = whole.files.read_as("fasta")

    def documents(self) -> Iterator[Document]:
        for whole in self.whole.documents():
            name, lines = "", list[bytes]()
            for number, line in enumerate(pieces(whole, b"\n")):
                line = line.strip()
                if not line.startswith(b">"):
                    if line and not name:
                        raise DataError(f"{whole.name}, line {number + 1}: no FASTA, whose entries begin with >")
                    lines.append(line)
                    continue
                yield Document(name, partial(_joined, lines))
                name, lines = f"{whole.name}, line {number + 1:,}", []
            yield Document(name, partial(_joined, lines))


def pieces(document: Document, separator: bytes) -> Iterator[bytes]:
    """A document without its separators, in pieces; each is held in memory.

    Raises:
        DataError: a piece is too long for that.
    """
    held = b""
    for part in document.parts():
        *whole, held = (held + part).split(separator)
        yield from whole
        if len(held) > LONGEST_CUT:
            raise DataError(
                f"{document.name}: no {shown(repr(separator.decode()))} in {len(held):,} bytes: name what separates "
                "the documents (data.separator=), or null for one long text"
            )
    yield held


def _joined(lines: Sequence[bytes]) -> Iterator[bytes]:
    return iter([b"".join(lines)])
