"""One evaluation by several processes: each scores a contiguous share, and together they have the rows of one.

The processes are those of `torch.distributed`; without it there is one. Shares are contiguous and gathered in the order
of the processes, so that every metric finds its rows in the order in which one process would have collected them, and
what depends on that order (subsets, resamples) is the same too. Every process then holds all rows and computes all
values.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor
from torchmetrics.utilities.distributed import gather_all_tensors

from genkit.errors import ConfigError, GenkitError
from genkit.evaluation.metric_pass import MetricPass

Gathered = dict[tuple[int, ...], tuple[list[Tensor], list[Tensor]]]  # by the batches' identity: they, and all rows


@contextmanager
def together() -> Iterator[bool]:
    """Joins the processes that `torchrun` started, if it did; yields whether this is the first of them.

    Raises:
        ConfigError: $WORLD_SIZE announces processes that cannot be found.
        GenkitError: another of them ended before its share was done.
    """
    if os.environ.get("WORLD_SIZE", "1") == "1":
        yield True
        return
    try:
        dist.init_process_group("gloo")
    except (ValueError, RuntimeError) as error:
        line = str(error).splitlines()[0]
        raise ConfigError(f"WORLD_SIZE={os.environ['WORLD_SIZE']}: cannot reach the other processes: {line}") from error
    try:
        yield dist.get_rank() == 0
    except RuntimeError as error:
        if "gloo" not in str(error):  # what connects them has no type of error of its own
            raise
        raise GenkitError(
            f"another of the {dist.get_world_size()} processes ended too early: see its output, and restart all"
        ) from error
    finally:
        dist.destroy_process_group()


def rank_and_world() -> tuple[int, int]:
    """The number of this process and how many there are."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


@contextmanager
def in_turn() -> Iterator[None]:
    """Let the first process go before the others, which then find in the cache what it left there."""
    rank, world = rank_and_world()
    if world > 1 and rank:
        dist.barrier()
    try:
        yield
    finally:
        if world > 1 and not rank:
            dist.barrier()


def share(n: int) -> range:
    """Indices of this process's share of n examples. Raises ConfigError where some process would have none."""
    rank, world = rank_and_world()
    if 0 < n < world:
        raise ConfigError(f"{n:,} examples cannot be shared by {world} processes: start fewer, or raise n=")
    return range(n * rank // world, n * (rank + 1) // world)


def gather(passes: Iterable[MetricPass]) -> None:
    """Gives every process the rows of all; batches that several metrics were given stay one tensor."""
    _, world = rank_and_world()
    if world == 1:
        return
    once: Gathered = {}
    for metric_pass in passes:
        _agree(metric_pass, world)
        if metric_pass.stopped is None:
            _gather_states(metric_pass, once)


def _agree(metric_pass: MetricPass, world: int) -> None:
    """A metric that stopped in one process has stopped."""
    reasons: list[str | None] = [None] * world
    dist.all_gather_object(reasons, metric_pass.stopped)
    metric_pass.stopped = next((reason for reason in reasons if reason is not None), None)


def _gather_states(metric_pass: MetricPass, once: Gathered) -> None:
    metric = metric_pass.metric
    for name, reduction in metric._reductions.items():
        state = getattr(metric, name)
        if isinstance(state, Tensor):
            if callable(reduction):
                setattr(metric, name, reduction(torch.stack(gather_all_tensors(state))))
        elif state:
            key = tuple(map(id, state))
            if key not in once:  # the batches stay alive beside what was gathered, so that no id is used again
                once[key] = state, [torch.cat(gather_all_tensors(torch.cat(state)))]
            setattr(metric, name, list(once[key][1]))
