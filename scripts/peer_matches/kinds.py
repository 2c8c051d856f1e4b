"""What is measured in a match: distances of samples, likelihoods, or scores of tables.

A kind writes the file of training data that a recipe reads, draws our samples where samples are what is scored, scores
a side, and names the columns of its results.
"""

from __future__ import annotations

import csv
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from genkit.config.build import build
from genkit.config.hydra.app import composed
from genkit.data.dataset import Dataset
from genkit.data.prepared_text import PreparedText
from genkit.data.sources.table import Table
from peer_matches.commands import genkit
from peer_matches.match import Match

Scores = dict[str, dict[str, float]]
INDEPENDENT = ("features=own", "features.seed=11", "features.dim=96")
SHARES = ("precision", "recall", "coverage")  # against as many held-out images as samples
TABLE = ("column_shapes", "pair_trends", "detection", "efficacy", "privacy", "exact_copies")


@dataclass(frozen=True)
class Column:
    """Of the results.

    Attributes:
        head: Above it.
        scored: What is scored.
        metric: By which.
        digits: That are shown.
        ratio: Whether the next column divides ours by theirs.
    """

    head: str
    scored: str
    metric: str
    digits: int = 2
    ratio: bool = False


def dataset_of(match: Match, **other: Any) -> Dataset:
    """The data that our side is trained on, with other values of some keys."""
    node = composed("train", list(match.ours))["data"] | other
    if node.get("root") is None:  # where a file of its own is looked for
        node.pop("root", None)
    return build(node, at="data", expect=Dataset)


def results_in(place: Path) -> list[dict[str, Any]]:
    """What an evaluation has written."""
    rows: list[dict[str, Any]] = json.loads((place / "results.json").read_text())["results"]
    return rows


def floors_in(place: Path) -> dict[str, float]:
    """What training data reaches by each metric of an evaluation; empty where there was none."""
    if not (place / "results.json").exists():
        return {}
    return {row["metric"]: row["floor"]["mean"] for row in results_in(place)}


class Kind(ABC):
    """Of a match.

    Attributes:
        columns: Of its results.
        given: Name of the file that recipes read.
        made: Name of the file that they write.
    """

    columns: ClassVar[tuple[Column, ...]]
    given: ClassVar[str] = "train.npz"
    made: ClassVar[str]

    @abstractmethod
    def write(self, match: Match, file: Path) -> None:
        """Write the data that a recipe reads."""

    @abstractmethod
    def draw(self, match: Match, folder: Path) -> None:
        """Draw our samples, where samples are scored."""

    @abstractmethod
    def scored(self, match: Match, folder: Path) -> Scores:
        """Scores of a side."""

    def last_rows(self, folder: Path) -> Iterator[str]:
        """Below the matches of a dataset, by the folder of one of ours: what there is to compare with."""
        yield from ()


class OfSamples(Kind):
    """Samples are drawn and scored."""

    def draw(self, match: Match, folder: Path) -> None:
        words = (f"ckpt={folder / 'run'}", f"n={match.n}", f"out={folder / 'samples'}")
        genkit("sample", *words, log=folder / "sample.log")

    def evaluated(self, match: Match, folder: Path, name: str, *words: str) -> list[dict[str, Any]]:
        """An evaluation of the samples of a side."""
        place = folder / f"scores-{name}"
        genkit("eval", f"samples={folder / 'samples' / self.made}", *match.data, f"n={match.n}", *words,
               "baselines=false", "bootstrap=0", f"out={place}", log=folder / f"{name}.log")  # fmt: skip
        return results_in(place)


class Images(OfSamples):
    """Fréchet distances in two spaces of features, and shares in the independent one."""

    columns = (
        Column("shipped features", "shipped", "fid", ratio=True),
        Column("independent features", "independent", "fid", ratio=True),
        *(Column(name, "independent", name) for name in SHARES),
    )
    made = "samples.npz"

    def write(self, match: Match, file: Path) -> None:
        dataset = dataset_of(match)
        train = dataset.split("train")
        part = train.between(0, len(train))
        assert part.y is not None
        np.savez(file, x=part.x.permute(0, 2, 3, 1).numpy(), y=part.y.numpy(), levels=dataset.spec.levels)

    def scored(self, match: Match, folder: Path) -> Scores:
        metrics = ("metric=[fid,precision,recall,coverage]", *(f"metric.{name}.equal=true" for name in SHARES))
        return {
            space: {
                row["metric"]: row["ratio_to_floor"] if row["metric"] == "fid" else row["value"]
                for row in self.evaluated(match, folder, space, *metrics, *words)
            }
            for space, words in (("shipped", ()), ("independent", INDEPENDENT))
        }

    def last_rows(self, folder: Path) -> Iterator[str]:
        """What as many training images reach."""
        if floors := floors_in(folder / "scores-independent"):
            reached = " | ".join(f"{floors[metric]:.2f}" for metric in SHARES)
            yield f"|  | training images | | | 1.00 | | 1.00 | | {reached} |"


class Tables(OfSamples):
    """The scores of a table, each 0 to 1."""

    columns = tuple(Column(name.replace("_", " "), "table", name, digits=3) for name in TABLE)
    given = "train.csv"
    made = "samples.csv"

    def write(self, match: Match, file: Path) -> None:
        dataset = dataset_of(match)
        assert isinstance(dataset, Table)
        columns = dataset.table.write(dataset.cells["train"])
        with file.open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([dataset.table.names, *zip(*columns, strict=True)])
        kinds = {column.name: column.kind for column in dataset.table.columns}
        file.with_suffix(".json").write_text(json.dumps(kinds), encoding="utf-8")

    def scored(self, match: Match, folder: Path) -> Scores:
        rows = self.evaluated(match, folder, "table", f"metric=[{','.join(TABLE)}]")
        return {"table": {row["metric"]: row["value"] for row in rows}}

    def last_rows(self, folder: Path) -> Iterator[str]:
        """What as many training rows reach."""
        if floors := floors_in(folder / "scores-table"):
            yield f"|  | training rows | | | {' | '.join(f'{floors[metric]:.3f}' for metric in TABLE)} |"


class OfLikelihood(Kind):
    """What held-out data costs: the recipe writes it itself, of ours it is evaluated."""

    metric: ClassVar[str]
    made = "scores.json"

    def draw(self, match: Match, folder: Path) -> None:
        return

    def scored(self, match: Match, folder: Path) -> Scores:
        theirs = folder / "samples" / self.made
        if theirs.exists():
            return {"test": json.loads(theirs.read_text())}
        place = folder / "scores-test"
        genkit("eval", f"ckpt={folder / 'run'}", f"metric={self.metric}", f"n={match.n}", "baselines=false",
               "bootstrap=0", f"out={place}", log=folder / "test.log")  # fmt: skip
        return {"test": {row["metric"]: row["value"] for row in results_in(place)}}


class TextLikelihood(OfLikelihood):
    """Bits per byte of the test documents, whose ends are paid for."""

    columns = (Column("bits per byte", "test", "bits_per_byte", digits=3, ratio=True),)
    metric = "bits_per_byte"

    def write(self, match: Match, file: Path) -> None:
        dataset = dataset_of(match, tokenizer="bytes")
        assert isinstance(dataset, PreparedText)
        parts = {}
        for split in ("train", "test"):
            found = dataset.documents[split]
            parts[split] = np.concatenate([found.document(number) for number in range(len(found.lengths))])
        np.savez(file, **parts, end=dataset.kind.eos)


class BinaryLikelihood(OfLikelihood):
    """Nats of an image of black and white pixels."""

    columns = (Column("nats an image", "test", "nll", digits=1, ratio=True),)
    metric = "nll"

    def write(self, match: Match, file: Path) -> None:
        grey, black = dataset_of(match, binarize="none"), dataset_of(match)
        train, test = grey.split("train"), black.split("test")
        x, held = train.between(0, len(train)).x, test.between(0, match.n).x
        y = np.zeros(len(x), np.int64)
        np.savez(file, x=x.permute(0, 2, 3, 1).numpy(), y=y, levels=grey.spec.levels, test=held.numpy())


KINDS: dict[str, Kind] = {
    "images": Images(),
    "tables": Tables(),
    "text": TextLikelihood(),
    "binary": BinaryLikelihood(),
}
