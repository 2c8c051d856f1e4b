"""Exact resume of every model preset: {end of an epoch, mid-epoch} x {0, 2 workers} x {accumulation 1, 2}.

    python scripts/faults/resume.py [--models vae,gan]

Each preset trains for nine steps, at its own sizes, with a checkpoint at every step. Then the run is put back to where
it stood at the end of an epoch, and in the middle of the next one, and resumed, once with batches made in the process
and once with batches that two worker processes make; every later checkpoint and every line of metrics.jsonl must be the
same to the last bit.

genkit itself loads without workers; that they change nothing shows that a batch is a function of its number alone.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from faults import Tally, digest, run_genkit, workplace
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from genkit.checkpoint.retention import point, step_folders, step_name
from genkit.config.hydra.app import composed
from genkit.config.hydra.catalog import Catalog
from genkit.config.hydra.words import Words
from genkit.config.resolve import resolve
from genkit.data.loader import TrainLoader
from genkit.data.spec import Batch
from genkit.training import runner

STEPS, EPOCH = 9, 6  # optimizer steps of a run; micro-batches of an epoch
DATA = {
    "image": ("data=digits", "data.batch_size=133"),
    "vector": ("data=toy", "data.n_train=300", "data.eval_n=100", "data.batch_size=50"),
}
PLAN = (f"trainer.max_steps={STEPS}", "trainer=cpu", "trainer.threads=1", "trainer.log_every_n_steps=1")
PLAN += ("trainer.val_every_n_steps=7",)
PLAN += ("checkpoint.every_n_steps=1", "checkpoint.keep=99", "checkpoint.monitor=null", "samples.every_n_steps=0")


class Numbered(IterableDataset[Batch]):
    """The micro-batches of a loader, of which each worker makes its share."""

    def __init__(self, loader: TrainLoader) -> None:
        self.loader = loader

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        assert worker is not None
        m = self.loader.start + worker.id
        while True:
            yield self.loader.batch(m)
            m += worker.num_workers


class WithWorkers(TrainLoader):
    """A loader whose batches come from two worker processes."""

    def __iter__(self) -> Iterator[Batch]:
        return iter(DataLoader(Numbered(self), batch_size=None, num_workers=2, multiprocessing_context="fork"))


def words_of(model: str, work: Path) -> tuple[str, ...]:
    """Data that the model knows, images first, and a small checkpoint for each model that it is made of."""
    node = composed("train", [f"model={model}", "--resolve"])["model"]
    cls: Any = resolve(node["_target_"], at="model")
    data = DATA["image" if "image" in cls.modalities else "vector"]
    asked = [key for key, value in node.items() if value == "???"]
    source = work / "source"
    if asked and not source.is_dir():
        code, said = run_genkit("train", "model=autoencoder", *data, *PLAN, f"run_dir={source}")
        assert code == 0, said
    return (*data, *(f"model.{key}={source}" for key in asked))


def put_back(run: Path, copy: Path, step: int) -> Path:
    """A copy of the run as a kill at this step would have left it."""
    shutil.copytree(run, copy)
    for folder in step_folders(copy):
        if int(folder.name.removeprefix("step-")) > step:
            shutil.rmtree(folder)
    point(copy, "latest", step_name(step))
    info = json.loads((copy / "run.json").read_text())
    (copy / "run.json").write_text(json.dumps(info | {"status": "running", "exit_code": None}))
    return copy


def trial(model: str, accumulate: int, work: Path, tally: Tally, words: Sequence[str] = ()) -> list[str]:
    """All cells of one model and one accumulation: "same", or what differs."""
    run = work / f"{model}-{accumulate}"
    line = (f"model={model}", *words_of(model, work), *PLAN, f"trainer.accumulate={accumulate}", *words)
    code, said = run_genkit("train", *line, f"run_dir={run}")
    if not tally.expect(code == 0, "runs that fail", f"{model}: {said[-300:]}"):
        return ["failed"]
    truth, cells = digest(run), []
    end = EPOCH // accumulate
    for moment, step in (("epoch end", end), ("mid-epoch", end + 1)):
        for workers, loader in ((0, TrainLoader), (2, WithWorkers)):
            copy = put_back(run, work / f"{run.name}-{step}-{workers}", step)
            torch.manual_seed(step)  # independent of what the process did before
            with mock.patch.object(runner, "TrainLoader", loader):
                code, said = run_genkit("train", f"resume={copy}")
            now, cell = digest(copy), f"{model}, accumulation {accumulate}, {moment}, {workers} workers"
            differs = sorted(name for name in truth.keys() | now.keys() if truth.get(name) != now.get(name))
            exact = code == 0 and f"resuming at step {step} (exact)" in said and not differs
            tally.add("resumed runs")
            tally.expect(exact, "resumes that are not bit-identical", f"{cell}: {code} {differs[:3]} {said[-200:]}")
            cells.append("same" if exact else "DIFFERS")
            shutil.rmtree(copy)
    shutil.rmtree(run)
    return cells


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="", help="some of them, with commas between; all")
    chosen = [name for name in parser.parse_args().models.split(",") if name]
    tally = Tally()
    torch.set_num_threads(1)
    print(f"{'':32}epoch end: 0, 2 workers   mid-epoch: 0, 2 workers")
    with workplace(None) as work, contextlib.chdir(work):
        for model in chosen or Catalog.of(Words()).options("model"):
            for accumulate in (1, 2):
                started = time.process_time()
                cells = trial(model, accumulate, work, tally)
                seconds = f"{time.process_time() - started:6.1f} CPU s"
                print(f"{model:24} x{accumulate}     {'   '.join(cells)}   {seconds}", flush=True)
    return tally.conclude("exact resume")


if __name__ == "__main__":
    sys.exit(main())
