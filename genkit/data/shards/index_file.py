"""The index of one shard: where each image lies in it, its size, its class and the hash of its bytes.

    <cache>/shards/<root>/<shard>.index     sealed: a line of JSON, then the entries

It is made by reading all of the shard once, and found again as long as the state of the file is what it was then (size,
times, number; see `genkit.data.source_state`). It is verified when it is opened, and mapped: memory holds what is
looked at.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genkit.errors import DataError
from genkit.printing import shown
from genkit.storage.sealed import map_sealed, write_sealed

FORMAT = "genkit.shard-index/2"
HASH = 16  # bytes of the hash of an image's bytes
NO_LABEL = -1
ENTRY = np.dtype([
    ("at", "<u8"),  # offset of its bytes in the file; in a Parquet file, its row group
    ("size", "<u8"),  # number of them
    ("hash", f"V{HASH}"),
    ("width", "<u4"),
    ("height", "<u4"),
    ("label", "<i4"),  # number of its class in the shard, NO_LABEL without
    ("number", "<u4"),  # of the image in the shard, those that cannot be used counted too
    ("grey", "?"),
])  # fmt: skip


@dataclass(frozen=True, eq=False)
class ShardIndex:
    """The images of one shard.

    Attributes:
        entries: (n,) of ENTRY, in the order of the file.
        classes: Names of the classes by number.
        bad: (name, reason) of what cannot be used.
        ordered: Whether the classes stand in an order of the shard's own, those without an image too.
    """

    entries: NDArray[np.void]
    classes: tuple[str, ...]
    bad: tuple[tuple[str, str], ...]
    ordered: bool = False


def write_index(path: Path, index: ShardIndex, facts: Mapping[str, Any]) -> None:
    """Keep an index of a shard of which these facts are true. Raises StorageError."""
    about: dict[str, Any] = {"format": FORMAT, "facts": dict(facts), "classes": index.classes, "bad": index.bad}
    about["ordered"] = index.ordered
    write_sealed(path, json.dumps(about).encode() + b"\n" + index.entries.tobytes())


def read_index(path: Path, facts: Mapping[str, Any]) -> ShardIndex | None:
    """The index of a shard of which these facts are true, None where there is none.

    Raises:
        DataError: it is damaged.
        StorageError: it may not be read.
    """
    content = map_sealed(path)
    if content is None:
        return None
    damaged = DataError(f"{shown(path)}: damaged")
    try:
        line = _first_line(content)
        about = json.loads(line)
        if about["format"] != FORMAT or about["facts"] != json.loads(json.dumps(dict(facts))):
            return None
        entries = np.frombuffer(content[len(line) :], ENTRY)
        bad = tuple((str(name), str(reason)) for name, reason in about["bad"])
        return ShardIndex(entries, tuple(map(str, about["classes"])), bad, about["ordered"] is True)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise damaged from error


def _first_line(content: NDArray[np.uint8]) -> bytes:
    found, size = b"", 2**16
    while b"\n" not in found and len(found) < len(content):
        found, size = content[:size].tobytes(), 2 * size
    return found[: found.index(b"\n") + 1]
