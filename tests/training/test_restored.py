"""A training state that somebody edited, with right hashes, is refused in one line or goes on to the end."""

import copy
import hashlib
import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from training_cases import Mean, module_of, new, run_in

from genkit.checkpoint.manifest import Entry, Manifest, parse_manifest
from genkit.errors import CheckpointError
from genkit.training.state_checks import check_optimizer, check_schedulers, check_state

STEP = "checkpoints/step-00000005"
VALUES: tuple[Any, ...] = (None, "word", "", -1, 0.5, 2**62, 10**300, [], {}, True, [[1]], {"dict": [["a", 1]]})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stranger") / "run"
    run_in(folder, module_of(new(Mean), max_steps=5))
    return folder


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from leaves(item, (*path, key))


def put(tree: Any, path: tuple[Any, ...], value: Any) -> Any:
    tree = copy.deepcopy(tree)
    place = tree
    for key in path[:-1]:
        place = place[key]
    if value is leaves:  # stands for nothing
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return tree


def rewrite(folder: Path, tree: Any) -> None:
    data = json.dumps(tree).encode()
    (folder / "training.json").write_bytes(data)
    old = parse_manifest((folder / "manifest.json").read_bytes(), folder)
    files = dict(old.files) | {"training.json": Entry(len(data), hashlib.sha256(data).hexdigest())}
    (folder / "manifest.json").write_bytes(Manifest(old.kind, old.step, files, old.aliases, old.genkit).render())


@pytest.mark.parametrize(
    "change",
    [
        {"global_step": 4},
        {"global_step": None},
        {"epoch": 0.5},
        {"epoch": -1},
        {"loops": {"fit": {"ready": 2**48}}},
        {"loops": []},
        {"latest": {"loss": 1}},
        {"latest": {1: 1.0}},
        {"lr_schedulers": {}},
    ],
    ids=str,
)
def test_counters_are_those_of_the_step_in_the_manifest(change: dict[str, Any]) -> None:
    state = {"loops": {"fit": {"ready": 5}}, "callbacks": {}, "latest": {"loss": 1.0}, "lr_schedulers": []}
    state |= {"global_step": 5, "epoch": 0}
    check_state(state, 5)
    with pytest.raises(CheckpointError, match=r"^training\.json: [^\n]+$"):
        check_state(state | change, 5)


@pytest.mark.parametrize("seed", range(2))
def test_an_edited_state_is_refused_in_one_line_or_serves(seed: int, run: Path, tmp_path: Path) -> None:
    dice, refused = random.Random(seed), 0
    tree = json.loads((run / STEP / "training.json").read_text())
    places = list(leaves(tree))
    for number in range(10):
        copied = tmp_path / str(number)
        shutil.copytree(run, copied)
        rewrite(copied / STEP, put(tree, dice.choice(places), dice.choice((*VALUES, leaves))))
        try:
            run_in(copied, module_of(new(Mean), max_steps=7), resumes=True)
        except CheckpointError as error:
            refused += 1
            assert str(error).isprintable()  # noqa: PT017
    assert refused > 2


def trained(name: str, **options: Any) -> tuple[torch.optim.Optimizer, Any]:
    weights = [torch.nn.Parameter(torch.ones(3, 4)), *([] if name == "Muon" else [torch.nn.Parameter(torch.ones(4))])]
    optimizer = getattr(torch.optim, name)([{"params": weights, "name": "model"}], lr=0.1, **options)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5)
    for weight in weights:
        weight.grad = torch.ones_like(weight)
    optimizer.step()
    schedule.step()
    return optimizer, schedule


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *((name, {}) for name in ("Adadelta", "Adagrad", "Adam", "Adamax", "Muon", "NAdam", "RAdam", "RMSprop", "SGD")),
        ("AdamW", {"amsgrad": True}),
        ("SGD", {"momentum": 0.9, "nesterov": True}),
        ("RMSprop", {"momentum": 0.9, "centered": True}),
    ],
)
def test_the_state_of_every_optimizer_serves_itself_and_no_other_shape(name: str, options: dict[str, Any]) -> None:
    optimizer, schedule = trained(name, **options)
    state = optimizer.state_dict()
    check_optimizer([state], trained(name, **options)[0])
    check_schedulers([schedule.state_dict()], trained(name, **options)[1])
    for index, kept in state["state"].items():
        for key, value in kept.items():
            for other in (torch.ones(7), None if value is not None else "x", "word"):
                edited = copy.deepcopy(state)
                edited["state"][index][key] = other
                with pytest.raises(CheckpointError, match=r"^training\.json: optimizer_states"):
                    check_optimizer([edited], optimizer)
    for edits in ({"lr": -1.0}, {"lr": float("nan")}, {"lr": "x"}, {"step": 1}, {"params": [9]}):
        edited = copy.deepcopy(state)
        edited["param_groups"][0].update(edits)
        with pytest.raises(CheckpointError):
            check_optimizer([edited], optimizer)
    for edits in ({"step": 1}, {"base_lrs": [1.0, 2.0]}, {"last_epoch": "x"}):
        with pytest.raises(CheckpointError):
            check_schedulers([schedule.state_dict() | edits], schedule)
