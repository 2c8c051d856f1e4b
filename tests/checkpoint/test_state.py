"""Nested state through JSON text and tensors, and back: same types, same order, same bits."""

import json
import math
import struct
from collections import Counter, OrderedDict, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from genkit.checkpoint import strict_json
from genkit.checkpoint.state import flatten_state, restore_state
from genkit.checkpoint.tensors import decode, encode, split_aliases
from genkit.errors import CheckpointError

QUIET_NAN = struct.unpack(">d", bytes.fromhex("fff8000000000abc"))[0]
STATES: list[Any] = [
    None,
    True,
    0,
    -(2**80),
    0.1,
    -0.0,
    5e-324,
    1.7976931348623157e308,
    1.0,
    math.inf,
    -math.inf,
    QUIET_NAN,
    "",
    "ünï \x00 \ud800 \u2028",
    [],
    (),
    {},
    [(), [()], ({},)],
    {0: "int", "0": "string", 1.5: "float", None: "none"},
    {True: 1, 2: False},
    {"tensor": "x", "dict": [], "tuple": ["float64"]},
    {"b": 1, "a": {"c": (1, 2.0, [3, (4,)])}},
    OrderedDict([("z", 1), ("a", 2)]),
    Counter({30: 1, 60: 2}),
    {"a/b": torch.ones(1), "a": {"b": torch.zeros(2)}, "line\nbreak": torch.ones(3)},
    {1: torch.ones(1), "1": torch.zeros(1)},
    torch.tensor(2.0),
    [torch.ones(2, dtype=torch.bfloat16), {"deep": (torch.tensor([True]),)}],
]


def there_and_back(state: Any) -> Any:
    tensors, tree = flatten_state(state)
    stored, aliases = split_aliases(tensors)
    text = strict_json.render({"tree": tree}, "state")
    read = decode(b"".join(encode(stored)), aliases, Path("x"))
    return restore_state(strict_json.parse(text, Path("x"))["tree"], read)


def same(one: Any, other: Any) -> bool:
    """Equality that also compares types, order of keys and bits of floats."""
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return struct.pack(">d", one) == struct.pack(">d", other)
    if isinstance(one, dict):
        pairs = zip(one.items(), other.items(), strict=False)
        return len(one) == len(other) and all(same(a, c) and same(b, d) for (a, b), (c, d) in pairs)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=False))
    return bool(one == other)


@pytest.mark.parametrize("index", range(len(STATES)))
def test_round_trip_is_exact(index: int) -> None:
    assert same(there_and_back(STATES[index]), STATES[index])


def test_all_of_them_at_once() -> None:
    assert same(there_and_back({"all": STATES, "again": tuple(STATES)}), {"all": STATES, "again": tuple(STATES)})


@pytest.mark.parametrize("kind", [torch.optim.AdamW, torch.optim.SGD, torch.optim.RMSprop, torch.optim.NAdam])
def test_an_optimizer_goes_on_as_if_nothing_had_happened(kind: type[torch.optim.Optimizer]) -> None:
    def steps(model: nn.Module, optimizer: torch.optim.Optimizer, first: int) -> torch.Tensor:
        for step in range(first, first + 3):
            optimizer.zero_grad()
            model(torch.full((2, 4), float(step))).square().mean().backward()
            optimizer.step()
        return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])

    torch.manual_seed(0)
    model = nn.Linear(4, 3)
    optimizer = kind(model.parameters(), lr=1e-2)
    steps(model, optimizer, 0)
    twin = nn.Linear(4, 3)
    twin.load_state_dict(there_and_back(dict(model.state_dict())))
    resumed = kind(twin.parameters(), lr=0.5)
    state = there_and_back(optimizer.state_dict())
    assert same(state, optimizer.state_dict())
    resumed.load_state_dict(state)
    assert torch.equal(steps(twin, resumed, 3), steps(model, optimizer, 3))


def test_a_multi_step_schedule_keeps_its_counter() -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=1.0)
    state = torch.optim.lr_scheduler.MultiStepLR(optimizer, [3, 3, 9]).state_dict()
    assert type(there_and_back(state)["milestones"]) is Counter
    assert there_and_back(state)["milestones"] == Counter({3: 2, 9: 1})


@pytest.mark.parametrize(
    "value",
    [
        b"bytes",
        {1, 2},
        np.float64(1.0),
        np.int64(1),
        np.ones(2),
        defaultdict(int),
        object(),
        1j,
        2**5000,
        torch.float32,
        torch.Size([1]),
        {(1, 2): 3},
        {b"k": 1},
        lambda: None,
    ],
)
def test_what_would_not_come_back_is_refused_with_its_place(value: Any) -> None:
    with pytest.raises(CheckpointError, match=r"^state outer/0[^\n]*$"):
        flatten_state({"outer": [value]})


def test_a_state_that_contains_itself_is_refused() -> None:
    state: list[Any] = []
    state.append(state)
    with pytest.raises(CheckpointError, match="too deep"):
        flatten_state(state)


def test_the_deepest_state_that_is_accepted_can_be_written_and_read() -> None:
    state: Any = 1
    for _ in range(20):
        state = {0: state}
    assert there_and_back(state) == state


@pytest.mark.parametrize(
    "tree",
    [
        '{"tensor": "nowhere"}',
        '{"tensor": 3}',
        '{"dict": 5}',
        '{"dict": [[1]]}',
        '{"dict": [[[1], 2]]}',
        '{"dict": [[{"tuple": []}, 2]]}',
        '{"tuple": "ab"}',
        '{"float64": 1}',
        '{"float64": "00"}',
        '{"float64": "zz"}',
        '{"code": "x"}',
        '{"tuple": [], "dict": []}',
        "{}",
    ],
)
def test_a_tree_that_nobody_wrote_is_refused(tree: str) -> None:
    with pytest.raises(CheckpointError, match=r"^training state: [^\n]*$"):
        restore_state(json.loads(tree), {})
