"""Stored scores read back: the records of a results.json as typed rows.

The file may be damaged or untrusted. Reading it gives rows or one DataError: sizes, types and depth
are checked, numbers are finite, and strings are printable. Fields that are not known here are left alone, and
fields that earlier versions did not write may be missing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from genkit.errors import DataError
from genkit.evaluation.record import NOT_FINITE
from genkit.printing import pasteable, shown
from genkit.report.results import SCHEMA
from genkit.storage.regular import read_regular
from genkit.storage.version import version_of

LARGEST = 256 * 2**20  # bytes of a results.json
DEEPEST = 64  # levels of nesting inside a record
HUGE = 1e300  # beyond it a number counts as not finite: squares and axes would overflow

# What earlier versions kept among a metric's parameters although it comes of the data.
EARLIER_FINDINGS = frozenset(
    ("slope", "r2", "jensen_shannon", "by chance", "of_all", "each", "train", "fresh data", "ceiling", "rows")
)
# What they left out; these are the values that were used then.
EARLIER_DEFAULTS = {"fid_infinity": {"smallest": 5000}, "inception_score": {"seed": 0}}


@dataclass(frozen=True)
class Cost:
    """The cost of a model and its samples, as far as the record says; times are those of the machine that scored."""

    parameters: int | None = None
    steps: int | None = None
    examples_seen: int | None = None
    evaluations: int | None = None
    seconds_per_1000: float | None = None


@dataclass(frozen=True)
class ScoreRow:
    """One score of one source.

    Attributes:
        metric, name, source: "precision", "precision[digits]", what tables call the source.
        file: Where it stands.
        direction: "min", "max" or "near".
        value: None where it was not finite.
        interval: 95 %, None where there is none.
        baseline: Whether it is a trivial row.
        kind: Of a likelihood: "exact", "lower" or "estimate".
        measures_bound: Whether the metric is a bound by name.
        params: The choices behind the value.
        features, normalize: Of the feature space.
        reference: Name, split and hash of the held-out data.
        n_fake, n_ref: Samples and reference examples.
        floor: Mean and standard deviation of real data against real data.
        ratio, difference: Of the value to the floor's mean.
        model: Facts of the model: family, weights, hash of the configuration, …
        train_seed: What its training was seeded with.
        cost: Of the model and its samples.
        rank, beaten_by: See `genkit.report.ranking`.
        seeds, sd: See `genkit.report.seeds`.
    """

    metric: str
    name: str
    source: str
    file: Path
    direction: str
    value: float | None
    interval: tuple[float, float] | None = None
    baseline: bool = False
    kind: str | None = None
    measures_bound: bool = False
    params: Mapping[str, Any] = field(default_factory=dict)
    features: str | None = None
    normalize: str | None = None
    reference: str = ""
    n_fake: int | None = None
    n_ref: int | None = None
    floor: tuple[float, float] | None = None
    ratio: float | None = None
    difference: float | None = None
    model: Mapping[str, Any] | None = None
    train_seed: int | None = None
    cost: Cost = Cost()
    rank: int | None = None
    beaten_by: str | None = None
    seeds: tuple[int, ...] = ()
    sd: float | None = None

    @property
    def conditions(self) -> dict[str, Any]:
        """The conditions that must agree for two values to be compared."""
        return {
            "features": self.features,
            "features.normalize": self.normalize,
            "reference": self.reference,
            "n": self.n_fake,
            **self.params,
        }


def results_in(path: Path) -> list[Path]:
    """The results.json that `path` names: itself, the one in the folder, or all below the folder.

    Raises DataError where there is none.
    """
    if path.is_file():
        return [path]
    if not path.exists():
        raise DataError(f"{shown(path)}: no such file or folder: name what genkit eval wrote (out=FOLDER)")
    if not path.is_dir():
        raise DataError(f"{shown(path)}: neither a file nor a folder: name a results.json")
    direct = path / "results.json"
    below = [direct] if direct.is_file() else sorted(found for found in path.rglob("results.json") if found.is_file())
    if below:
        return below
    runs = sorted(found.parent for found in path.rglob("run.json") if found.is_file())
    if runs:
        named = ",".join(str(run) for run in runs[:3]) + (",…" if len(runs) > 3 else "")
        raise DataError(
            f"{shown(path)}: holds runs without scores: {pasteable('eval', f'ckpt=[{named}]', 'out=FOLDER')}"
        )
    raise DataError(f"{shown(path)}: holds no results.json: make one with genkit eval ckpt=… out=FOLDER")


def read_rows(file: Path) -> list[ScoreRow]:
    """The scored records of a results.json, those of diverged models included. Raises DataError where it is none."""
    data = read_regular(file, LARGEST, advice="name a results.json of genkit eval")
    try:
        return _rows(data, file)
    except (ValueError, RecursionError) as error:  # of JSON, of UTF-8 and of `_Fields`
        said = "nested too deep" if isinstance(error, RecursionError) else str(error)
        raise DataError(f"{shown(file)}: no results of genkit eval ({shown(said)}): score again") from error


def _rows(data: bytes, file: Path) -> list[ScoreRow]:
    node = json.loads(data.decode("utf-8"), parse_constant=_no_constant)
    schema = node.get("schema") if isinstance(node, dict) else None
    if version_of(schema, SCHEMA, file) is None:
        raise ValueError(f"its schema is {shown(repr(schema), 40)}, not {SCHEMA}")
    if not isinstance(node.get("results"), list):
        raise ValueError("its results are no list")
    records = [_Fields(record, f"results[{i}]") for i, record in enumerate(node["results"])]
    rows = [_row(record, file) for record in records]  # also of what is left out: a damaged record is one anywhere
    return [row for row, record in zip(rows, records, strict=True) if _was_scored(record)]


def _hash_of(reference: _Fields, record: _Fields) -> str:
    """Of the held-out data; where the metric is of its text, of that, however it is cut into tokens and examples."""
    params = record.inner("params")
    of_text = params is not None and params.node.get("of") == "text"
    return reference.text("text", default=reference.text("hash")) if of_text else reference.text("hash")


def _was_scored(record: _Fields) -> bool:
    """Tell whether the metric could score the source, if only with a value that is not finite."""
    return record.node["value"] is not None or record.text("status", default="ok") == NOT_FINITE


def _row(record: _Fields, file: Path) -> ScoreRow:
    if "value" not in record.node:
        raise ValueError(f"{record.where}.value is missing")
    value = record.number("value")
    features, floor, model = record.inner("features"), record.inner("floor"), record.inner("model")
    reference, metric = record.inner("reference", required=True), record.text("metric")
    assert reference is not None
    return ScoreRow(
        metric=metric,
        name=record.text("name"),
        source=record.text("source"),
        file=file,
        direction=record.choice("direction", ("min", "max", "near")),
        value=value,
        interval=None if value is None else record.interval("ci95"),
        baseline=record.flag("baseline"),
        kind=record.choice("kind", ("exact", "lower", "estimate", None)),
        measures_bound=record.flag("measures_bound"),
        params=_params(record, metric),
        features=None if features is None else features.text("id"),
        normalize=None if features is None else features.text("normalize", default=""),
        reference=f"{reference.text('name')} {reference.text('split')} ({_hash_of(reference, record):.8})",
        n_fake=record.count("n_fake"),
        n_ref=record.count("n_ref"),
        floor=None if floor is None else _spread(floor.number("mean"), floor.number("sd")),
        ratio=None if value is None else record.number("ratio_to_floor"),
        difference=None if value is None else record.number("difference_to_floor"),
        model=None if model is None else model.plain(),
        train_seed=None if model is None else model.count("train_seed"),
        cost=Cost(
            parameters=None if model is None else model.count("parameters"),
            steps=None if model is None else model.count("step"),
            examples_seen=None if model is None else model.count("examples_seen"),
            evaluations=record.count("evaluations"),
            seconds_per_1000=record.number("seconds_per_1000"),
        ),
    )


def _params(record: _Fields, metric: str) -> dict[str, Any]:
    params = record.inner("params")
    given = {} if params is None else params.plain()
    if "findings" in record.node:
        return given
    kept = {key: value for key, value in given.items() if key not in EARLIER_FINDINGS}
    return EARLIER_DEFAULTS.get(metric, {}) | kept


def _spread(mean: float | None, sd: float | None) -> tuple[float, float] | None:
    return None if mean is None or sd is None else (mean, sd)


class _Fields:
    """A JSON object whose fields are asked for by type; ValueError names the field that is not of it."""

    def __init__(self, node: Any, where: str) -> None:
        if not isinstance(node, dict):
            raise ValueError(f"{where} is no object")
        self.node: dict[str, Any] = node
        self.where = where

    def text(self, key: str, default: str | None = None) -> str:
        value = self.node.get(key, default)
        if not isinstance(value, str):
            raise ValueError(f"{self.where}.{key} is no string")
        return shown(value)

    def choice(self, key: str, choices: tuple[str | None, ...]) -> Any:
        value = self.node.get(key)
        if value not in choices:  # compares by ==, so that a list is no error
            raise ValueError(f"{self.where}.{key} is none of {', '.join(map(str, choices))}")
        return value

    def flag(self, key: str) -> bool:
        value = self.node.get(key, False)
        if not isinstance(value, bool):
            raise ValueError(f"{self.where}.{key} is neither true nor false")
        return value

    def number(self, key: str) -> float | None:
        """None where it is absent or null, or beyond all bounds."""
        return _number(self.node.get(key), f"{self.where}.{key}")

    def count(self, key: str) -> int | None:
        """None where it is absent or null."""
        value = self.node.get(key)
        if value is not None and (type(value) is not int or not 0 <= value < 2**63):
            raise ValueError(f"{self.where}.{key} is no count")
        return value

    def interval(self, key: str) -> tuple[float, float] | None:
        """None where it is absent or an end of it is not finite."""
        ends = self.node.get(key)
        if ends is None:
            return None
        if not isinstance(ends, list) or len(ends) != 2:
            raise ValueError(f"{self.where}.{key} is no pair of numbers")
        low, high = (_number(end, f"{self.where}.{key}") for end in ends)
        if low is None or high is None:
            return None
        if low > high:
            raise ValueError(f"{self.where}.{key} ends before it begins")
        return low, high

    def inner(self, key: str, required: bool = False) -> _Fields | None:
        value = self.node.get(key)
        return None if value is None and not required else _Fields(value, f"{self.where}.{key}")

    def plain(self) -> dict[str, Any]:
        """All of it, with printable strings. Raises ValueError where it is nested too deep."""
        return {shown(key): _printable(value, 1) for key, value in self.node.items()}


def _number(value: Any, where: str) -> float | None:
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError(f"{where} is no number")
    return float(value) if abs(value) <= HUGE and math.isfinite(value) else None


def _printable(value: Any, depth: int) -> Any:
    if depth > DEEPEST:
        raise ValueError(f"nested deeper than {DEEPEST} levels")
    if isinstance(value, dict):
        return {shown(key): _printable(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_printable(item, depth + 1) for item in value]
    return shown(value) if isinstance(value, str) else value


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON")
