"""A save beside one file of the same tensors, and the start of a command beside the import of torch.

A save writes a checkpoint and `latest` (hashes, fsync); the other side writes one safetensors file under a new name
and syncs it and its folder, so both are durable when they end.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from benches.comparison import Bench, Costs, cpu_of_command, in_turns, wall_of
from genkit.checkpoint.state import flatten_state
from genkit.checkpoint.write import Tensors, write_checkpoint
from genkit.storage.atomic import fsync_path

STARTS = {"help": ("--help",), "config": ("train", "--cfg", "job"), "list": ("list", "models")}


def save(megabytes: int, rounds: int) -> Costs:
    model, training = state_of(megabytes)
    steps = itertools.count(1)
    with tempfile.TemporaryDirectory(dir=".") as folder:
        ours = partial(save_checkpoint, Path(folder), steps, model, training)
        return in_turns(wall_of(ours), wall_of(partial(save_plain, Path(folder), steps, model, training)), rounds)


def state_of(megabytes: int) -> tuple[Tensors, dict[str, object]]:
    """An average, live weights and the state of Adam, together of this size."""
    model = nn.ParameterList(torch.randn(megabytes * 2**18 // 32) for _ in range(8))
    optimizer = torch.optim.AdamW(model.parameters())
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    average = {name: value.detach().clone() for name, value in model.state_dict().items()}
    return average, {"model": model.state_dict(), "optimizer": optimizer.state_dict()}


def save_checkpoint(run: Path, steps: Iterator[int], model: Tensors, training: dict[str, object]) -> None:
    tensors, tree = flatten_state(training)
    write_checkpoint(
        run / "checkpoints",
        next(steps),
        config={},
        model=model,
        training_tensors=tensors,
        training={"state": tree},
        pointers=("latest",),
    )


def save_plain(folder: Path, steps: Iterator[int], model: Tensors, training: dict[str, object]) -> None:
    tensors, _ = flatten_state(training)
    path = folder / f"plain-{next(steps)}.safetensors"
    save_file({**model, **tensors}, path)
    fsync_path(path)
    fsync_path(folder)


def start(name: str, rounds: int) -> Costs:
    return in_turns(cpu_of_command("-m", "genkit", *STARTS[name]), cpu_of_command("-c", "import torch"), rounds)


FILE, TORCH = "one synced safetensors file", "python -c 'import torch'"
BENCHES = [
    Bench("save-1", "a checkpoint of 1 MiB", FILE, "s", partial(save, 1), 25),
    Bench("save-30", "a checkpoint of 30 MiB", FILE, "s", partial(save, 30), 5),
    Bench("save-150", "a checkpoint of 150 MiB", FILE, "s", partial(save, 150), 5, full=True),
    *(
        Bench(f"start-{name}", f"genkit {' '.join(words)}", TORCH, "CPU s", partial(start, name), 3)
        for name, words in STARTS.items()
    ),
]
