"""Two processes with B examples each against one with 2 B: the same weights, for models of every family.

In float64, so that what differs is a fault and not rounding; by plain gradient descent, since Adam divides a gradient
that is nothing but rounding by its own size. Models whose loss compares the examples of a batch are not among them:
each process sees its own half alone.
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
from genkit.ranks import joined
from genkit.training.ema import EMA
from genkit.training.lr_schedule import ConstantLR
from genkit.training.module import GenerativeModule
from genkit.training.options import TrainerOptions
from genkit.training.runner import make_trainer

CASES = [
    Case(model, data)
    for model, data in [
        ("autoencoder", "digits"),
        ("vae", "digits"),
        ("vamp_prior_vae", "digits"),
        ("vq_vae", "digits"),
        ("glow", "digits"),
        ("realnvp", "toy"),
        ("diffusion", "digits"),
        ("iddpm", "toy"),
        ("r3gan", "digits"),
        ("wgan_gp", "toy"),
        ("infogan", "toy"),
        ("gpt", "digits"),
    ]
]
B, STEPS, SEED = 8, 3, 5
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
    """The weights after a few steps of every phase, of two micro-batches each."""
    with double():
        model = case.build().double()
        steps = STEPS * len(model.phases)
        module = GenerativeModule(
            model,
            optimizer=lambda groups: torch.optim.SGD(groups, lr=1e-3),
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
        return dict(module.state_dict())


def half(rank: int, port: int, folder: Path) -> None:
    place = {"RANK": rank, "WORLD_SIZE": 2, "LOCAL_RANK": rank, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ |= {name: str(value) for name, value in place.items()}
    torch.set_num_threads(1)
    with joined():
        for case in CASES:
            state = trained(case, B)
            torch.save(state, folder / f"{case}-{rank}.pt")


@pytest.fixture(scope="module")
def halves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights of all cases from two processes."""
    folder = tmp_path_factory.mktemp("halves")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = [FORK.Process(target=half, args=(rank, port, folder)) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    return folder


@pytest.mark.xdist_group("data parallel")
@pytest.mark.parametrize("case", CASES, ids=str)
def test_two_halves_train_as_one_whole(case: Case, halves: Path) -> None:
    one = trained(case, 2 * B)
    two = [torch.load(halves / f"{case}-{rank}.pt") for rank in range(2)]
    start = case.build().state_dict()
    moved = max(float((one[f"model.{name}"] - value).abs().max()) for name, value in start.items() if value.numel())
    assert moved > 1e-4
    for name, value in one.items():
        torch.testing.assert_close(two[0][name], value, rtol=1e-10, atol=1e-13, msg=name)
        assert torch.equal(two[0][name], two[1][name]), name
