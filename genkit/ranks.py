"""Exchanges between the processes of one command.

One process per device runs the same command; `genkit.environment` knows which one this is. `joined` connects them by
`torch.distributed`, with gloo for what is said between CPUs and nccl for what lies on GPUs; the rest of this module are
the few words that they exchange. In a process that is alone every one of them costs nothing.

The first process, rank 0, owns folders, locks and output. What one process raises ends the others too: their next
exchange fails, and `joined` turns that into one line. An exchange that waits longer than `PATIENCE` fails as well.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from genkit.environment import Launch, this_launch, watch_launcher
from genkit.errors import ConfigError, RankError
from genkit.printing import shown

PATIENCE = timedelta(hours=2)  # the first process prepares data and draws pictures while the others wait
T = TypeVar("T")


@contextmanager
def joined() -> Iterator[None]:
    """Connect the processes of this command; with one alone, nothing happens.

    Raises:
        ConfigError: they cannot be found.
        RankError: another of them ended before its work was done.
    """
    launch = this_launch()
    if launch.size == 1 or dist.is_initialized():
        yield
        return
    watch_launcher()
    _connect(launch)
    try:
        yield
    except RuntimeError as error:
        if not _is_lost(error):
            raise
        raise RankError(f"another of the {launch.size} processes ended too early: its own output says why") from error
    finally:
        _disconnect()


def rank() -> int:
    """The number of this process."""
    return dist.get_rank() if _several() else 0


def world() -> int:
    """The number of processes that are connected."""
    return dist.get_world_size() if _several() else 1


def wait() -> None:
    """Wait until all processes are here."""
    if _several():
        dist.barrier()


@contextmanager
def in_turn() -> Iterator[None]:
    """Let the first process go before the others, which then find in the cache what it left there."""
    if rank():
        wait()
    try:
        yield
    finally:
        if not rank():
            wait()


def highest(*numbers: int) -> list[int]:
    """The largest of what the processes give, number by number."""
    if not _several():
        return list(numbers)
    values = torch.tensor(numbers, dtype=torch.int64)
    dist.all_reduce(values, dist.ReduceOp.MAX)
    found: list[int] = values.tolist()
    return found


def gathered(value: T) -> list[T]:
    """The values of all processes, in their order."""
    if not _several():
        return [value]
    values: list[T] = [value] * world()
    dist.all_gather_object(values, value)
    return values


def from_first(make: Callable[[], T]) -> T:
    """The value that the first process makes, known to all.

    Raises:
        RankError: in the others, where it failed in the first one, which raises what went wrong.
    """
    if not _several():
        return make()
    told: list[T | None] = [None]
    failed = True
    try:
        if rank() == 0:
            told = [make()]
        failed = False
    finally:
        answer = [failed, *told]
        dist.broadcast_object_list(answer, 0)
    if answer[0]:
        raise RankError("the first process failed: its own output says why")
    return answer[1]  # type: ignore[return-value]


def summed(x: Tensor) -> Tensor:
    """The sum of x over the processes, in its place."""
    if _several():
        dist.all_reduce(x)
    return x


def rows_of_all(x: Tensor) -> Tensor:
    """(W B, …) the rows x (B, …) of all processes, in their order; each has as many."""
    if not _several():
        return x
    parts = [torch.empty_like(x) for _ in range(world())]
    dist.all_gather(parts, x.contiguous())
    return torch.cat(parts)


def copy_from_first(tensors: Iterator[Tensor]) -> None:
    """Give all processes the first one's values, in place."""
    if _several():
        for x in tensors:
            dist.broadcast(x.detach(), 0)


@contextmanager
def alone() -> Iterator[None]:
    """Inside, this process does not speak with the others: what it does there is no part of theirs."""
    token = _alone.set(True)
    try:
        yield
    finally:
        _alone.reset(token)


_alone: ContextVar[bool] = ContextVar("alone", default=False)


def _several() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1 and not _alone.get()


def _connect(launch: Launch) -> None:
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    where = f"tcp://{launch.address}:{launch.port}"
    method = "env://" if "TORCHELASTIC_RUN_ID" in os.environ else where  # torchrun keeps a store of its own there
    try:
        dist.init_process_group(backend, method, PATIENCE, world_size=launch.size, rank=launch.rank)
    except (ValueError, RuntimeError) as error:
        line = str(error).splitlines()[0]
        raise ConfigError(
            f"{launch.size} processes were announced by {launch.by}, and at {shown(where)} they cannot be reached: "
            f"{line}: see that the port is free (MASTER_PORT=)"
        ) from error


def _disconnect() -> None:
    dist.destroy_process_group()


def _is_lost(error: RuntimeError) -> bool:
    """Tell whether an exchange failed because another process is gone; gloo has no type of error of its own."""
    kinds = (dist.DistBackendError, dist.DistNetworkError, dist.DistStoreError)
    return isinstance(error, kinds) or "gloo" in str(error) or "onnection closed by peer" in str(error)
