"""The place of a process, read from the variables of torchrun and of srun."""

from __future__ import annotations

import pytest

from genkit.environment import FIRST_PORT, Launch, first_host, launch_of
from genkit.errors import ConfigError

TORCHRUN = {
    "RANK": "5",
    "WORLD_SIZE": "6",
    "LOCAL_RANK": "2",
    "LOCAL_WORLD_SIZE": "3",
    "GROUP_RANK": "1",
    "MASTER_ADDR": "node0",
    "MASTER_PORT": "1234",
}
SRUN = {
    "SLURM_JOB_ID": "77",
    "SLURM_STEP_ID": "2",
    "SLURM_NTASKS": "4",
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_STEP_NUM_NODES": "2",
    "SLURM_PROCID": "3",
    "SLURM_LOCALID": "1",
    "SLURM_NODEID": "1",
    "SLURM_STEP_NODELIST": "gpu[07-09,12]",
}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, Launch()),
        ({"WORLD_SIZE": "1", "RANK": "0"}, Launch()),
        (TORCHRUN, Launch(5, 6, 2, 3, 1, "node0", 1234, "torchrun")),
        ({"WORLD_SIZE": "2", "RANK": "1"}, Launch(1, 2, 1, 2, 0, "127.0.0.1", 29500, "torchrun")),
        (SRUN, Launch(3, 4, 1, 2, 1, "gpu07", FIRST_PORT + 77 * 16 + 2, "srun")),
        (SRUN | {"MASTER_ADDR": "here", "MASTER_PORT": "9"}, Launch(3, 4, 1, 2, 1, "here", 9, "srun")),
        ({"SLURM_JOB_ID": "77", "SLURM_NTASKS": "4", "SLURM_PROCID": "0"}, Launch()),  # a batch script, before srun
        (SRUN | {"SLURM_STEP_NUM_TASKS": "1"}, Launch()),
    ],
)
def test_place(environ: dict[str, str], expected: Launch) -> None:
    assert launch_of(environ) == expected


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("gpu[07-09,12]", "gpu07"),
        ("a,b", "a"),
        ("rack1-n[3,5]", "rack1-n3"),
        ("n[10-12]-ib,m1", "n10-ib"),
        ("one", "one"),
    ],
)
def test_first_host(nodes: str, first: str) -> None:
    assert first_host(nodes) == first


@pytest.mark.parametrize(
    "environ",
    [{"WORLD_SIZE": "two"}, {"WORLD_SIZE": "2"}, {"WORLD_SIZE": "2", "RANK": "-1"}, SRUN | {"SLURM_PROCID": ""}],
)
def test_a_variable_that_is_no_number_is_one_line(environ: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"WORLD_SIZE|RANK|SLURM_PROCID"):
        launch_of(environ)
