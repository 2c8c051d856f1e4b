"""A small checkpoint, and processes that can be killed, for the tests of this folder."""

import multiprocessing
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from genkit.checkpoint.retention import Pointer
from genkit.checkpoint.write import write_checkpoint

FORK = multiprocessing.get_context("fork")  # a fork starts in milliseconds, a new interpreter with torch in seconds


def save(run: Path, step: int, shift: float = 0.0, pointers: Sequence[Pointer] = ()) -> Path:
    """A complete checkpoint of `run` with some tensors and some state in it."""
    weights = {"a.weight": torch.arange(600.0).reshape(20, 30) + shift, "a.bias": torch.ones(20)}
    state = {"state/0/step": torch.tensor(float(step)), "state/0/exp_avg": torch.zeros(20, 30)}
    config = {"model": {"_target_": "genkit.models.vae.vae.VAE", "latent_dim": 4}, "spec": {"shape": [1, 8, 8]}}
    training = {"step": step, "seed": 0, "optimizer": {"dict": [["lr", 1e-3]]}}
    return write_checkpoint(
        run / "checkpoints",
        step,
        config=config,
        model=weights,
        training_tensors=state,
        training=training,
        pointers=pointers,
    )


def leftovers(folder: Path) -> list[Path]:
    return sorted(folder.rglob(".*.tmp"))


def in_child(function: Callable[..., object], *arguments: object) -> "multiprocessing.process.BaseProcess":
    """Starts `function` in another process."""
    child = FORK.Process(target=function, args=arguments, daemon=True)
    child.start()
    return child
