"""Speed as ratios, both sides measured in turns within one run: `python scripts/bench.py [NAME …]`.

* trainer: genkit's trainer against a plain PyTorch loop of the same model, data, optimizer, average and clipping.
* tokens: the same of a transformer on text, in tokens per CPU second; the plain loop cuts windows out of a tensor of
  tokens in memory. A second row has a plain loop that clips and averages nothing.
* save: a checkpoint and `latest` (hashes, fsync) against one safetensors file and fsync.
* start: what a command costs before it does anything.
* metrics: scores of 10,000 against 10,000 rows of 128 features, against torchmetrics' and prdc's of the same rows, in
  CPU seconds of all threads; prdc only where it is installed.
* loader: CIFAR-10 decoded, prepared and read, against a DataLoader that decodes each image; see `bench_loader.py`.

Ratios are medians over rounds; run it on an idle machine.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import itertools
import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import lightning.pytorch as pl
import torch
from bench_loader import bench_loader
from rich.console import Console
from rich.table import Table
from safetensors.torch import save_file
from torch import Tensor, nn
from torchmetrics import Metric

from genkit.checkpoint.state import flatten_state
from genkit.checkpoint.write import Tensors, write_checkpoint
from genkit.data.dataset import Dataset
from genkit.data.loader import TrainLoader
from genkit.data.prepared_text import PreparedText
from genkit.data.sources.digits import Digits
from genkit.data.sources.pydoc import Pydoc
from genkit.data.sources.text import TextFiles
from genkit.data.spec import Batch, DataSpec
from genkit.metrics.base import Probe, ProbeMetric
from genkit.metrics.frechet import FrechetDistance
from genkit.metrics.kernel import SubsetKernelDistance
from genkit.metrics.manifold import Coverage, NeighbourDensity, Precision, Recall
from genkit.models.autoregressive.autoregressive import Autoregressive
from genkit.models.base import GenerativeModel
from genkit.models.vae.vae import VAE
from genkit.nn.conv import Conv
from genkit.noise import seed_global
from genkit.storage.atomic import fsync_path
from genkit.training import runner
from genkit.training.ema import EMA, averaged_copy
from genkit.training.lr_schedule import ConstantLR
from genkit.training.module import GenerativeModule
from genkit.training.options import CheckpointOptions, SampleGridOptions, TrainerOptions
from genkit.training.signals import StopSignal

Clock = Callable[[], float]

ROUNDS, WARM = 9, 10
NEVER = 10**9
SIZES = {  # name -> (channels of the encoder and decoder, batch, steps): about 10 and 50 ms a step on one thread
    "10 ms": ((16, 32), 32, 500),
    "50 ms": ((32, 64), 128, 80),
}


class StepTimes(pl.Callback):
    """Times between the ends of steps, after warming up."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.stamps: list[float] = []

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: object) -> None:
        self.stamps.append(self.clock())

    def per_step(self) -> float:
        return (self.stamps[-1] - self.stamps[WARM - 1]) / (len(self.stamps) - WARM)


def vae_of(channels: tuple[int, ...], data: Digits) -> GenerativeModel:
    torch.manual_seed(0)
    return VAE(spec=data.spec, backbone=partial(Conv, channels=channels))


def through_trainer(make: Callable[[], GenerativeModel], steps: int, data: Dataset, clock: Clock) -> float:
    """Seconds a step through genkit's trainer."""
    module = GenerativeModule(
        make(),
        optimizer=partial(torch.optim.AdamW, lr=1e-3),
        lr_schedule=ConstantLR(),
        ema=EMA(),
        seed=0,
        max_steps=steps,
    )
    times = StepTimes(clock)
    with tempfile.TemporaryDirectory() as folder:
        run = runner.TrainingRun(
            name="bench",
            folder=Path(folder),
            dataset=data,
            module=module,
            trainer=TrainerOptions(accelerator="cpu", max_steps=steps, val_every_n_steps=NEVER, threads=1),
            checkpoint=CheckpointOptions(every_n_steps=NEVER),
            samples=SampleGridOptions(every_n_steps=0),
            loggers=[],
            config={},
            callbacks=[times],
        )
        with open(os.devnull, "w") as nowhere:
            runner.fit(run, Console(file=nowhere), StopSignal())
    return times.per_step()


def through_loop(
    make: Callable[[], GenerativeModel], steps: int, batches: Callable[[], Iterable[Batch]], clock: Clock, bare: bool
) -> float:
    """Seconds a step through a plain loop, with the same average and clipping or, `bare`, without both."""
    model, ema, averaged = make(), EMA(), None
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    model.train()
    for step, batch in enumerate(batches()):
        if step == WARM:
            started = clock()
        if step == steps:
            break
        seed_global(step, torch.device("cpu"))
        optimizer.zero_grad()
        model.losses(batch, "model")["loss"].backward()
        if not bare:
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if not bare:
            averaged = averaged or averaged_copy(model, set())
            ema.update(list(averaged.parameters()), list(model.parameters()), step, steps=1000)
    return (clock() - started) / (steps - WARM)


def in_turns(
    first: Callable[[], float], second: Callable[[], float], rounds: int = ROUNDS
) -> tuple[float, float, float]:
    """Median seconds of both and the median of the rounds' ratios first / second."""
    pairs = [(first(), second()) for _ in range(rounds)]
    ratios = [a / b for a, b in pairs]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs), statistics.median(ratios)


def bench_trainer(table: Table) -> None:
    for name, (channels, batch, steps) in SIZES.items():
        data = Digits(batch_size=batch)
        make, batches = partial(vae_of, channels, data), partial(TrainLoader, data, seed=0)
        ours, plain, ratio = in_turns(
            partial(through_trainer, make, steps, data, time.perf_counter),
            partial(through_loop, make, steps, batches, time.perf_counter, bare=False),
        )
        table.add_row(f"trainer, {name}", f"{1000 * ours:.1f} ms", f"{1000 * plain:.1f} ms", f"{ratio:.3f}")


LENGTH, ROWS_OF_TEXT, TEXT_STEPS, TEXT_ROUNDS = 64, 8, 60, 7


def bench_tokens(table: Table) -> None:
    """Tokens per CPU second of a GPT on the embedded text, or on the file that GENKIT_BENCH_TEXT names."""
    path = os.environ.get("GENKIT_BENCH_TEXT")
    data: PreparedText
    if path is None:
        data = Pydoc(length=LENGTH, batch_size=ROWS_OF_TEXT)
    else:
        data = TextFiles(root=path, length=LENGTH, batch_size=ROWS_OF_TEXT)
    for name, bare in (("", False), (", no average nor clipping", True)):
        ours, plain, ratio = in_turns(
            partial(through_trainer, partial(gpt_of, data), TEXT_STEPS, data, time.process_time),
            partial(through_loop, partial(gpt_of, data), TEXT_STEPS, partial(windows, data), time.process_time, bare),
            TEXT_ROUNDS,
        )
        many = LENGTH * ROWS_OF_TEXT
        table.add_row(f"tokens{name}", f"{many / ours:.0f}/s", f"{many / plain:.0f}/s", f"{1 / ratio:.3f}")


def gpt_of(data: Dataset) -> GenerativeModel:
    torch.manual_seed(0)
    return Autoregressive(spec=data.spec)


def windows(data: PreparedText) -> Iterator[Batch]:
    """Windows of the first mebibyte of training tokens, at random places."""
    held = data.documents["train"].between(0, min(2**20, len(data.documents["train"].tokens)))
    while True:
        places = torch.randint(len(held) - LENGTH, (ROWS_OF_TEXT, 1)) + torch.arange(LENGTH)
        yield {"x": held[places]}


def bench_save(table: Table) -> None:
    """What a save of a run writes, `latest` included, against one file of the same tensors under a new name.

    Both are durable when they end: the plain file and its folder are fsynced too.
    """
    for megabytes in (1, 30, 150):
        model, training = state_of(megabytes)
        with tempfile.TemporaryDirectory(dir=".") as folder:
            ours, plain, ratio = in_turns(
                partial(timed, partial(save_checkpoint, Path(folder), itertools.count(1), model, training)),
                partial(timed, partial(save_plain, Path(folder), itertools.count(1), model, training)),
                5 * ROUNDS if megabytes == 1 else ROUNDS,  # some milliseconds, of which a flush is most
            )
        table.add_row(f"save, {megabytes} MiB", f"{1000 * ours:.0f} ms", f"{1000 * plain:.0f} ms", f"{ratio:.2f}")


def state_of(megabytes: int) -> tuple[Tensors, dict[str, object]]:
    """An average, live weights and the state of Adam, together of this size."""
    model = nn.ParameterList(torch.randn(megabytes * 2**18 // 32) for _ in range(8))
    optimizer = torch.optim.AdamW(model.parameters())
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    average = {name: value.detach().clone() for name, value in model.state_dict().items()}
    return average, {"model": model.state_dict(), "optimizer": optimizer.state_dict()}


def timed(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def save_checkpoint(run: Path, steps: Iterator[int], model: Tensors, training: dict[str, object]) -> None:
    tensors, tree = flatten_state(training)
    write_checkpoint(
        run / "checkpoints",
        next(steps),
        config={},
        model=model,
        training_tensors=tensors,
        training={"state": tree},
        pointers=("latest",),
    )


def save_plain(folder: Path, steps: Iterator[int], model: Tensors, training: dict[str, object]) -> None:
    tensors, _ = flatten_state(training)
    path = folder / f"plain-{next(steps)}.safetensors"
    save_file({**model, **tensors}, path)
    fsync_path(path)
    fsync_path(folder)


def bench_start(table: Table) -> None:
    for words in (["--help"], ["train", "--cfg", "job"], ["list", "models"]):
        command = [sys.executable, "-m", "genkit", *words]
        seconds = [timed(partial(subprocess.run, command, check=True, capture_output=True)) for _ in range(ROUNDS)]
        table.add_row(f"genkit {' '.join(words)}", f"{statistics.median(seconds):.2f} s", "", "")


ROWS, DIM, BATCH, NEIGHBOURS, METRIC_ROUNDS = 10_000, 128, 500, 5, 3


def bench_metrics(table: Table) -> None:
    """Values agree before times are compared: to 1e-3 with torchmetrics, which computes in float32."""
    generator = torch.Generator().manual_seed(0)
    real = torch.randn(ROWS, DIM, generator=generator)
    fake = 1.1 * torch.randn(ROWS, DIM, generator=generator) + 0.05
    peers: dict[str, tuple[list[ProbeMetric], Callable[[Tensor, Tensor], list[float]], float]] = {
        "fid, torchmetrics": ([FrechetDistance()], frechet_of_torchmetrics, 1e-3),
        # subsets of another generator, so a tolerance; all that is compared here computes in float64 but the last
        "kid, torchmetrics in float64": ([SubsetKernelDistance()], kid_in_double_of_torchmetrics, 5e-2),
        "kid, torchmetrics in float32": ([SubsetKernelDistance()], kid_of_torchmetrics, 5e-2),
    }
    if importlib.util.find_spec("prdc") is None:
        table.add_row("precision … coverage, prdc", "", "not installed", "")
    else:
        balls = [kind(k=NEIGHBOURS) for kind in (Precision, Recall, NeighbourDensity, Coverage)]
        peers["precision … coverage, prdc"] = (balls, balls_of_prdc, 1e-3)
        all_six = [FrechetDistance(), SubsetKernelDistance(), *balls]
        peers["all six, torchmetrics in float32 and prdc"] = (all_six, six_of_peers, 5e-2)
    for name, (metrics, theirs, tolerance) in peers.items():
        for mine, other in zip(ours_of(metrics, real, fake), theirs(real, fake), strict=True):
            assert abs(mine - other) <= tolerance * abs(other), (name, mine, other)
        rounds = [
            (cpu_timed(partial(ours_of, metrics, real, fake)), cpu_timed(partial(theirs, real, fake)))
            for _ in range(METRIC_ROUNDS)
        ]
        ours, plain = (statistics.median(column) for column in zip(*rounds, strict=True))
        ratio = statistics.median(a / b for a, b in rounds)
        table.add_row(name, f"{ours:.2f} CPU s", f"{plain:.2f} CPU s", f"{ratio:.2f}")


def cpu_timed(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def ours_of(metrics: list[ProbeMetric], real: Tensor, fake: Tensor) -> list[float]:
    """The metrics' values, all fed by one pass as the evaluator does."""
    spec = DataSpec((DIM,), "vector")
    for metric in metrics:
        metric.reset()
    for a, b in zip(real.split(BATCH), fake.split(BATCH), strict=True):
        batch = {"real_features": a.double(), "fake_features": b.double()}
        probe = Probe(spec, {name: lambda rows=rows: rows for name, rows in batch.items()})
        for metric in metrics:
            metric.update(probe)
    return [float(metric.compute()) for metric in metrics]


class Rows(nn.Module):
    """Features that are there already."""

    num_features = DIM

    def forward(self, x: Tensor) -> Tensor:
        return x


def frechet_of_torchmetrics(real: Tensor, fake: Tensor) -> list[float]:
    from torchmetrics.image.fid import FrechetInceptionDistance

    return [fed(FrechetInceptionDistance(feature=Rows()), real, fake)]


def kid_of_torchmetrics(real: Tensor, fake: Tensor) -> list[float]:
    from torchmetrics.image.kid import KernelInceptionDistance

    torch.manual_seed(0)  # its subsets come from the global generator
    return [fed(KernelInceptionDistance(feature=Rows(), subsets=100, subset_size=1000), real, fake)]


def kid_in_double_of_torchmetrics(real: Tensor, fake: Tensor) -> list[float]:
    return kid_of_torchmetrics(real.double(), fake.double())


def fed(metric: Metric, real: Tensor, fake: Tensor) -> float:
    for side, rows in ((True, real), (False, fake)):
        for batch in rows.split(BATCH):
            metric.update(batch, real=side)
    value = metric.compute()
    return float(value[0] if isinstance(value, tuple) else value)


def balls_of_prdc(real: Tensor, fake: Tensor) -> list[float]:
    from prdc import compute_prdc

    with contextlib.redirect_stdout(io.StringIO()):
        found = compute_prdc(real.numpy(), fake.numpy(), nearest_k=NEIGHBOURS)
    return [float(found[name]) for name in ("precision", "recall", "density", "coverage")]


def six_of_peers(real: Tensor, fake: Tensor) -> list[float]:
    """What a user of both programs runs for the same scores."""
    return [*frechet_of_torchmetrics(real, fake), *kid_of_torchmetrics(real, fake), *balls_of_prdc(real, fake)]


BENCHES = {
    "trainer": bench_trainer,
    "tokens": bench_tokens,
    "save": bench_save,
    "start": bench_start,
    "metrics": bench_metrics,
    "loader": bench_loader,
}


def main() -> None:
    """Prints a table of the named benchmarks, or of all."""
    torch.set_num_threads(1)  # the trainer's own share is largest, and steadiest, beside one thread
    chosen = sys.argv[1:] or list(BENCHES)
    table = Table("what", "genkit", "plain", "ratio", box=None)
    for name in chosen:
        BENCHES[name](table)
    Console().print(f"{torch.get_num_threads()} threads, torch {torch.__version__}, {ROUNDS} rounds in turns")
    Console().print(table)


if __name__ == "__main__":
    main()
