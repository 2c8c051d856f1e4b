"""Bytes of tensors: what goes in comes out, tied names stay tied, and equal tensors give equal files everywhere."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from genkit.checkpoint.tensors import decode, encode, split_aliases
from genkit.errors import CheckpointError

BASE = torch.arange(24.0)
TENSORS = {
    "float64": torch.tensor([0.1, -0.0, float("inf")], dtype=torch.float64),
    "float32": torch.randn(3, 4, generator=torch.Generator().manual_seed(0)),
    "float16": torch.tensor([1.5, 2.5]).half(),
    "bfloat16": torch.tensor([1.5, -3.0, 7.0]).bfloat16(),
    "complex64": torch.tensor([1 + 2j, 3 - 1j]),
    "conjugated": torch.tensor([1 + 2j, 3 - 1j]).conj(),
    "int64": torch.tensor([2**62, -1]),
    "int32": torch.tensor([5], dtype=torch.int32),
    "int16": torch.tensor([5], dtype=torch.int16),
    "int8": torch.tensor([-5], dtype=torch.int8),
    "uint8": torch.tensor([255], dtype=torch.uint8),
    "bool": torch.tensor([True, False, True]),
    "scalar": torch.tensor(3.5),
    "empty": torch.empty(0, 7),
    "another empty": torch.empty(0, 7),
    "transposed": BASE.reshape(4, 6).T,
    "strided": BASE[1::5],
    "expanded": torch.tensor([2.0]).expand(3, 2),
    "needs grad": nn.Parameter(torch.ones(2)),
    "ünïcode": torch.ones(1),
}
MAKE = """
import torch
from genkit.checkpoint.tensors import encode
tensors = {name: torch.full((n,), float(n), dtype=dtype) for name, n, dtype in
           [("b", 3, torch.float32), ("a", 5, torch.float64), ("c", 2, torch.bool), ("d", 1, torch.float32)]}
"""


def file_of(tensors: dict[str, Tensor]) -> tuple[bytes, dict[str, str]]:
    stored, aliases = split_aliases(tensors)
    return b"".join(encode(stored)), aliases


def test_round_trip_is_exact() -> None:
    data, aliases = file_of(TENSORS)
    found = decode(data, aliases, Path("x"))
    assert found.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert found[name].dtype == tensor.dtype, name
        assert found[name].shape == tensor.shape, name
        assert torch.equal(found[name], tensor.detach()), name
        assert found[name].is_contiguous()


def test_file_is_what_the_format_says() -> None:
    data, aliases = file_of(TENSORS)
    assert aliases == {}  # empty tensors share an address but are not tied
    assert safetensors.torch.load(data).keys() == TENSORS.keys()
    assert b"__metadata__" not in data
    assert int.from_bytes(data[:8], "little") % 8 == 0


def test_no_tensors_make_a_file_too() -> None:
    assert decode(b"".join(encode({})), {}, Path("x")) == {}


def test_tied_names_are_stored_once_and_come_back_as_one_tensor() -> None:
    model = nn.ModuleDict({"inp": nn.Linear(3, 3), "out": nn.Linear(3, 3)})
    model["out"].weight = model["inp"].weight
    data, aliases = file_of(model.state_dict())
    assert aliases == {"out.weight": "inp.weight"}
    assert len(safetensors.torch.load(data)) == 3
    found = decode(data, aliases, Path("x"))
    assert found["out.weight"] is found["inp.weight"]
    assert torch.equal(found["inp.weight"], model["inp"].weight)


def test_overlapping_tensors_that_differ_are_copies() -> None:
    tensors = {"whole": BASE, "head": BASE[:5], "matrix": BASE.reshape(4, 6), "integers": BASE.view(torch.int32)}
    data, aliases = file_of(tensors)
    assert aliases == {}
    assert all(torch.equal(found, tensors[name]) for name, found in decode(data, {}, Path("x")).items())


def test_order_of_insertion_does_not_matter() -> None:
    assert file_of(TENSORS) == file_of(dict(reversed(TENSORS.items())))


def test_another_process_writes_the_same_bytes() -> None:
    code = MAKE + "import hashlib; print(hashlib.sha256(b''.join(encode(tensors))).hexdigest())"
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONHASHSEED": "7"},
        check=True,
    )
    scope: dict[str, object] = {}
    exec(MAKE + "data = b''.join(encode(tensors))", scope)
    assert run.stdout.strip() == hashlib.sha256(scope["data"]).hexdigest()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        ("sparse", torch.eye(3).to_sparse()),
        ("meta", torch.ones(3, device="meta")),
        ("complex128", torch.ones(2, dtype=torch.complex128)),
        ("number", 3.0),
        ("__metadata__", torch.ones(1)),
        ("line\nbreak", torch.ones(1)),
        (7, torch.ones(1)),
    ],
)
def test_what_cannot_be_stored_is_refused(name: str, tensor: Tensor) -> None:
    with pytest.raises(CheckpointError, match=r"^[^\n]+$"):
        split_aliases({name: tensor})


@pytest.mark.parametrize("aliases", [{"b": "nowhere"}, {"a": "a"}, {"b": "c", "c": "a"}])
def test_an_alias_must_lead_to_a_stored_tensor(aliases: dict[str, str]) -> None:
    data, _ = file_of({"a": torch.ones(1)})
    with pytest.raises(CheckpointError, match="tied"):
        decode(data, aliases, Path("x"))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"text",
        b"\xff" * 64,
        (2).to_bytes(8, "little") + b"[]",
        (64).to_bytes(8, "little") + b'{"a":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}}'.ljust(64) + b"\0" * 8,
        (64).to_bytes(8, "little") + b'{"a":{"dtype":"F99","shape":[1],"data_offsets":[0,4]}}'.ljust(64) + b"\0" * 4,
        (64).to_bytes(8, "little") + b'{"a":{"dtype":"F4","shape":[2],"data_offsets":[0,1]}}'.ljust(64) + b"\0",
    ],
)
def test_bytes_of_something_else_are_refused(data: bytes) -> None:
    with pytest.raises(CheckpointError, match="no readable safetensors"):
        decode(data, {}, Path("x"))
