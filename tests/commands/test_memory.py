"""Memory that cannot be had: one line with what was asked for and what to try, exit code 1, the checkpoints kept."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Any

import pytest
from command_cases import MLP, QUICK, SERVER, _entry, arguments, done, refused, run_json

from genkit.checkpoint.read import find_checkpoint
from genkit.config.memory import asked_for
from genkit.models.vae.vae import VAE
from genkit.storage import disk

REFUSAL = "[enforce fail at alloc_cpu.cpp:128] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to "
REFUSAL += "allocate 68719476736 bytes. Error code 12 (Cannot allocate memory)"


@pytest.mark.parametrize(
    ("error", "asked"),
    [
        (RuntimeError(REFUSAL), "64.0 GiB"),
        (RuntimeError("CUDA out of memory. Tried to allocate 20.50 MiB. GPU 0 has a total capacity of …"), "20.5 MiB"),
        (MemoryError("Unable to allocate 7.45 GiB for an array with shape (1, 2)"), "7.5 GiB"),
        (MemoryError(), "some memory"),
        (RuntimeError("shapes do not match"), None),
        (ValueError("out of memory"), None),
    ],
)
def test_what_was_asked_for(error: Exception, asked: str | None) -> None:
    assert asked_for(error) == asked


def test_a_step_that_does_not_fit(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    losses = VAE.losses

    def starved(self: VAE, *args: Any) -> Any:
        if self.training and self.step == 3:
            raise RuntimeError(REFUSAL)
        return losses(self, *args)

    command = arguments("vae", "checkpoint.every_n_steps=2", "trainer.max_steps=6", "run_dir=run")
    with monkeypatch.context() as patch:
        patch.setattr(VAE, "losses", starved)
        from command_cases import genkit

        answer = genkit(*command)
    assert answer.code == 1
    said = "out of memory: 64.0 GiB could not be allocated: try data.batch_size=16 trainer.accumulate=2"
    assert said in answer.err
    assert answer.err.count("\n") == 1
    assert (run_json(work / "run")["status"], run_json(work / "run")["exit_code"]) == ("failed", 1)
    assert find_checkpoint(work / "run").step == 2
    assert "resuming at step 2 (exact)" in done("train", "resume=run")


@pytest.mark.parametrize(("n", "batch_size", "said"), [(8, 500, "try batch_size=4"), (1, 500, "batch_size=1 is the")])
def test_samples_that_do_not_fit(
    vae: Path, monkeypatch: pytest.MonkeyPatch, n: int, batch_size: int, said: str
) -> None:
    def starved(*args: Any, **kwargs: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(VAE, "sample", starved)
    line = refused(1, "sample", f"ckpt={vae}", "out=a", f"n={n}", f"batch_size={batch_size}")
    assert said in line


def limited(argv: list[str], cwd: Path, log: Path, more: int) -> None:
    """`genkit argv` in a process that may take `more` bytes of address space beyond what it has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    size = pages * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    _entry(argv, cwd, log, {})


def test_a_model_that_does_not_fit(work: Path, tmp_path: Path) -> None:
    """A real refusal of the allocator."""
    options = [*MLP, *QUICK, "backbone.width=65536", "backbone.depth=2", "run_dir=run"]
    child = SERVER.Process(target=limited, args=(["train", "model=vae", *options], work, tmp_path / "log", 2**30))
    child.start()
    child.join(60)
    said = (tmp_path / "log").read_text()
    assert child.exitcode == 1, said
    assert "out of memory: 16.0 GiB could not be allocated: choose a smaller model" in said
    assert "Traceback" not in said
    assert not any(work.iterdir())


def test_samples_that_do_not_fit_on_the_disk(vae: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the first of them is drawn: 64 bytes each."""
    monkeypatch.setattr(disk, "free_bytes", lambda path: 6399)
    said = refused(6, "sample", f"ckpt={vae}", "n=100", "out=out")
    assert "out: 6,400 bytes needed, 6,399 free: make room, draw fewer (n=), or choose another output folder" in said
