"""One evaluation by several processes: each scores a contiguous share, and together they have the rows of one.

The processes are those of `genkit.ranks`. Shares are contiguous and gathered in the order
of the processes, so that every metric finds its rows in the order in which one process would have collected them, and
what depends on that order (subsets, resamples) is the same too. Every process then holds all rows and computes all
values.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torchmetrics.utilities.distributed import gather_all_tensors

from genkit.errors import ConfigError
from genkit.evaluation.metric_pass import MetricPass
from genkit.ranks import gathered, rank, world

Gathered = dict[tuple[int, ...], tuple[list[Tensor], list[Tensor]]]  # by the batches' identity: they, and all rows


def share(n: int) -> range:
    """Indices of this process's share of n examples. Raises ConfigError where some process would have none."""
    number, size = rank(), world()
    if 0 < n < size:
        raise ConfigError(f"{n:,} examples cannot be shared by {size} processes: start fewer, or raise n=")
    return range(n * number // size, n * (number + 1) // size)


def gather(passes: Iterable[MetricPass]) -> None:
    """Gives every process the rows of all; batches that several metrics were given stay one tensor."""
    if world() == 1:
        return
    once: Gathered = {}
    for metric_pass in passes:
        metric_pass.stopped = next((reason for reason in gathered(metric_pass.stopped) if reason is not None), None)
        if metric_pass.stopped is None:
            _gather_states(metric_pass, once)


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
