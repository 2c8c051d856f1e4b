"""Tensors as bytes, in the safetensors layout, the same bytes for the same tensors in every process.

    8 bytes little-endian: length of the header · header: JSON, {name: {dtype, shape, data_offsets}} · the data

https://huggingface.co/docs/safetensors. There is no `__metadata__`, whose order would differ between processes; tensors
lie by falling item size, then by name, so each is aligned. Bytes go straight from the tensors' memory to the disk.

Rules. *Tied*: names that are one and the same view of one memory (address, shape, strides, dtype) are stored once,
under the first name in alphabetical order, and the others are noted as aliases; reading gives one tensor under all of
them. *Overlapping* tensors that are not the same view, and tensors that are not contiguous, are stored as contiguous
copies: values are exact, the shared memory is not restored. Only dense tensors of the dtypes below are accepted.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from genkit.checkpoint.manifest import Aliases
from genkit.errors import CheckpointError
from genkit.printing import shown

DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
    torch.complex64: "C64",
}


def split_aliases(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], Aliases]:
    """The tensors to store, and under which of them each tied name is found.

    Raises:
        CheckpointError: a name or a tensor cannot be stored.
    """
    stored: dict[str, Tensor] = {}
    aliases: Aliases = {}
    first: dict[tuple[object, ...], str] = {}
    for name in sorted(tensors):
        _check(name, tensors[name])
        owner = first.setdefault(_view_of(name, tensors[name]), name)
        if owner == name:
            stored[name] = tensors[name].detach()
        else:
            aliases[name] = owner
    return stored, aliases


def encode(stored: Mapping[str, Tensor]) -> Iterator[bytes | memoryview]:
    """The bytes of a safetensors file, chunk by chunk: the header, then one chunk per tensor that is not empty."""
    order = sorted(stored, key=lambda name: (-stored[name].element_size(), name))
    header: dict[str, object] = {}
    offset = 0
    for name in order:
        tensor, start = stored[name], offset
        offset += tensor.numel() * tensor.element_size()
        header[name] = {"dtype": DTYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [start, offset]}
    text = json.dumps(header, separators=(",", ":")).encode("ascii")
    text += b" " * (-len(text) % 8)  # so that the data begin aligned
    yield len(text).to_bytes(8, "little") + text
    for name in order:
        if stored[name].numel():
            yield _bytes_of(stored[name])


def decode(data: bytes, aliases: Aliases, path: Path, device: torch.device | str = "cpu") -> dict[str, Tensor]:
    """The tensors of a safetensors file, tied names sharing one tensor.

    Raises:
        CheckpointError: the bytes are no safetensors file, or an alias leads nowhere.
    """
    try:
        tensors = {name: tensor.to(device) for name, tensor in safetensors.torch.load(data).items()}
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise CheckpointError(f"{shown(path)}: no readable safetensors file ({error}): use another copy") from error
    for name, owner in aliases.items():
        if name in tensors or owner not in tensors or owner in aliases:
            raise CheckpointError(f"{shown(path)}: {name!r} cannot be tied to {owner!r}: use another copy")
    return tensors | {name: tensors[owner] for name, owner in aliases.items()}


def size_of(tensors: Mapping[str, Tensor]) -> int:
    """Bytes of data in these tensors; the file is larger by its header."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


def _check(name: object, tensor: object) -> None:
    if not isinstance(name, str) or name == "__metadata__" or not name.isprintable():
        raise CheckpointError(f"tensor name {name!r}: a checkpoint needs a printable name: rename the tensor")
    if not isinstance(tensor, Tensor):
        raise CheckpointError(f"{name}: a {type(tensor).__name__} is no tensor: store it in the JSON part")
    if tensor.dtype not in DTYPES or tensor.layout is not torch.strided or tensor.is_meta:
        kind = f"{tensor.dtype}, {tensor.layout}, on {tensor.device}"
        raise CheckpointError(f"{name}: a tensor of {kind} cannot be stored: make it dense, of {', '.join(_names())}")


def _names() -> list[str]:
    return [str(dtype).removeprefix("torch.") for dtype in DTYPES]


def _view_of(name: str, tensor: Tensor) -> tuple[object, ...]:
    """Identity of a tensor's memory, equal for tied names; an empty tensor has none and is tied to nothing."""
    if math.prod(tensor.shape) == 0:
        return (name,)
    return (
        tensor.device,
        tensor.data_ptr(),
        tensor.dtype,
        tensor.shape,
        tensor.stride(),
        tensor.is_conj(),
        tensor.is_neg(),
    )


def _bytes_of(tensor: Tensor) -> memoryview:
    plain = tensor.resolve_conj().resolve_neg().cpu().contiguous()
    return plain.reshape(-1).view(torch.uint8).numpy().data
