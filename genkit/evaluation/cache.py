r"""A cache of what real data alone decides: its features and its floors.

An entry is named by the sha256 of everything that it depends on — the values of the data themselves, the features with
their weights, the metric with its arguments, the format of this file — so nothing can be stale: a change gives
another name. Entries appear whole or not at all; an entry whose own sha256 does not match is computed and written
again. Folder: `$GENKIT_CACHE`, else `$XDG_CACHE_HOME/genkit`, else `~/.cache/genkit`. Deleting it costs time only.

    <name>.bin = the tensors as safetensors, or rows of float64, sealed by `genkit.storage.sealed`
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from genkit.errors import DataError, StorageError
from genkit.metrics.base import ProbeMetric
from genkit.storage.disk import user_folder
from genkit.storage.sealed import map_array, read_sealed, write_array, write_sealed

FORMAT = 4  # raise it whenever the arithmetic of a feature space or a metric changes

Tensors = dict[str, Tensor]


def name_of(kind: str, facts: dict[str, Any]) -> str:
    """The name of an entry: sha256 of the canonical JSON of what it depends on."""
    text = json.dumps({"format": FORMAT, "kind": kind, **facts}, sort_keys=True)
    return f"{kind}-{hashlib.sha256(text.encode()).hexdigest()}"


def identity_of(metric: ProbeMetric) -> dict[str, Any]:
    """The class of a metric and its constructor's arguments, as they lie in its attributes.

    A class of genkit counts by its name alone, so that its entries outlive a move to another module.
    """
    plain = {key: plain_of(value) for key, value in vars(metric).items() if not key.startswith("_")}
    arguments = {key: value for key, value in plain.items() if value is not None}
    own = type(metric).__module__.partition(".")[0] == "genkit"
    module = "genkit" if own else type(metric).__module__
    return {"class": f"{module}.{type(metric).__qualname__}", **arguments}


def plain_of(value: Any) -> Any:
    """A value as JSON knows it, None for what it does not."""
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, tuple):
        return list(value)
    return value if isinstance(value, bool | int | float | str) else None


class Cache:
    """Entries in one folder.

    A folder that cannot be read or written costs time, not the result: `problem` then says so, once.

    Args:
        folder: By default the user's.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or user_folder()
        self.problem: str | None = None

    def read(self, name: str) -> Tensors | None:
        """The tensors of an entry; None where there is none or it is damaged."""
        try:
            content = read_sealed(self._path(name))
            return None if content is None else load(content)
        except (DataError, SafetensorError):
            return None
        except StorageError as error:
            self.problem = f"going on without the cache: {error}"
            return None

    def write(self, name: str, tensors: Tensors) -> None:
        """An entry of these tensors, replacing a damaged one."""
        try:
            write_sealed(self._path(name), save({key: value.contiguous() for key, value in tensors.items()}))
        except StorageError as error:
            self.problem = f"going on without the cache: {error}"

    def rows(self, name: str, shape: tuple[int, int], make: Callable[[], Iterable[Tensor]]) -> Tensor | None:
        """Rows of this shape, float64, mapped from the file of an entry; memory holds what is looked at.

        Args:
            name: Of the entry.
            shape: (N, F).
            make: Gives the rows in parts (n_i, F), where the entry is not there yet or damaged.

        Returns:
            None where the folder cannot be used.
        """
        path = self._path(name)
        try:
            try:
                found = map_array(path, shape)
            except DataError:
                found = None
            if found is None:
                write_array(path, (part.numpy() for part in make()), 8 * shape[0] * shape[1])
                found = map_array(path, shape)
            return None if found is None else torch.from_numpy(found)
        except StorageError as error:
            self.problem = f"going on without the cache: {error}"
            return None

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.bin"


class NoCache(Cache):
    """Remembers nothing."""

    def __init__(self) -> None:
        super().__init__(Path(os.devnull))

    def read(self, name: str) -> Tensors | None:
        return None

    def write(self, name: str, tensors: Tensors) -> None:
        pass

    def rows(self, name: str, shape: tuple[int, int], make: Callable[[], Iterable[Tensor]]) -> Tensor | None:
        return None
