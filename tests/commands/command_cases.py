"""Small runs by the command line, in this process or in one of their own that can be killed."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from genkit import cli
from genkit.signals import let_through

# A server that has imported everything heavy: a process forked from it starts in milliseconds, a new one in seconds.
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["genkit.commands.train", "hydra", "sklearn.datasets", "sklearn.mixture"])

MLP = ("backbone=mlp", "backbone.width=16", "backbone.depth=1")
UNET = ("data.pairs=edges", "backbone=unet", "backbone.channels=[8]", "backbone.attention=false")
FAMILIES = {
    "autoencoder": (*MLP, "model.latent_dim=4", "latent_density=mixture", "latent_density.components=2"),
    "vae": (*MLP, "model.latent_dim=4"),
    "gan": (*MLP, "model.latent_dim=4", "model.n_critic=2", "trainer.gradient_clip=1.0"),
    "flow": (
        *(f"model.transform.vector.{word}" for word in ("layers=2", "hidden_features=8", "depth=1")),
        *(f"model.transform.image.{word}" for word in ("levels=1", "hidden_channels=4", "top_features=8", "depth=1")),
    ),
    "diffusion": MLP,
    "inpainting_diffusion": (*MLP, "model.conditional=true"),
    "pix2pix": (*UNET, "model.channels=[8]"),
    "image_diffusion": UNET,
    "cycle_gan": (*UNET, "data.unpaired=true", "model.channels=[8]"),
    "pcd_ebm": (*MLP, "model.objective.steps=2"),
    "jem": (*MLP, "model.objective.steps=2"),
}
TOY = ("data=toy", "data.n_train=810", "data.eval_n=300")
QUICK = ("trainer=cpu", "data.batch_size=32", "samples.every_n_steps=0")


def arguments(family: str, *more: str) -> list[str]:
    """`genkit train …` of a tiny member of a family, on digits unless told otherwise."""
    return ["train", f"model={family}", *FAMILIES[family], *QUICK, *more]


def mostly_slow(cases: Iterable[str], *quick: str) -> list[Any]:
    """Cases of a test that says much the same of each: `quick` ones for the quick tests, the others for the slow."""
    return [pytest.param(case, marks=() if case in quick else pytest.mark.slow) for case in cases]


@dataclass(frozen=True)
class Answer:
    """What a command line in this process ended with."""

    code: int
    out: str
    err: str


def genkit(*argv: str | Path) -> Answer:
    """`genkit argv` in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = cli.main([str(word) for word in argv])
    return Answer(code, out.getvalue(), err.getvalue())


def done(*argv: str | Path) -> str:
    """What a command line says that ends well."""
    answer = genkit(*argv)
    assert answer.code == 0, answer.err
    return answer.out


def refused(code: int, *argv: str | Path) -> str:
    """The one line of a command line that is refused and writes nothing into the working directory."""
    before = digest(Path.cwd())
    answer = genkit(*argv)
    assert answer.code == code, answer
    assert answer.err.startswith("genkit: error: "), answer.err
    assert answer.err.count("\n") == 1, answer.err
    assert "Traceback" not in answer.out + answer.err
    assert digest(Path.cwd()) == before
    return answer.err


def digest(folder: Path) -> dict[str, str]:
    """Every file below a folder by its sha256, every other entry by what it is."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        if path.is_file()
        else "folder"
        for path in sorted(folder.rglob("*"))
    }


def run_json(run: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((run / "run.json").read_text())
    return record


def lines(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@dataclass(frozen=True)
class Done:
    """How a process ended: its exit code (negative: the signal that killed it) and all that it printed."""

    code: int | None
    said: str


class Child:
    """`genkit argv` in a process of its own, through the real entry point.

    Args:
        argv: The command line without the program's name.
        cwd: Its working directory.
        log: What it prints goes there.
        signals: Optimizer step (in its last micro-batch) -> signals that the process sends itself there.
        environment: Variables of its environment.
        ignored: Signals that it finds ignored, as SIGHUP under `nohup`.
    """

    def __init__(
        self,
        argv: list[str],
        cwd: Path,
        log: Path,
        signals: Mapping[int, list[int]] | None = None,
        environment: Mapping[str, str] | None = None,
        ignored: Sequence[int] = (),
    ) -> None:
        self.log = log
        surroundings = dict(environment or {}), tuple(ignored)
        self.process = SERVER.Process(target=_entry, args=(argv, cwd, log, dict(signals or {}), *surroundings))
        self.process.start()

    def wait(self, seconds: float = 300) -> Done:
        self.process.join(seconds)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        return Done(self.process.exitcode, self.log.read_text())


def _entry(
    argv: list[str],
    cwd: Path,
    log: Path,
    signals: Mapping[int, list[int]],
    environment: Mapping[str, str] | None = None,
    ignored: Sequence[int] = (),
) -> None:
    import torch

    from genkit.training.module import GenerativeModule

    torch.set_num_threads(1)
    let_through()  # the server may be that of a sweep in this process
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)
    os.environ.update(environment or {})
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.chdir(cwd)
    step_of = GenerativeModule.training_step

    def training_step(self: GenerativeModule, *args: Any) -> Any:
        loss = step_of(self, *args)
        if self.micro_batch % self.accumulate == 0:
            for number in signals.get(self.global_step, []):
                os.kill(os.getpid(), number)
        return loss

    GenerativeModule.training_step = training_step  # type: ignore[method-assign, assignment]
    sys.argv = ["genkit", *argv]
    code = cli.main()
    sys.stdout.flush()
    sys.exit(code)
