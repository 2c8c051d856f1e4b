"""`genkit.train`, `genkit.sample` and `genkit.evaluate`: the verbs as functions of the same words.

    train("model=vae", "data=digits", "trainer.max_steps=100", run_dir="runs/vae")
    train({"model": "vae", "trainer": {"max_steps": 100}}, run_dir="runs/vae")

A word is what stands on the command line. In a mapping or as a keyword argument a string is what stands behind `=`
there; numbers, booleans, None, lists and nested mappings are written as such words. Errors are raised as `GenkitError`.

The process is left as it was: random generators, Hydra's state, sys.argv, signal handlers, torch's number of threads.
Calls wait for each other, since all of these are one per process. A signal that ends a training is handed on to the
caller's own handler once the checkpoint is written: Ctrl-C is a KeyboardInterrupt as ever.
"""

from __future__ import annotations

import io
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genkit.assembly.restore import load_model
from genkit.checkpoint.metrics_log import MetricsLog
from genkit.checkpoint.retention import newest_step
from genkit.checkpoint.run_folder import METRICS, RUN, read_info
from genkit.config.hydra.launch import call
from genkit.config.hydra.words import parse
from genkit.data.samples import read_samples
from genkit.errors import ConfigError, GenkitError
from genkit.evaluation.record import Record
from genkit.models.base import GenerativeModel
from genkit.noise import generators_kept
from genkit.printing import shown
from genkit.report.console import WIDE, make_console
from genkit.report.results import row
from genkit.report.table import print_table

Argument = str | Mapping[str, Any]

_ONE_AT_A_TIME = threading.RLock()


@dataclass(frozen=True)
class Run:
    """A training that has ended.

    Attributes:
        path: Its run folder.
        step: Of its newest checkpoint.
        plugins: Packages that its model may come from, as they were named.
    """

    path: Path
    step: int
    plugins: tuple[str, ...] = ()

    @property
    def info(self) -> dict[str, Any]:
        """The content of `run.json`: status, best monitored value, cost, history."""
        return read_info(self.path / RUN)

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """The lines of `metrics.jsonl`, each with its step, oldest first."""
        return MetricsLog(self.path / METRICS).records()

    def model(self, weights: str = "ema") -> GenerativeModel:
        """The trained model, as `genkit.load` gives it."""
        return load_model(self.path, weights=weights, plugins=self.plugins)


@dataclass(frozen=True)
class Samples:
    """The result of `genkit sample`.

    Attributes:
        path: The output folder.
        picture: The PNG in it.
        x: Stored values (n, *shape), channels first; None with show=, which draws a picture alone.
        y: Labels (n,) int64 of a conditional model.
    """

    path: Path
    picture: Path
    x: Tensor | None = None
    y: Tensor | None = None

    def _repr_png_(self) -> bytes:
        """The picture, where a notebook shows the value of a cell."""
        return self.picture.read_bytes()


@dataclass(frozen=True)
class Scores:
    """The result of `genkit eval`; printed, it is the table of the command line.

    Attributes:
        path: The folder of results.json and results.csv.
        records: One per metric and source.
    """

    path: Path | None
    records: tuple[Record, ...]

    def value(self, metric: str, source: str | None = None) -> float | None:
        """The value of a metric, None where there is none; without `source`, of the first one.

        Raises ConfigError for a metric or source that was not scored.
        """
        for record in self.records:
            if metric in (record.metric, record.name) and source in (None, record.source):
                return record.value
        known = ", ".join(dict.fromkeys(f"{record.metric} of {record.source}" for record in self.records))
        asked = metric if source is None else f"{metric} of {source}"
        raise ConfigError(f"{shown(asked)}: not scored here; there are {shown(known)}")

    def rows(self) -> list[dict[str, Any]]:
        """The rows of results.csv, as `pandas.DataFrame` takes them."""
        return [row(record) for record in self.records]

    def __str__(self) -> str:
        text = io.StringIO()
        print_table(self.records, make_console(file=text, width=WIDE))
        return text.getvalue()


def train(*words: Argument, config_dir: str | Path | None = None, **keys: Any) -> Run:
    """Train as `genkit train` does, to max_steps.

    Args:
        words: Words of the command line, or mappings of keys to values.
        config_dir: A folder of configuration beside genkit's own, as `--config-dir`.
        keys: More of them: `run_dir="runs/vae"`.

    Raises:
        GenkitError: ConfigError, DataError, CheckpointError, NumericalError, StorageError, as the command's exit code.
    """
    typed = words_of(words, keys)
    path = _called("train", "genkit.commands.train:train", typed, config_dir).path
    return Run(path, newest_step(path) or 0, parse(typed).plugins)


def sample(*words: Argument, config_dir: str | Path | None = None, **keys: Any) -> Samples:
    """Sample a checkpoint as `genkit sample` does; arguments and errors as `train`."""
    path: Path = _called("sample", "genkit.commands.sample:sample", words_of(words, keys), config_dir)
    picture = next(iter(sorted(path.glob("*.png"))))
    if not (path / "samples.npz").is_file():
        return Samples(path, picture)
    drawn = read_samples(path)
    return Samples(path, picture, drawn.x, drawn.y)


def evaluate(*words: Argument, config_dir: str | Path | None = None, **keys: Any) -> Scores:
    """Score checkpoints or samples as `genkit eval` does; arguments and errors as `train`."""
    scored = _called("eval", "genkit.commands.evaluate:evaluate", words_of(words, keys), config_dir)
    return Scores(scored.path, tuple(scored.records))


def words_of(words: tuple[Argument, ...], keys: Mapping[str, Any]) -> list[str]:
    """The words of a command line, in order.

    Raises ConfigError for a flag, and for a value that no word can hold.
    """
    found: list[str] = []
    for argument in (*words, keys):
        if isinstance(argument, Mapping):
            found += _words(argument)
        elif isinstance(argument, str) and not argument.startswith("-"):
            found.append(argument)
        else:
            raise ConfigError(
                f"{shown(argument)}: give words as key=value, or a mapping; flags belong to the command line (a folder "
                "of configuration is config_dir=, a sweep is one call for each value)"
            )
    return found


def _words(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _words(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}={_text(value, f'{prefix}{key}')}"


def _text(value: Any, key: str) -> str:
    """A value as it stands behind `=`."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | os.PathLike):
        return os.fspath(value)
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{','.join(_text(item, key) for item in value)}]"
    raise ConfigError(f"{key}: {type(value).__name__} is no value of a configuration: give text, a number or a list")


def _called(verb: str, target: str, words: list[str], config_dir: str | Path | None) -> Any:
    flags = [] if config_dir is None else ["--config-dir", os.fspath(config_dir)]
    with _ONE_AT_A_TIME, generators_kept(), _threads_kept():
        try:
            return call(verb, target, parse([*flags, *words]))
        except SystemExit as stop:
            ended = stop.code
    if isinstance(ended, int) and ended > 128:
        signal.raise_signal(ended - 128)  # the caller's to answer, now that the checkpoint is written
    raise GenkitError(f"genkit {verb}: stopped (exit code {ended})")


@contextmanager
def _threads_kept() -> Iterator[None]:
    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
