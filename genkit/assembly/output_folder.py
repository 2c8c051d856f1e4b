"""The folder of a command's results, and its entry in the sweep."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

from genkit.config.hydra.launch import current_job
from genkit.config.hydra.sweep import current_sweep, job_name, label_of_values, swept_values
from genkit.storage.exclusive import NEW_OUT, make_new, make_stamped, refuse_in_use

LONGEST_LABEL = 40  # letters


def check_out(out: str | None) -> None:
    """Raises ConfigError, before any work, where out= is in use."""
    if out is not None:
        refuse_in_use(_out(out), NEW_OUT)


def make_out(out: str | None, verb: str, label: str, fill: Callable[[Path], None]) -> Path:
    """The folder out=, a numbered one below it for a job of a sweep, or outputs/<verb>/<stamp>-<label>, filled."""
    job, values = current_job(), _swept()
    if out is not None:
        folder = make_new(_out(out), fill, NEW_OUT)
    else:
        label = re.sub("[^A-Za-z0-9._-]+", "_", label)[:LONGEST_LABEL]  # a checkpoint's words
        name = job_name(time.strftime("%Y%m%d-%H%M%S"), f"{label}-{values}" if values else label)
        folder = make_stamped(Path("outputs", verb, name), fill)
    if job.multirun:
        current_sweep().job(job.number, job.overrides).folder = folder
    return folder


def _out(out: str) -> Path:
    job = current_job()
    return Path(out, job_name(job.number, _swept())) if job.multirun else Path(out)


def _swept() -> str:
    """The swept values of the running job, "" without a sweep."""
    return label_of_values(swept_values(current_job().overrides, current_sweep().keys))
