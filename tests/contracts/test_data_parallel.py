"""Two processes with B examples each against one with 2 B: the same weights, for models of every family.

In float64, so that what differs is a fault and not rounding: Adam divides a gradient by its own size, and what is
nothing but rounding of float32 would move a weight as far as a gradient does. Models whose loss compares the examples
of a batch are not among them: each process sees its own half alone.
"""

from __future__ import annotations

import multiprocessing
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from model_contract import Case
from torch import Tensor

from genkit.data.dataset import Dataset, SplitName
from genkit.data.loader import TrainLoader, ValLoader
from genkit.data.spec import Batch
from genkit.data.split import InMemory, Split
from genkit.environment import this_launch
from genkit.models.training_state import TrainingState
from genkit.ranks import joined
from genkit.training.ema import EMA
from genkit.training.lr_schedule import ConstantLR
from genkit.training.module import GenerativeModule
from genkit.training.options import TrainerOptions
from genkit.training.runner import make_trainer

CASES = [
    Case("vae", "digits"),
]
MORE = [
    Case("glow", "digits"),
    Case("diffusion", "digits"),
    Case("r3gan", "digits"),
    Case("autoencoder", "digits"),
    Case("vamp_prior_vae", "digits"),
    Case("vq_vae", "digits"),
    Case("realnvp", "toy"),
    Case("iddpm", "toy"),
    Case("wgan_gp", "toy"),
    Case("infogan", "toy"),
    Case("gpt", "digits"),
    Case("mdlm", "digits"),
    Case("lstm", "digits"),
    Case("pixel_cnn", "digits"),
    Case("made", "digits"),
    Case("pcd_ebm", "toy"),
    Case("jem", "digits", conditional=True),
    Case("dsm_ebm", "digits"),
]
B, STEPS, SEED = 8, 20, 5
FORK = multiprocessing.get_context("fork")
State = dict[str, Tensor]


class Patterns(Dataset):
    """64 examples of a case, batches of the size asked for."""

    eval_n = 8

    def __init__(self, case: Case, batch_size: int) -> None:
        self.spec, self.batch_size = case.spec, batch_size
        batch = case.batch(64)
        self.data = InMemory(self.spec.unscale(batch["x"].float()), batch.get("y"))

    def split(self, name: SplitName) -> Split:
        return self.data


class InDouble(TrainLoader):
    def batch(self, m: int) -> Batch:
        return {name: v.double() if v.is_floating_point() else v for name, v in super().batch(m).items()}


@contextmanager
def double() -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def trained(case: Case, batch_size: int) -> State:
    """The weights after steps of every phase, of two micro-batches each."""
    with double():
        model = case.build().double()
        steps = STEPS * len(model.phases)
        module = GenerativeModule(
            model,
            optimizer=lambda groups: torch.optim.AdamW(groups, lr=1e-3),
            lr_schedule=ConstantLR(),
            ema=EMA(0.5),
            seed=SEED,
            max_steps=steps,
            accumulate=2,
        )
        options = TrainerOptions(accelerator="cpu", max_steps=steps, accumulate=2, val_every_n_steps=1000, threads=1)
        trainer = make_trainer(options, model, logger=False)
        place = {"world_size": this_launch().size, "rank": this_launch().rank}
        data = Patterns(case, batch_size)
        train = InDouble(data, seed=SEED, **place)
        trainer.fit(module, train, ValLoader(data.data, case.spec, 8, **place))
        state = dict(module.state_dict())
        return state | (model.training_state() if isinstance(model, TrainingState) else {})


def one(case: Case, file: Path) -> None:
    torch.set_num_threads(1)
    torch.save(trained(case, 2 * B), file)


def half(case: Case, file: Path, rank: int, port: int) -> None:
    place = {"RANK": rank, "WORLD_SIZE": 2, "LOCAL_RANK": rank, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ |= {name: str(value) for name, value in place.items()}
    torch.set_num_threads(1)
    with joined():
        torch.save(trained(case, B), file)


def states(case: Case, folder: Path) -> list[State]:
    """The weights of one process and of each of two, from children: a process that has trained cannot be forked."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    files = [folder / f"{name}.pt" for name in ("one", "first", "second")]
    processes = [FORK.Process(target=one, args=(case, files[0]), daemon=True)]
    processes += [FORK.Process(target=half, args=(case, files[1 + rank], rank, port), daemon=True) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(300)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    return [torch.load(file) for file in files]


@pytest.mark.xdist_group("data parallel")
@pytest.mark.parametrize("case", [*CASES, *(pytest.param(case, marks=pytest.mark.slow) for case in MORE)], ids=str)
def test_two_halves_train_as_one_whole(case: Case, tmp_path: Path) -> None:
    whole, first, second = states(case, tmp_path)
    start = case.build().state_dict()
    moved = max(float((whole[f"model.{name}"] - value).abs().max()) for name, value in start.items() if value.numel())
    assert moved > 1e-4
    for name, value in whole.items():
        torch.testing.assert_close(first[name], value, rtol=1e-10, atol=1e-11, msg=name)
        assert torch.equal(first[name], second[name]), name
