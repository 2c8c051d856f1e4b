"""The class of each image: its first folder, a file of labels, or none.

A file of labels is CSV with a header; the first column names the image (its path in the folder or archive, or the last
part of that where it is unique), the second its class.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

from genkit.errors import DataError
from genkit.printing import shown
from genkit.storage.regular import read_regular

LARGEST_CSV = 2**30
FOLDER, NONE = "folder", "none"


def classes_of(
    names: Sequence[str],
    folders: Sequence[str] | None,
    labels: str | None,
    source: Path,
    order: Sequence[str] | None = None,
    left_out: Sequence[str] = (),
) -> Classes:
    """The class of each image.

    Args:
        names: Of the images.
        folders: The class that each one's folder says, "" where none does; None where there are no folders.
        labels: "folder", "none", the path of a CSV file, or None for folders where they make two classes or more.
        source: For messages.
        order: Names of all classes by number, where the source knows them.
        left_out: Names of images that cannot be used, of which a file of labels may speak.

    Raises:
        DataError: folders were asked for and are no classes, or the file does not fit the images.
    """
    if labels == NONE:
        return Classes(None, "no labels")
    if labels not in (None, FOLDER):
        return Classes(_from_file(Path(labels).expanduser(), names, left_out), "")
    reason = _no_classes(names, folders)
    if reason and labels == FOLDER:
        raise DataError(
            f"{shown(source)}: {reason}: put the images of each class into a folder of its own, two classes or more, "
            "or say data.labels=none"
        )
    if reason:
        return Classes(None, f"no labels ({reason})" if any(folders or ()) else "no labels")
    assert folders is not None
    return Classes(folders, "", order)


def _no_classes(names: Sequence[str], folders: Sequence[str] | None) -> str:
    """The reason why folders are no classes, "" where they are."""
    found = set(folders or ())
    if found <= {""}:
        common = {name.rpartition("/")[0].rpartition("/")[2] for name in names}
        alone = next(iter(common), "") if len(common) == 1 and folders is not None else ""
        return f"one class only, {shown(alone)}" if alone else "no class folders"
    if folders is not None and "" in found:
        return f"{folders.count(''):,} images lie outside of class folders"
    return f"one class only, {shown(found.pop())}" if len(found) == 1 else ""


class Classes:
    """Classes by name and by number.

    Attributes:
        names: Of all classes, in order; () without.
        note: Why there are none.

    Args:
        of_each: The class of each example, None where there are none.
        note: Why.
        order: All classes, by number; None: those there are, by number where all of them are numbers, else
            alphabetically.
    """

    def __init__(self, of_each: Sequence[str] | None, note: str, order: Sequence[str] | None = None) -> None:
        self.note = note
        self.names: tuple[str, ...] = () if of_each is None else tuple(order or in_order(set(of_each)))
        number = {name: i for i, name in enumerate(self.names)}
        self.numbers: list[int] | None = None if of_each is None else [number[name] for name in of_each]


def in_order(names: set[str]) -> list[str]:
    """Class names in the order of their numbers: 2 before 10 where all are numbers, else alphabetical."""
    if all(name.isascii() and name.isdigit() for name in names):
        return sorted(names, key=lambda name: (int(name), name))
    return sorted(names)


def _from_file(path: Path, names: Sequence[str], left_out: Sequence[str]) -> list[str]:
    rows = label_rows(_content(path), path, [*names, *left_out])
    label = value_of_each(names, rows, path, left_out)
    if len(set(label)) < 2:
        raise DataError(f"{shown(path)}: one class only: give two or more, or say data.labels=none")
    return label


def value_of_each(
    names: Sequence[str], rows: Sequence[tuple[str, str]], path: Path, left_out: Sequence[str] = ()
) -> list[str]:
    """The value that a list gives each image.

    Args:
        names: Of the images.
        rows: (image, value): the name of an image, or the last part of it where that is unique.
        path: The list, for messages.
        left_out: Names of images that may have rows and need none.

    Raises:
        DataError: an image without a row or with two different ones, or a row of another image.
    """
    last: dict[str, list[str]] = {}
    known = [*names, *left_out]
    for name in known:
        last.setdefault(name.rpartition("/")[2], []).append(name)
    full = {**{part: found[0] for part, found in last.items() if len(found) == 1}, **{name: name for name in known}}
    value_of: dict[str, str] = {}
    unknown: list[str] = []
    for key, value in rows:
        place = full.get(key.removeprefix("./"))
        if place is None:
            unknown.append(key)
        elif value_of.setdefault(place, value) != value:
            one, other = shown(value_of[place]), shown(value)
            raise DataError(f"{shown(path)}: {shown(place)} has the labels {one} and {other}: leave one of them")
    missing = [name for name in names if name not in value_of]
    for found, what in ((unknown, "not among the images"), (missing, "without a row")):
        if found:
            few = ", ".join(shown(name) for name in found[:3]) + (", …" if len(found) > 3 else "")
            raise DataError(f"{shown(path)}: {len(found):,} {what} ({few}): every image needs one row, and no others")
    return [value_of[name] for name in names]


def labels_file_hash(labels: str) -> str:
    """sha256 of a file of labels."""
    return hashlib.sha256(_content(Path(labels).expanduser())).hexdigest()


def _content(path: Path) -> bytes:
    return read_regular(path, LARGEST_CSV, advice="data.labels= is folder, none or a CSV file")


def label_rows(data: bytes, path: Path, names: Sequence[str] = ()) -> list[tuple[str, str]]:
    """(image, class) of each row of a file of labels.

    Args:
        data: Its content.
        path: For messages.
        names: Of the images, which are no headers.

    Raises:
        DataError: no CSV, no header, or a row without a class.
    """
    try:
        rows = [row for row in csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{shown(path)}: no CSV in UTF-8 ({error}): save it as such") from error
    short = next((i for i, row in enumerate(rows, 1) if len(row) < 2), None)
    if short is not None or len(rows) < 2:
        where = "it has no rows" if short is None else f"row {short} has one column"
        raise DataError(f"{shown(path)}: {where}: give a header and then, in each row, an image, a comma and its class")
    first, *found = [(row[0].strip(), row[1].strip()) for row in rows]
    if first[0] in {*names, *(name.rpartition("/")[2] for name in names)}:
        raise DataError(f"{shown(path)}: no header, its first row is of {shown(first[0])}: put file,class above it")
    if (empty := next((image for image, label in found if not label), None)) is not None:
        raise DataError(f"{shown(path)}: no class for {shown(empty)}: give each image one")
    return found
