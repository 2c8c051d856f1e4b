"""Weights that a new run begins with: matched by name, shape and type, of the very file that was recorded."""

import copy
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from genkit.assembly.start_weights import Start, begin_again
from genkit.checkpoint.manifest import MODEL
from genkit.checkpoint.write import write_checkpoint
from genkit.errors import CheckpointError, ConfigError

OTHERS = {
    "of another shape": lambda state: state | {"weight": torch.ones(2, 4)},
    "of another type": lambda state: state | {"weight": state["weight"].double()},
    "absent": lambda state: {"bias": state["bias"]},
    "one more": lambda state: state | {"more": torch.ones(1)},
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_tensors_that_do_not_fit_are_refused_or_left_as_they_are(other: Any) -> None:
    model: Any = nn.Linear(3, 2)
    theirs, before = {name: value + 1 for name, value in model.state_dict().items()}, copy.deepcopy(model.state_dict())
    record = {"ckpt": "a", "step": 3}
    start = Start(theirs, {**record, "partial": False}, "Linear")
    start.fill(model)
    assert all(torch.equal(value, theirs[name]) for name, value in model.state_dict().items())
    model.load_state_dict(before)
    state = other(theirs)
    with pytest.raises(ConfigError, match=r"^start=a holds Linear of step 3: (weight|more) is .* differs: allow="):
        Start(state, {**record, "partial": False}, "Linear").fill(model)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    Start(state, {**record, "partial": True}, "Linear").fill(model)
    taken = {name for name, value in model.state_dict().items() if torch.equal(value, theirs[name])}
    assert taken == ({"weight", "bias"} if "more" in state else {"bias"})


def test_a_run_begins_again_with_the_very_weights_that_it_recorded(tmp_path: Path) -> None:
    def written(weight: Tensor) -> tuple[Path, dict[str, Any]]:
        run = tmp_path / str(int(weight[0]))
        run.mkdir()
        path = write_checkpoint(run / "checkpoints", 3, config={"model": {}}, model={"weight": weight})
        return path, {"ckpt": str(path), "file": MODEL, "step": 3, "weights": "ema", "partial": False}

    path, record = written(torch.ones(2))
    own = begin_again({"start": record | {"ckpt_sha256": hash_of(path)}})
    assert own is not None
    assert torch.equal(own.state["weight"], torch.ones(2))
    assert begin_again({}) is None
    other, _ = written(torch.full((2,), 5.0))
    with pytest.raises(CheckpointError, match="changed since the run began"):
        begin_again({"start": record | {"ckpt_sha256": hash_of(other)}})


def hash_of(path: Path) -> str:
    return sha256((path / MODEL).read_bytes()).hexdigest()
