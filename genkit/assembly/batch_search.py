"""`data.batch_size=auto`: the most examples of a training step that fit into memory, found by a few steps.

Memory of a step grows evenly with its examples, since what grows is the activations. Batches of four times as many
examples each are trained on until that growth is clear, or all of the training split is one batch; the straight line
then says how many fit. On a GPU, where too many are an error and not the end of the process, the answer is tried.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from genkit.assembly import memory_limit
from genkit.assembly.recorded_plan import with_decided
from genkit.assembly.run import Parts, checkpoint_config
from genkit.assembly.temporary_run import fit_quietly
from genkit.assembly.trial import NEVER
from genkit.config.automatic_batch import AUTO, BATCH_SIZE
from genkit.config.dotted_keys import lookup
from genkit.config.memory import memory_errors, shown_bytes
from genkit.config.settings import RunSettings
from genkit.environment import this_launch
from genkit.errors import OutOfMemory
from genkit.ranks import highest, world
from genkit.training.pace import Pace
from genkit.training.runner import TrainingRun, make_trainer

FIRST, FACTOR = 2, 4  # examples of the first try, and how many times as many the next one has
SHARE = {"cuda": 0.9, "cpu": 0.8}  # of the memory that is free, which a step may take
CLEAR = 2**25  # bytes of growth that are no noise
ROUND = 8  # examples


def is_automatic(settings: RunSettings) -> bool:
    """Tell whether the batch size is to be found."""
    return bool(lookup(settings.config, BATCH_SIZE) == AUTO)


def provisional(settings: RunSettings) -> RunSettings:
    """The settings with a small batch in place of `auto`."""
    data = {**settings.data, "batch_size": FIRST}
    return settings.replaced(data=data)


def fitted(parts: Parts, settings: RunSettings) -> tuple[RunSettings, str]:
    """The settings with the batch size that was found, which the dataset is given too; and a line for the user.

    Args:
        parts: Built from `provisional` settings; the model stays as it is.
        settings: With `auto`.

    Raises:
        OutOfMemory: not even one example fits.
    """
    device = make_trainer(parts.trainer, logger=False).strategy.root_device
    most = max(1, len(parts.dataset.view_source) // world())
    limit = _limit(device)
    try:
        size, peak = largest(lambda n: _peak(parts, settings, device, n), most, limit, device.type == "cuda")
    finally:
        memory_limit.lower_peak(device)
    parts.dataset.batch_size = size
    whole = " (the whole training split)" if size == most else ""
    room = "" if limit is None else f" of {shown_bytes(limit)} that it may take"
    line = f"{BATCH_SIZE}=auto: {size:,} examples{whole}: {shown_bytes(peak)}{room}"
    return RunSettings.of(with_decided(settings.config, {BATCH_SIZE: size})), line


def largest(peak_of: Callable[[int], int], most: int, limit: int | None, tries: bool) -> tuple[int, int]:
    """The largest batch whose memory is within the limit, and its memory in bytes, measured or expected.

    Args:
        peak_of: Bytes of a training with so many examples; raises OutOfMemory.
        most: The largest batch of all.
        limit: Bytes; None for no limit but that of `most`.
        tries: Whether the answer is tried out.

    Raises:
        OutOfMemory: not even one example fits.
    """
    n = min(FIRST, most)
    found: list[tuple[int, int]] = []
    while True:
        try:
            found.append((n, peak_of(n)))
        except OutOfMemory:
            if not found and n == 1:
                raise
            most, n = n - 1, (n + found[-1][0]) // 2 if found else 1
            if found and n == found[-1][0]:
                break
            continue
        grows = found[-1][1] - found[0][1] >= CLEAR
        if n == most or (limit is None and grows) or (limit is not None and (grows or found[-1][1] >= limit)):
            break
        n = min(FACTOR * n, most)
    size, peak = _on_the_line(found, most, limit)
    while tries and size > found[-1][0]:
        try:
            return size, peak_of(size)
        except OutOfMemory:
            size = max(found[-1][0], _rounded(int(0.9 * size)))
    return (size, peak) if size > found[-1][0] else _last_within(found, limit)


def _on_the_line(found: list[tuple[int, int]], most: int, limit: int | None) -> tuple[int, int]:
    """The batch at which the straight line through the first and the last measurement reaches the limit."""
    (low, first), (high, last) = found[0], found[-1]
    slope = max(0.0, (last - first) / (high - low)) if high > low else 0.0
    if limit is None or slope == 0.0:
        return (high, last) if limit is None or last < limit else (low, first)
    fits = min(most, int(high + (limit - last) / slope))
    size = fits if fits == most else _rounded(fits)
    return size, round(last + slope * (size - high))


def _last_within(found: list[tuple[int, int]], limit: int | None) -> tuple[int, int]:
    within = [each for each in found if limit is None or each[1] <= limit]
    return within[-1] if within else found[0]


def _rounded(size: int) -> int:
    return size if size < 2 * ROUND else size // ROUND * ROUND


def _limit(device: torch.device) -> int | None:
    """Bytes that the process may hold, the least of all processes; None where nobody knows."""
    free = memory_limit.free(device)
    share = SHARE.get(device.type, SHARE["cpu"]) / (1 if device.type == "cuda" else this_launch().local_size)
    own = -1 if free is None else memory_limit.held(device) + int(share * free)
    return None if highest(-own)[0] == 1 else -highest(-own)[0]


def _peak(parts: Parts, settings: RunSettings, device: torch.device, n: int) -> int:
    """The most bytes of any process in two rounds of all phases with n examples in a micro-batch; see `largest`."""
    parts.dataset.batch_size = n
    module = copy.deepcopy(parts.module)
    module.pace = Pace(NEVER)
    memory_limit.lower_peak(device)
    with tempfile.TemporaryDirectory(prefix="genkit-trial-") as scratch, memory_errors("a smaller batch"):
        trial = TrainingRun(
            name="trial",
            folder=Path(scratch),
            dataset=parts.dataset,
            module=module,
            trainer=replace(parts.trainer, val_every_n_steps=NEVER, max_steps=NEVER),
            checkpoint=replace(parts.checkpoint, monitor=None, every_n_steps=NEVER),
            samples=replace(parts.samples, every_n_steps=0),
            loggers=[],
            config=checkpoint_config(provisional(settings), parts.dataset),
            callbacks=[],
            quick=None,
        )
        fit_quietly(trial, 2 * len(module.model.phases))
    peak = highest(memory_limit.peak(device))[0]
    del trial, module
    memory_limit.free(device)  # gives back what the copy took
    return peak
