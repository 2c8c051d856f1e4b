"""The place of this process among those of the same command, as the environment has it.

genkit's own launcher and torchrun set RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT; srun sets
SLURM_PROCID, SLURM_STEP_NUM_TASKS and others. Without them a process is alone. What a process says at its end to
genkit's own launcher, a result or a line of failure, goes into a folder that the launcher names.
"""

from __future__ import annotations

import json
import os
import re
import signal
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from genkit.errors import ConfigError
from genkit.printing import shown

REPORTS = "GENKIT_REPORTS"  # a folder where genkit's own launcher looks for what its processes report
LIFELINE = "GENKIT_LIFELINE"  # a descriptor that is at its end when the launcher is gone
FIRST_PORT, PORTS = 15_000, 20_000  # where the processes of a SLURM job meet


@dataclass(frozen=True)
class Launch:
    """The place of this process among those of its command.

    Attributes:
        rank: Its number, from 0.
        size: How many there are.
        local_rank: Its number on this machine, which is also that of its device.
        local_size: How many there are on this machine.
        node: Number of this machine.
        address, port: Where rank 0 is reached.
        by: Who started it: "torchrun" or "srun"; "" for a process that is alone.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    node: int = 0
    address: str = "127.0.0.1"
    port: int = 0
    by: str = ""


def launch_of(environ: Mapping[str, str]) -> Launch:
    """The place among the processes that torchrun or srun announced in an environment.

    A batch script of SLURM is one process, whatever its job was given: only a step of srun with several tasks counts.

    Raises:
        ConfigError: a variable is missing or no number.
    """
    get = _Numbers(environ)
    if get.number("WORLD_SIZE", 1) > 1:
        size, rank = get.number("WORLD_SIZE"), get.number("RANK")
        local = get.number("LOCAL_RANK", rank)
        local_size = get.number("LOCAL_WORLD_SIZE", size)
        node = get.number("GROUP_RANK", rank // local_size)
        address, port = environ.get("MASTER_ADDR", "127.0.0.1"), get.number("MASTER_PORT", 29500)
        return Launch(rank, size, local, local_size, node, address, port, "torchrun")
    if get.number("SLURM_STEP_NUM_TASKS", 1) > 1:
        size = get.number("SLURM_STEP_NUM_TASKS")
        nodes = get.number("SLURM_STEP_NUM_NODES", 1)
        listed = environ.get("SLURM_STEP_NODELIST") or environ.get("SLURM_JOB_NODELIST", "127.0.0.1")
        step = get.number("SLURM_JOB_ID", 0) * 16 + get.number("SLURM_STEP_ID", 0)
        return Launch(
            rank=get.number("SLURM_PROCID"),
            size=size,
            local_rank=get.number("SLURM_LOCALID", 0),
            local_size=size // nodes,
            node=get.number("SLURM_NODEID", 0),
            address=environ.get("MASTER_ADDR", first_host(listed)),
            port=get.number("MASTER_PORT", FIRST_PORT + step % PORTS),
            by="srun",
        )
    return Launch()


def first_host(nodes: str) -> str:
    """The first name of a list as SLURM writes it: "gpu07" of "gpu[07-09,12]"."""
    outside_brackets = re.compile(r"(?:\[[^\]]*\]|[^,\[])*")
    found = outside_brackets.match(nodes.strip())
    return re.sub(r"\[([^\],-]*)[^\]]*\]", r"\1", found.group() if found else nodes)


def this_launch() -> Launch:
    """The place of this process, as it was started."""
    return launch_of(os.environ)


def announced_rank() -> int:
    """The number of this process, 0 too where the environment cannot be read: something has to say so."""
    try:
        return this_launch().rank
    except ConfigError:
        return 0


def is_first() -> bool:
    """Tell whether this process owns folders and output."""
    return announced_rank() == 0


@dataclass(frozen=True)
class Report:
    """The last words of a process to genkit's launcher.

    Attributes:
        result: What the command returned, a JSON value.
        line: Why it failed, "" where it did not.
        follows: Whether it failed because another one did.
        again: The command that goes on where this one was cut off, "" for none.
    """

    result: Any = None
    line: str = ""
    follows: bool = False
    again: str = ""


def report(told: Report) -> bool:
    """Leave a report for genkit's launcher; returns whether there is one to read it. `again` is kept from before."""
    folder = os.environ.get(REPORTS)
    if folder is None or not os.path.isdir(folder):
        return False
    told = replace(told, again=told.again or read_report(Path(folder), announced_rank()).again)
    (Path(folder) / str(announced_rank())).write_text(json.dumps(asdict(told)), encoding="utf-8")
    return True


def read_report(folder: Path, rank: int) -> Report:
    """The report of a process; an empty one where it left none."""
    file = folder / str(rank)
    return Report(**json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else Report()


def watch_launcher() -> None:
    """End as by SIGTERM when genkit's launcher is gone."""
    if (descriptor := os.environ.get(LIFELINE)) is None:
        return

    def watch() -> None:
        with suppress(OSError):
            os.read(int(descriptor), 1)
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


class _Numbers:
    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ

    def number(self, name: str, default: int | None = None) -> int:
        text = self.environ.get(name)
        if text is None and default is not None:
            return default
        if text is None or not text.strip().isdigit():
            found = "is not set" if text is None else f"is {shown(repr(text), 40)}, no number"
            raise ConfigError(f"{name} {found}, and the environment announces several processes: start all by torchrun")
        return int(text)
