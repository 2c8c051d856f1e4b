"""Data that was prepared once: three splits on disk and a description, found again by what they were made from.

    <cache>/data/<name>/description.json       what it is: spec, classes, counts, what was left out
                        names.json             what each example was called in its source, by split
                        {train,val,test}/      see `genkit.data.on_disk`

The name is the sha256 of the facts: the contents of the source and what is done to them. The folder appears whole or
not at all; of two processes that want the same at once, one prepares it and the other waits. All of it is verified on
opening; what was damaged is prepared again, and said so.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from genkit.data.content_split import NAMES
from genkit.data.dataset import SplitName
from genkit.data.on_disk import DAMAGED, TAKEN, Layout, OnDisk, aloud, write_split
from genkit.data.split import Examples
from genkit.errors import DataError
from genkit.printing import shown
from genkit.storage.atomic import discard, publish, sweep, temporary_folder, write_file
from genkit.storage.disk import storage_errors, user_folder
from genkit.storage.held import hold
from genkit.storage.regular import read_regular
from genkit.storage.turns import own_turn

FORMAT = "genkit.data/1"
DESCRIPTION, SOURCE_NAMES = "description.json", "names.json"
LARGEST = 2**30

Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Prepared:
    """Prepared data as it is found on disk.

    Attributes:
        folder: Where it lies.
        splits: "train", "val", "test".
        about: The description, JSON values: what a source wrote about its data.
    """

    folder: Path
    splits: Mapping[SplitName, OnDisk]
    about: Mapping[str, Any]

    def source_names(self) -> dict[SplitName, list[str]]:
        """The name of each example in its source, in the order of the splits."""
        found = json.loads(read_regular(self.folder / SOURCE_NAMES, LARGEST, inside=self.folder))
        return {name: found[name] for name in NAMES}


class Writer:
    """Writes the parts of prepared data into a new folder.

    Args:
        folder: Is there and empty; other files may lie in it while the data is made, and are to be removed.
        name: Of the data.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.layouts: dict[str, Any] = {}
        self.values: dict[str, str] = {}

    def split(self, name: SplitName, batches: Iterator[Examples], layout: Layout) -> None:
        """Write one split. Raises DataError where the batches are not of the layout."""
        (self.folder / name).mkdir()
        self.values[name] = write_split(self.folder / name, batches, layout, _about(self.name, name, layout))
        self.layouts[name] = asdict(layout)

    def describe(self, about: Facts, names: Mapping[SplitName, list[str]], facts: Facts) -> None:
        """Write what the data is, after its splits."""
        write_file(self.folder / SOURCE_NAMES, [_json(names)])
        body = {"facts": facts, "layouts": self.layouts, "values": self.values, "about": about}
        content = {"format": FORMAT, "body": body, "sha256": hashlib.sha256(_json(body)).hexdigest()}
        write_file(self.folder / DESCRIPTION, [_json(content)])


def data_folder() -> Path:
    """The folder of prepared data."""
    return user_folder() / "data"


def prepare(
    facts: Facts, make: Callable[[Writer], None], say: Callable[[str], None] = aloud, source: str = ""
) -> Prepared:
    """Data as it was prepared from these facts, now or before.

    Args:
        facts: All that the data depends on, as JSON knows it.
        make: Writes the three splits and the description.
        say: Receives a line where data is prepared again.
        source: What it is made from, as a person knows it.

    Raises:
        DataError: what `make` raises.
        StorageError: the disk lacks room or refuses.
    """
    name = hashlib.sha256(_json({"format": FORMAT, "facts": facts})).hexdigest()
    place = data_folder() / name
    if place.exists():
        with suppress(DataError):  # said below, by the one that prepares it again
            return _held(place, source)
    waiting = partial(say, "another process prepares the same data: waiting for it")
    with storage_errors(place), own_turn(user_folder() / "turns" / name, waiting):
        if place.exists():
            try:
                return _held(place, source)
            except DataError as error:
                say(f"{error}: it is prepared again")
                with suppress(FileNotFoundError):  # another machine was quicker
                    discard(place)
        place.parent.mkdir(parents=True, exist_ok=True)
        sweep(place.parent)
        with temporary_folder(place) as temporary:
            make(Writer(temporary, name))
            try:
                publish((temporary, place))
            except OSError as error:
                if error.errno not in TAKEN:
                    raise  # else another machine was quicker
        return _held(place, source)


def _held(place: Path, source: str) -> Prepared:
    """Prepared data that this process uses from now on."""
    hold(place, source)
    return opened(place)


def opened(folder: Path) -> Prepared:
    """Prepared data in a folder of its name. Raises DataError where it is damaged."""
    body = description(folder)
    splits: dict[SplitName, OnDisk] = {}
    for name in NAMES:
        values = body["layouts"][name]
        layout = Layout(values["n"], tuple(values["shape"]), values["dtype"], values["labelled"])
        splits[name] = OnDisk(folder / name, layout, _about(folder.name, name, layout))
        if splits[name].values_hash != body["values"][name]:
            raise DataError(f"{shown(folder / name)}: {DAMAGED}")
    return Prepared(folder, splits, body["about"])


def description(folder: Path) -> dict[str, Any]:
    """The description of prepared data, verified by itself. Raises DataError where it is damaged."""
    damaged = DataError(f"{shown(folder)}: {DAMAGED}")
    try:
        known = json.loads(read_regular(folder / DESCRIPTION, LARGEST, inside=folder))
        body = known["body"]
        name = hashlib.sha256(_json({"format": known["format"], "facts": body["facts"]})).hexdigest()
        right = known["sha256"] == hashlib.sha256(_json(body)).hexdigest()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise damaged from error
    if not right or known["format"] != FORMAT or name != folder.name:
        raise damaged
    return body


def _about(data: str, split: SplitName, layout: Layout) -> dict[str, Any]:
    return {"format": FORMAT, "data": data, "split": split, "layout": asdict(layout)}


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, allow_nan=False).encode()
