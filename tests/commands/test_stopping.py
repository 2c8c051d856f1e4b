"""Signals while training: a checkpoint of the last finished step, the shell's exit code, and the way to go on."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command_cases import Child, Done, arguments, digest, done, genkit, lines, run_json

from genkit.checkpoint.read import open_checkpoint
from genkit.checkpoint.retention import pointed
from genkit.models.vae import VAE

PLAN = (
    "trainer.max_steps=12",
    "checkpoint.every_n_steps=4",
    "trainer.val_every_n_steps=5",
    "checkpoint.monitor=null",
    "samples.every_n_steps=50",
)


def stopped(work: Path, *numbers: int, more: tuple[str, ...] = (), step: int = 7) -> Done:
    """A run that gets signals in the middle of a step."""
    command = arguments("vae", *PLAN, *more, "run_dir=run")
    return Child(command, work, work / "log", {step - 1: list(numbers)}).wait()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_the_step_and_ends_with_its_code(work: Path, number: int, code: int) -> None:
    answer = stopped(work, number, more=("trainer.accumulate=2",))
    assert answer.code == code
    assert answer.said.splitlines()[-1].startswith("genkit: stopped by a signal; to continue: genkit train resume=")
    assert "Traceback" not in answer.said
    run = work / "run"
    assert (run_json(run)["status"], run_json(run)["exit_code"]) == ("interrupted", code)
    assert pointed(run, "latest") == "step-00000007"
    assert open_checkpoint(run / "checkpoints" / "step-00000007").step == 7
    assert (run / ".lock").stat().st_size == 0


@pytest.mark.parametrize("step", [7, 10])
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
    assert [line["step"] for line in lines(work / "run")] == [5, 10, 10, 12]  # the last: the final samples
    assert run_json(work / "run")["status"] == "done"


@pytest.mark.parametrize("count", [2, 3])
def test_a_second_sigint_does_not_wait_for_the_checkpoint(work: Path, count: int) -> None:
    answer = stopped(work, *[signal.SIGINT] * count)
    assert answer.code == 130, answer.said
    assert "Traceback" not in answer.said
    run = work / "run"
    assert (run_json(run)["status"], run_json(run)["exit_code"]) == ("interrupted", 130)
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
        ["train", "-m", "seed=1,2", *arguments("vae", *PLAN, "run_dir=runs")[1:]],
        work,
        work / "log",
        {6: [signal.SIGTERM]},
    ).wait()
    assert answer.code == 143, answer.said
    assert [path.name for path in (work / "runs").iterdir()] == ["0-vae-digits"]


def test_a_reader_that_leaves_does_not_end_the_training(work: Path) -> None:
    """As in `genkit train … | head -1`."""
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "genkit", *arguments("vae", *PLAN, "run_dir=run")]
    ended = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, timeout=120)
    os.close(write)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert (run_json(work / "run")["status"], pointed(work / "run", "latest")) == ("done", "step-00000012")
