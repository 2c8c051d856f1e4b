"""Signals wherever a command may be: the shell's exit code, and nothing half-written."""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from command_cases import SERVER, _entry, arguments, done, lines, run_json

from genkit.checkpoint.retention import pointed
from genkit.models.vae.vae import VAE

PLAN = ("trainer.max_steps=6", "checkpoint.every_n_steps=2", "trainer.val_every_n_steps=3", "checkpoint.monitor=null")


def patched(place: str, call: int, numbers: Sequence[int], wait: float, argv: list[str], cwd: Path, log: Path) -> None:
    """`genkit argv` in a process that sends itself signals at the `call`-th call of module:Class.method."""
    module, _, path = place.partition(":")
    owner_name, _, name = path.partition(".")
    owner = getattr(importlib.import_module(module), owner_name)
    original, calls = getattr(owner, name), []

    @functools.wraps(original)
    def function(*args: Any, **kwargs: Any) -> Any:
        calls.append(None)
        if len(calls) == call:
            for number in numbers:
                os.kill(os.getpid(), number)
        if len(calls) >= call:
            time.sleep(wait)
        return original(*args, **kwargs)

    setattr(owner, name, function)
    if wait:
        signals = importlib.import_module("genkit.training.signals")
        signals.GRACE = wait / 2
    _entry(argv, cwd, log, {})


def code_of(
    work: Path, place: str, call: int, number: int, argv: list[str], wait: float = 0.0, again: Sequence[int] = ()
) -> tuple[int, str]:
    log = work.parent / "log"
    child = SERVER.Process(target=patched, args=(place, call, [number, *again], wait, argv, work, log))
    child.start()
    child.join(60)
    return child.exitcode or 0, log.read_text()


MOMENTS = {
    "the data is read": ("genkit.data.sources.digits:Digits.__init__", 1, "train", ("SIGTERM", "SIGQUIT")),
    "the model is built": ("genkit.models.vae.vae:VAE.__init__", 1, "train", ("SIGINT", "SIGHUP")),
    "samples are drawn": ("genkit.models.vae.vae:VAE.sample", 2, "sample", ("SIGTERM", "SIGINT")),
    "samples are written": ("genkit.data.spec:DataSpec.unscale", 2, "sample", ("SIGUSR2", "SIGHUP")),
    "samples are scored": ("genkit.models.vae.vae:VAE.sample", 2, "eval", ("SIGTERM", "SIGXCPU")),
    "features are computed": (
        "genkit.features.classifier:ClassifierFeatures.__call__",
        1,
        "eval",
        ("SIGINT", "SIGUSR1"),
    ),
}
CASES = [  # the second signal of a moment in the slow tests
    pytest.param(moment, name, marks=pytest.mark.slow if i else ())
    for moment, (*_, names) in MOMENTS.items()
    for i, name in enumerate(names)
]


@pytest.mark.parametrize(("moment", "name"), CASES)
def test_nothing_is_left_of_a_command_that_was_stopped(vae: Path, work: Path, moment: str, name: str) -> None:
    place, call, verb, _ = MOMENTS[moment]
    argv = {
        "train": arguments("vae", *PLAN, "run_dir=run"),
        "sample": ["sample", f"ckpt={vae}", "n=40", "batch_size=10", "out=out"],
        "eval": ["eval", f"ckpt={vae}", "n=100", "batch_size=10", "out=out", "metric=fid", "baselines=false"],
    }[verb]
    number = signal.Signals[name]
    found, said = code_of(work, place, call, number, argv, again=[number] if name == "SIGTERM" else ())
    assert found == 128 + number, said
    assert "Traceback" not in said
    assert not any(work.iterdir())


def swallowing(number: int, argv: list[str], cwd: Path, log: Path) -> None:
    """`genkit argv` in a process that gets a signal where its exception is lost, as in C code now and then."""
    original = VAE.__init__

    @functools.wraps(original)
    def built(self: VAE, *args: Any, **kwargs: Any) -> None:
        with contextlib.suppress(BaseException):
            os.kill(os.getpid(), number)
            time.sleep(1)
        original(self, *args, **kwargs)

    VAE.__init__ = built  # type: ignore[method-assign]
    _entry(argv, cwd, log, {})


@pytest.mark.parametrize("name", ["SIGINT", "SIGUSR1"])
def test_a_signal_whose_exception_is_lost_stops_the_training_all_the_same(work: Path, name: str) -> None:
    number, log = signal.Signals[name], work.parent / "log"
    child = SERVER.Process(target=swallowing, args=(number, arguments("vae", *PLAN, "run_dir=run"), work, log))
    child.start()
    child.join(60)
    assert child.exitcode == 128 + number, log.read_text()
    assert run_json(work / "run").items() >= {"status": "interrupted", "signal": name, "step": 0}.items()


def test_a_second_signal_while_a_checkpoint_is_written(work: Path) -> None:
    """The one before stands, nothing is half-written."""
    place = "genkit.checkpoint.manifest:Manifest.render"
    argv = arguments("vae", *PLAN, "run_dir=run")
    code, said = code_of(work, place, 2, signal.SIGTERM, argv, again=[signal.SIGINT])
    assert code == 143, said
    assert "Traceback" not in said
    run = work / "run"
    assert [folder.name for folder in (run / "checkpoints").iterdir()] == ["step-00000002"]
    assert run_json(run).items() >= {"status": "interrupted", "signal": "SIGTERM", "step": 2}.items()
    assert "resuming at step 2 (exact)" in done("train", "resume=run")


def test_a_signal_before_the_first_step_leaves_a_run_that_tells_of_it(work: Path) -> None:
    place = "genkit.checkpoint.run_folder:RunFolder.create"
    code, said = code_of(work, place, 1, signal.SIGHUP, arguments("vae", *PLAN, "run_dir=run"))
    assert code == 129, said
    assert run_json(work / "run").items() >= {"status": "interrupted", "signal": "SIGHUP", "step": 0}.items()
    assert "starting at step 0" in done("train", "resume=run")


def test_a_validation_is_finished_and_the_step_after_it_kept(work: Path) -> None:
    place = "genkit.training.module:GenerativeModule.validation_step"
    code, said = code_of(work, place, 1, signal.SIGTERM, arguments("vae", *PLAN, "run_dir=run"))
    assert code == 143, said
    assert pointed(work / "run", "latest") == "step-00000004"
    assert 3 in [line["step"] for line in lines(work / "run")]
    assert "resuming at step 4 (exact)" in done("train", "resume=run")


def test_a_validation_that_takes_too_long_is_not(work: Path) -> None:
    place = "genkit.training.module:GenerativeModule.validation_step"
    options = (*PLAN, "data=toy", "data.n_train=8100", "data.eval_n=300")  # several batches of validation
    code, said = code_of(work, place, 1, signal.SIGTERM, arguments("vae", *options, "run_dir=run"), wait=0.4)
    assert code == 143, said
    assert said.splitlines()[-1].startswith("genkit: stopped by SIGTERM at step 2; to continue: ")
    assert "Traceback" not in said
    assert pointed(work / "run", "latest") == "step-00000002"
    assert (run_json(work / "run")["status"], run_json(work / "run")["exit_code"]) == ("interrupted", 143)
    assert "resuming at step 2 (exact)" in done("train", "resume=run")


def test_a_signal_while_lightning_sets_up(work: Path) -> None:
    """Its own handler would end the process with 0."""
    place = "genkit.training.module:GenerativeModule.configure_optimizers"
    code, said = code_of(work, place, 2, signal.SIGTERM, arguments("vae", *PLAN, "run_dir=run"))
    assert code == 143, said
    assert run_json(work / "run")["exit_code"] == 143
    assert "resuming at step 1 (exact)" in done("train", "resume=run")
