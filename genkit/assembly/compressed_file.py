"""The file that `genkit compress` writes: coded examples, and in its header which model can read them.

model           what it is called, its step, its weights ("ema" or "raw"), and the hash of all of it
data            shape and kind of an example, and the hash of all stored values
n, coder, …     what decoding must know (`genkit.models.entropy_coding`)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from genkit.assembly.model_hash import model_sha256
from genkit.assembly.restore import Restored, restore
from genkit.assembly.sampling_model import label_of
from genkit.coding.container import Container
from genkit.data.split import content_hash
from genkit.errors import ConfigError, DataError
from genkit.models.entropy_coding import Coded, Watch, decode
from genkit.printing import shown
from genkit.storage.regular import open_regular

SUFFIX = ".genkit"
LARGEST = 2**36  # values, and bytes of a file


@dataclass(frozen=True)
class Decompressed:
    """The content of a file.

    Attributes:
        v: (N, *shape) stored values, channels first.
        y: (N,) labels, None where none were kept.
        found: The model that read it.
        size: Bytes of the file.
    """

    v: Tensor
    y: Tensor | None
    found: Restored
    size: int


def compressed_file(found: Restored, weights: str, v: Tensor, coded: Coded) -> bytes:
    """The whole file.

    Args:
        found: The model.
        weights: Which of its weights were taken.
        v: The stored values that were coded.
        coded: What became of them.
    """
    spec = found.model.spec
    model = {"name": label_of(found), "step": found.checkpoint.step, "weights": weights, "sha256": model_sha256(found)}
    data = {"shape": list(spec.shape), "modality": spec.modality, "kind": spec.kind.name, "sha256": content_hash(v)}
    return Container({"model": model, "data": data, **coded.facts}, coded.sections).to_bytes()


def read_header(path: Path | str) -> tuple[Container, int]:
    """A file, checked as far as it can be without the model, and its size in bytes.

    Raises:
        DataError: it is missing, foreign, cut short or damaged.
    """
    with open_regular(path, largest=LARGEST) as file:
        data = file.read()
    container = Container.of_bytes(data, shown(path))
    model, values = container.header.get("model"), container.header.get("data")
    if not (
        isinstance(model, dict)
        and isinstance(values, dict)
        and model.get("weights") in ("ema", "raw")
        and isinstance(model.get("sha256"), str)
        and isinstance(values.get("sha256"), str)
    ):
        raise DataError(f"{shown(path)}: its header names no model: it was written by another program")
    return container, len(data)


def model_of_file(path: Path | str, container: Container, ckpt: str, plugins: list[str]) -> Restored:
    """The model of ckpt=, if it is the one that wrote the file.

    Raises:
        ConfigError: it is another one.
        CheckpointError: see `restore`.
    """
    model = container.header["model"]
    found = restore(ckpt, weights=model["weights"], plugins=plugins)
    if model_sha256(found) != model["sha256"]:
        told = f"{shown(str(model.get('name')))}, step {shown(str(model.get('step')))}, {model['weights']} weights"
        raise ConfigError(
            f"{shown(path)}: written with another model than ckpt={shown(ckpt)}: give the checkpoint that it was "
            f"written with ({told})"
        )
    return found


def decompressed(path: Path | str, container: Container, size: int, found: Restored, watch: Watch) -> Decompressed:
    """Decode a file by its model, and check the values against their hash.

    Raises:
        DataError: what comes out is not what was compressed.
    """
    facts: Mapping[str, Any] = {key: value for key, value in container.header.items() if key not in ("model", "data")}
    if container.header["n"] * found.model.spec.dim > LARGEST:
        raise DataError(f"{shown(path)}: {container.header['n']:,} examples: more than are read at once")
    try:
        v, y = decode(found.model, Coded(container.sections, facts), watch=watch)
    except DataError as error:
        raise DataError(f"{shown(path)}: {error}") from error
    if content_hash(v) != container.header["data"]["sha256"]:
        raise DataError(
            f"{shown(path)}: what comes out is not what was compressed, since this machine computes otherwise: "
            "decompress it where it was compressed"
        )
    return Decompressed(v, y, found, size)
