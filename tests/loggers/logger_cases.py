"""A run folder without a training, and what each tool's own reader finds in what was logged."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
from PIL import Image

from genkit.assembly.logged_run import delivery_of
from genkit.checkpoint.metrics_log import MetricsLog
from genkit.checkpoint.run_folder import RunFolder
from genkit.loggers.base import LoggedRun, RunLogger
from genkit.loggers.delivery import Sent, numbers
from genkit.loggers.mlflow import MLflow
from genkit.loggers.tensorboard import TensorBoard
from genkit.loggers.wandb import WandB

Scalars = dict[str, dict[int, float]]  # tag -> step -> value
BLOCK = 32768  # bytes of LevelDB's log format, which wandb's files have
CONFIG = "schema: genkit.config/4\nseed: 0\nmodel:\n  _target_: genkit.models.vae.vae.VAE\n  latent_dim: 4\n"


class RunCase:
    """A run folder whose training is played.

    Args:
        path: Where it is made.
        values: The swept values, of a job of a sweep.
    """

    def __init__(self, path: Path, values: Mapping[str, str] | None = None) -> None:
        info = {"label": "vae-digits", "seed": 0, "values": dict(values or {})}
        self.folder = RunFolder.create(path, "train", "vae-digits", config=CONFIG, info=info)
        self.path = self.folder.path
        (self.path / "samples").mkdir()
        self.log = MetricsLog(self.path / "metrics.jsonl")

    def train(self, first: int, last: int, scale: float = 1.0) -> None:
        """Lines of these steps: each a loss, every second one also a validation and a picture."""
        for step in range(first, last + 1):
            self.log.append(step, {"train/loss": scale / step, "lr/model": 0.1})
            if step % 2 == 0:
                Image.new("L", (8, 8), step).save(self.path / "samples" / f"step-{step:08d}.png")
                self.log.append(step, {"val/loss": scale * step})

    def end(self) -> None:
        self.folder.update(status="done", exit_code=0, wall_time=1.5, best=self.best())

    def best(self) -> dict[str, Any]:
        return {"monitor": "val/loss", "mode": "min", "step": 2, "value": 2.0}

    def hand_over(self, logger: RunLogger, over: bool = False) -> Sent:
        """As a process of its own does."""
        delivery = delivery_of(self.path, logger)
        try:
            return delivery.advance(over)
        finally:
            delivery.close()

    def scalars(self, below: int | None = None) -> Scalars:
        """What metrics.jsonl holds, in float32 as event files do."""
        found: Scalars = {}
        for record in self.log.records():
            if below is None or record["step"] < below:
                for tag, value in numbers(record).items():
                    found.setdefault(tag, {})[record["step"]] = rounded(value)
        return found


def rounded(value: float) -> float:
    """A value in float32; what is larger is infinity, in whose place databases hold the largest float64."""
    if abs(value) > 3e38:
        return math.copysign(math.inf, value)
    return float(struct.unpack("f", struct.pack("f", value))[0])


def put(found: Scalars, tag: str, step: int, value: float) -> None:
    """One value, the only one of its step."""
    assert step not in found.setdefault(tag, {}), f"{tag} at step {step} twice"
    found[tag][step] = rounded(value)


@dataclass
class Read:
    """What a tool's own reader finds.

    Attributes:
        scalars: Of all steps.
        pictures: (tag, step) of each, or its file name.
        parameters: Of the configuration.
        scores: What was said at the end.
        runs: How many runs there are.
    """

    scalars: Scalars
    pictures: list[Any]
    parameters: Mapping[str, Any]
    scores: Mapping[str, float]
    runs: int = 1


def read_tensorboard(run: RunCase) -> Read:
    from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.metadata import SESSION_START_INFO_TAG, parse_session_start_info_plugin_data

    events = EventAccumulator(str(run.path / "tensorboard"), size_guidance={"tensors": 0})
    events.Reload()
    scalars: Scalars = {}
    pictures: list[Any] = []
    for tag in events.Tags()["tensors"]:
        plugin = events.SummaryMetadata(tag).plugin_data.plugin_name
        for event in events.Tensors(tag):
            if plugin == "scalars":
                put(scalars, tag, event.step, event.tensor_proto.float_val[0])
            elif plugin == "images":
                pictures.append((tag, event.step))
    content = events.SummaryMetadata(SESSION_START_INFO_TAG).plugin_data.content
    hparams = parse_session_start_info_plugin_data(content).hparams
    parameters = {key: value.number_value or value.string_value for key, value in hparams.items()}
    scores = {tag: [*scalars.pop(tag).values()][-1] for tag in [*scalars] if tag.startswith("best/")}
    return Read(scalars, sorted(pictures), parameters, scores)


def read_wandb(run: RunCase) -> Read:
    """All offline folders, as `wandb sync` sends them."""
    from wandb.proto.wandb_internal_pb2 import Record

    scalars: Scalars = {}
    pictures, parameters, scores = list[Any](), dict[str, Any](), dict[str, float]()
    ids, last = set(), -1
    for folder in sorted((run.path / "wandb").glob("offline-run-*")):
        for data in leveldb(next(folder.glob("*.wandb")).read_bytes()):
            record = Record.FromString(data)
            if record.HasField("run"):
                ids.add(record.run.run_id)
                parameters |= {item.key: json.loads(item.value_json) for item in record.run.config.update}
            parameters |= {item.key: json.loads(item.value_json) for item in record.config.update}
            for item in record.summary.update:
                key = item.key or "/".join(item.nested_key)
                if key.startswith("best/"):
                    scores[key] = json.loads(item.value_json)
            if record.HasField("history"):
                row: dict[str, Any] = {}
                for item in record.history.item:
                    picture = len(item.nested_key) > 1  # it has parts: its path, its size, …
                    row[item.key or item.nested_key[0]] = {} if picture else json.loads(item.value_json)
                assert row["_step"] > last, "a server drops a row that is not later than the one before"
                last = row["_step"]
                for tag, value in row.items():
                    if isinstance(value, dict):
                        pictures.append((tag, last))
                    elif not tag.startswith("_"):
                        put(scalars, tag, last, float(value))
    return Read(scalars, sorted(pictures), parameters, scores, len(ids))


def leveldb(data: bytes) -> list[bytes]:
    """The records in a file of LevelDB's log format, behind wandb's header of seven bytes."""
    found, at, part = list[bytes](), 7, b""
    while at + 7 <= len(data):
        if BLOCK - at % BLOCK < 7:
            at += BLOCK - at % BLOCK
            continue
        length, kind = struct.unpack("<HB", data[at + 4 : at + 7])
        part += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            found.append(part)
            part = b""
    return found


def read_mlflow(run: RunCase) -> Read:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{run.path.parent / 'mlflow.db'}")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = [each for each in client.search_runs(experiments) if each.info.run_name == run.path.name]
    scalars: Scalars = {}
    for tag in runs[0].data.metrics:
        for metric in client.get_metric_history(runs[0].info.run_id, tag):
            put(scalars, tag, metric.step, metric.value)
    scores = {tag: [*scalars.pop(tag).values()][-1] for tag in [*scalars] if tag.startswith("best/")}
    files = [Path(file.path).stem.split("-") for file in client.list_artifacts(runs[0].info.run_id, "samples")]
    pictures = [("/".join(["samples", *kind]), int(step)) for _, step, *kind in files]
    return Read(scalars, sorted(pictures), runs[0].data.params, scores, len(runs))


@dataclass(frozen=True)
class ToolCase:
    """A tool, and how it is read back."""

    package: str
    logger: Callable[[], RunLogger]
    read: Callable[[RunCase], Read]


TOOLS = {
    "tensorboard": ToolCase("tensorboard", TensorBoard, read_tensorboard),
    "wandb": ToolCase("wandb", WandB, read_wandb),
    "mlflow": ToolCase("mlflow", MLflow, read_mlflow),
}


def tools() -> list[Any]:
    """The tools that are installed here."""
    missing = {name: pytest.mark.skipif(not installed(tool), reason=f"no {name} here") for name, tool in TOOLS.items()}
    return [pytest.param(tool, id=name, marks=missing[name]) for name, tool in TOOLS.items()]


def installed(tool: ToolCase) -> bool:
    from importlib.util import find_spec

    return find_spec(tool.package) is not None


class Memory(RunLogger):
    """A logger that remembers its calls.

    Args:
        fails_at: The step of a line at which it raises.
    """

    folder: ClassVar[str] = "memory"

    def __init__(self, fails_at: int = -1) -> None:
        self.fails_at = fails_at
        self.calls: list[tuple[Any, ...]] = []

    def open(self, run: LoggedRun, after: int | None) -> None:
        self.calls.append(("open", run.key, after))

    def configuration(self, step: int, run: LoggedRun) -> None:
        self.calls.append(("configuration", step))

    def scalars(self, step: int, values: Mapping[str, float], time: float) -> None:
        if step == self.fails_at:
            raise ConnectionError("the server is gone")
        self.calls.append(("scalars", step, *values, time))

    def picture(self, step: int, tag: str, file: Path) -> None:
        self.calls.append(("picture", step, tag, file.name))

    def end(self, step: int, facts: Mapping[str, Any], scores: Mapping[str, float]) -> None:
        self.calls.append(("end", step, dict(facts), dict(scores)))

    def discard(self, run: LoggedRun) -> None:
        self.calls.append(("discard", run.key))

    def close(self, whole: bool) -> None:
        self.calls.append(("close",))

    def of(self, kind: str) -> list[tuple[Any, ...]]:
        return [call[1:] for call in self.calls if call[0] == kind]
