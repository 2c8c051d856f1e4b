"""Signals while training: a checkpoint of the last finished step, the shell's exit code, and the way to go on."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from command_cases import Child, Done, arguments, digest, done, genkit, lines, run_json

from genkit.checkpoint.read import open_checkpoint
from genkit.checkpoint.retention import pointed
from genkit.models.vae.vae import VAE
from genkit.signals import ENDING

PLAN = (
    "trainer.max_steps=12",
    "checkpoint.every_n_steps=4",
    "trainer.val_every_n_steps=5",
    "checkpoint.monitor=null",
    "samples.every_n_steps=50",
)


# What `sbatch --ntasks=4` leaves to a job that is not started by `srun`: Lightning would refuse it, or requeue the job.
SLURM = {
    "SLURM_JOB_ID": "4711",
    "SLURM_JOB_NAME": "train",
    "SLURM_NTASKS": "4",
    "SLURM_PROCID": "0",
    "SLURM_LOCALID": "0",
    "SLURM_NODELIST": "node1",
}


def stopped(work: Path, *numbers: int, more: tuple[str, ...] = (), step: int = 7, **surroundings: Any) -> Done:
    """A run that gets signals in the middle of a step."""
    command = arguments("vae", *PLAN, *more, "run_dir=run")
    return Child(command, work, work / "log", {step - 1: list(numbers)}, **surroundings).wait()


@pytest.mark.parametrize(
    ("name", "environment"),
    [
        ("SIGINT", {}),
        ("SIGUSR1", SLURM),
        *(pytest.param(name, {}, marks=pytest.mark.slow) for name in ("SIGTERM", "SIGHUP", "SIGXCPU")),
    ],
    ids=lambda value: value if isinstance(value, str) else "slurm" if value else "alone",
)
def test_a_signal_saves_the_step_and_ends_with_its_code(work: Path, name: str, environment: dict[str, str]) -> None:
    """A second one that follows at once, as from a closing shell or at the limit of CPU time, changes nothing."""
    number = signal.Signals[name]
    numbers = [number] if name == "SIGINT" else [number, number]
    answer = stopped(work, *numbers, more=("trainer.accumulate=2",), environment=environment)
    code = 128 + number
    assert answer.code == code, answer.said
    line = f"genkit: stopped by {name} at step 7; to continue: genkit train resume={work / 'run'}"
    assert answer.said.splitlines()[-1] == line
    assert "Traceback" not in answer.said
    assert "requeue" not in answer.said
    run = work / "run"
    expected = {"status": "interrupted", "exit_code": code, "signal": name, "step": 7}
    assert run_json(run).items() >= expected.items()
    assert pointed(run, "latest") == "step-00000007"
    assert open_checkpoint(run / "checkpoints" / "step-00000007").step == 7
    assert (run / ".lock").stat().st_size == 0


def test_a_signal_that_was_ignored_stays_so(work: Path) -> None:
    """As SIGHUP under `nohup`; but not those of the keyboard, which a shell has its background jobs ignore."""
    answer = stopped(work, signal.SIGHUP, ignored=[signal.SIGHUP])
    assert answer.code == 0, answer.said
    assert run_json(work / "run").items() >= {"status": "done", "signal": None, "step": 12}.items()


def test_a_training_outside_the_main_thread_installs_no_handlers(work: Path) -> None:
    before = [signal.getsignal(number) for number in ENDING]
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(genkit, *arguments("vae", "trainer.max_steps=2", "run_dir=run")).result()
    assert answer.code == 0, answer.err
    assert [signal.getsignal(number) for number in ENDING] == before


@pytest.mark.parametrize("step", [pytest.param(7, marks=pytest.mark.slow), 10])
def test_a_stopped_run_goes_on_exactly(work: Path, step: int) -> None:
    """Also where it would have validated at that very step; and it is not validated where it would not have been."""
    accumulate = ("trainer.accumulate=2",)
    stopped(work, signal.SIGTERM, more=accumulate, step=step)
    assert f"resuming at step {step} (exact)" in done("train", "resume=run")
    done(*arguments("vae", *PLAN, *accumulate, "run_dir=straight"))
    last = "checkpoints/step-00000012"
    stopped_at, straight = digest(work / "run" / last), digest(work / "straight" / last)
    assert all(stopped_at[name] == straight[name] for name in ("model.safetensors", "training.safetensors"))
    assert lines(work / "run") == lines(work / "straight")
    assert [line["step"] for line in lines(work / "run")] == [5, 10, 10, 12, 12]  # the last: the final samples
    assert run_json(work / "run")["status"] == "done"


@pytest.mark.parametrize("count", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_a_second_sigint_does_not_wait_for_the_checkpoint(work: Path, count: int) -> None:
    answer = stopped(work, *[signal.SIGINT] * count)
    assert answer.code == 130, answer.said
    assert "Traceback" not in answer.said
    run = work / "run"
    assert run_json(run).items() >= {"status": "interrupted", "exit_code": 130, "step": 4}.items()
    assert pointed(run, "latest") == "step-00000004"
    assert "resuming at step 4 (exact)" in done("train", "resume=run")


def test_a_run_folder_that_vanishes_is_not_made_again(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Moved away or deleted between two steps: the run ends with the path, what was moved is as it was."""
    losses = VAE.losses

    def moving(self: VAE, *args: Any) -> Any:
        if self.training and self.step == 6:
            (work / "run").rename(work / "moved")
        return losses(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(VAE, "losses", moving)
        answer = genkit(*arguments("vae", *PLAN, "run_dir=run"))
    assert answer.code == 6
    assert answer.err.startswith(f"genkit: error: {work / 'run'}")
    assert answer.err.count("\n") == 1
    assert [path.name for path in work.iterdir()] == ["moved"]
    assert open_checkpoint(work / "moved" / "checkpoints" / "step-00000004").step == 4


@pytest.mark.parametrize("code", [errno.EROFS, errno.ENOSPC])
def test_a_disk_that_refuses_from_some_step_on(work: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """A code and the path, the checkpoint before as it was; with room again the run ends as an undisturbed one."""
    rename = os.rename

    def refusing(source: Path, target: Path) -> None:
        if Path(target).name == "step-00000008":
            raise OSError(code, os.strerror(code))
        rename(source, target)

    command = arguments("vae", *PLAN)
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", refusing)
        answer = genkit(*command, "run_dir=run")
    assert answer.code == 6
    assert "step-00000008: cannot write" in answer.err
    assert answer.err.count("\n") == 1
    assert (run_json(work / "run")["status"], pointed(work / "run", "latest")) == ("failed", "step-00000004")
    assert "resuming at step 4 (exact)" in done("train", "resume=run")
    done(*command, "run_dir=straight")
    assert digest(work / "run" / "checkpoints") == digest(work / "straight" / "checkpoints")


def test_a_signal_ends_a_sweep_too(work: Path) -> None:
    answer = Child(
        ["train", "-m", "seed=1,2", "hydra/launcher=basic", *arguments("vae", *PLAN, "run_dir=runs")[1:]],
        work,
        work / "log",
        {6: [signal.SIGTERM]},
    ).wait()
    assert answer.code == 143, answer.said
    assert [path.name for path in (work / "runs").iterdir() if path.is_dir()] == ["0-seed=1"]


@pytest.mark.slow
def test_a_reader_that_leaves_does_not_end_the_training(work: Path) -> None:
    """As in `genkit train … | head -1`."""
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "genkit", *arguments("vae", *PLAN, "run_dir=run")]
    ended = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, timeout=120)
    os.close(write)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert (run_json(work / "run")["status"], pointed(work / "run", "latest")) == ("done", "step-00000012")
