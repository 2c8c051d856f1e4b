"""The verbs as functions of the same words: `genkit.train`, `sample`, `evaluate`, and the uses of a trained model.

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
import json
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
from genkit.assembly.use_results import RESULTS
from genkit.checkpoint.metrics_log import MetricsLog
from genkit.checkpoint.retention import newest_step
from genkit.checkpoint.run_folder import METRICS, RUN, read_info
from genkit.config.hydra.launch import call
from genkit.config.hydra.words import parse
from genkit.data.samples import SAMPLES, read_samples
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


@dataclass(frozen=True)
class UseResult:
    """The result of a verb that applies a checkpoint to examples.

    Attributes:
        path: The output folder; of `compress` the compressed file.
        rows: Its scores as results.json has them, with "score", "value" and whatever says more of one.
        pictures: Its PNGs.
        x: Stored values of samples.npz, channels first; of `complete` and `restore` the draws of each example one after
            the other. None where the verb writes none.
        y: Their labels (n,) int64, None without.
    """

    path: Path
    rows: tuple[dict[str, Any], ...] = ()
    pictures: tuple[Path, ...] = ()
    x: Tensor | None = None
    y: Tensor | None = None

    def value(self, score: str, **where: Any) -> float | None:
        """The value of a score, of the first row that also has the other words: `value("rmse", source="nearest")`.

        Raises ConfigError where there is no such row.
        """
        for each in self.rows:
            if each["score"] == score and all(each.get(key) == value for key, value in where.items()):
                return each["value"]
        known = ", ".join(dict.fromkeys(str(each["score"]) for each in self.rows)) or "none"
        said = "".join(f", {key}={value}" for key, value in where.items())
        raise ConfigError(f"{shown(score)}{shown(said)}: no such score here; there are {shown(known)}")

    def _repr_png_(self) -> bytes | None:
        """The first picture, where a notebook shows the value of a cell."""
        return self.pictures[0].read_bytes() if self.pictures else None


def train(*words: Argument, config_dir: str | Path | None = None, **keys: Any) -> Run:
    """Train as `genkit train` does: `train("model=vae", "data=digits", run_dir="runs/vae")`.

    Args:
        words: Words of the command line, or mappings: `{"model": "vae", "trainer": {"max_steps": 9}}`.
        config_dir: A folder of configuration beside genkit's own, as `--config-dir`.
        keys: More keys and values: `run_dir="runs/vae"`.

    Returns:
        The run: its folder, its step, the lines of its metrics, `model()`.

    Raises:
        GenkitError: ConfigError, DataError, CheckpointError, NumericalError, StorageError, as the command's exit code.
    """
    typed = words_of(words, keys)
    path = _called("train", "genkit.commands.train:train", typed, config_dir).path
    return Run(path, newest_step(path) or 0, parse(typed).plugins)


def sample(*words: Argument, config_dir: str | Path | None = None, **keys: Any) -> Samples:
    """Sample a checkpoint as `genkit sample` does: `sample(ckpt="runs/vae", n=64)`; arguments and errors as `train`.

    Returns:
        Stored values, labels, the picture and the folder that holds them.
    """
    path: Path = _called("sample", "genkit.commands.sample:sample", words_of(words, keys), config_dir)
    picture = next(iter(sorted(path.glob("*.png"))))
    if not (path / SAMPLES).is_file():
        return Samples(path, picture)
    drawn = read_samples(path)
    return Samples(path, picture, drawn.x, drawn.y)


def evaluate(*words: Argument, config_dir: str | Path | None = None, **keys: Any) -> Scores:
    """Score as `genkit eval` does: `evaluate(ckpt="runs/vae", metric="fid")`; arguments and errors as `train`.

    Returns:
        The records of the scores and the folder that holds them; printed, it is the command's table.
    """
    scored = _called("eval", "genkit.commands.evaluate:evaluate", words_of(words, keys), config_dir)
    return Scores(scored.path, tuple(scored.records))


def complete(*words: Argument, config_dir: str | Path | None = None, **keys: Any) -> UseResult:
    """Fill in what is hidden of examples: `complete(ckpt="runs/vae", known="upper", n=16)`; arguments as `train`."""
    return _used("complete", words_of(words, keys), config_dir)


def restore(*words: Argument, config_dir: str | Path | None = None, **keys: Any) -> UseResult:
    """Undo a measurement: `restore(ckpt="runs/diffusion", task="deblur")`; arguments as `train`."""
    return _used("restore", words_of(words, keys), config_dir)


def detect(*words: Argument, config_dir: str | Path | None = None, **keys: Any) -> UseResult:
    """Score how anomalous examples are: `detect(ckpt="runs/vae", input="scans")`; arguments as `train`."""
    return _used("detect", words_of(words, keys), config_dir)


def augment(*words: Argument, config_dir: str | Path | None = None, **keys: Any) -> UseResult:
    """Draw labelled examples, and measure a classifier's gain: `augment(ckpt="runs/vae")`; arguments as `train`."""
    return _used("augment", words_of(words, keys), config_dir)


def explore(*words: Argument, config_dir: str | Path | None = None, **keys: Any) -> UseResult:
    """Draw maps of a latent space: `explore(ckpt="runs/vae")`; arguments as `train`."""
    return _used("explore", words_of(words, keys), config_dir)


def translate(*words: Argument, config_dir: str | Path | None = None, **keys: Any) -> UseResult:
    """Turn examples into another class or domain's: `translate(ckpt="runs/diffusion", y=3)`; arguments as `train`.

    `from` is a word of Python: the model of the inputs' domain is named by `translate("from=runs/other", …)`.
    """
    return _used("translate", words_of(words, keys), config_dir)


def compress(*words: Argument, config_dir: str | Path | None = None, **keys: Any) -> UseResult:
    """Write examples into one file without loss: `compress(ckpt="runs/gpt", out="digits.gk")`; arguments as `train`."""
    return _used("compress", words_of(words, keys), config_dir)


def decompress(*words: Argument, config_dir: str | Path | None = None, **keys: Any) -> UseResult:
    """Read a file that `compress` wrote: `decompress(input="digits.gk", ckpt="runs/gpt")`; arguments as `train`."""
    return _used("decompress", words_of(words, keys), config_dir)


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


def _used(verb: str, words: list[str], config_dir: str | Path | None) -> UseResult:
    path: Path = _called(verb, f"genkit.commands.{verb}:{verb}", words, config_dir)
    if not path.is_dir():
        return UseResult(path)
    results, arrays = path / RESULTS, path / SAMPLES
    rows = json.loads(results.read_text())["results"] if results.is_file() else []
    drawn = read_samples(arrays) if arrays.is_file() else None
    pictures = tuple(sorted(path.glob("*.png")))
    return UseResult(path, tuple(rows), pictures, *((drawn.x, drawn.y) if drawn else ()))


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
