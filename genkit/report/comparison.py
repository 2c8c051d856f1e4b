"""Several results.json as one comparison: like with like, ranked only where intervals separate.

A rank is 1 + the number of rows whose interval lies wholly on the better side, so rows that cannot be told apart share
one. Trivial baselines stand below and are not ranked; nor is a score without an interval, or one that is best near real
data (authenticity, C_T). An interval covers the draw of the samples, not the training.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from genkit.errors import ConfigError, DataError
from genkit.report.results import SCHEMA
from genkit.report.table import ARROWS, number
from genkit.storage.atomic import whole_file
from genkit.storage.disk import shown

Node = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """One scored record of one file: its JSON, the name that tables give its source, and its rank."""

    record: Node
    source: str
    file: Path
    rank: int | None = None

    @property
    def name(self) -> str:
        return str(self.record["name"])

    @property
    def baseline(self) -> bool:
        return bool(self.record.get("baseline", False))

    @property
    def conditions(self) -> dict[str, Any]:
        """What must agree for two values to be compared."""
        features, reference = self.record["features"] or {}, self.record["reference"]
        return {
            "features": features.get("id"),
            "features.normalize": features.get("normalize"),
            "reference": f"{reference['name']} {reference['split']} ({reference['hash']:.8})",
            "n": self.record["n_fake"],
        }


def results_in(path: Path) -> list[Path]:
    """The results.json that `path` names: itself, the one in the folder, or all below the folder.

    Raises DataError where there is none.
    """
    if path.is_file():
        return [path]
    direct = path / "results.json"
    if found := [direct] if direct.is_file() else sorted(path.rglob("results.json")):
        return found
    raise DataError(f"{shown(path)}: holds no results.json: make one with genkit eval ckpt=… out=FOLDER")


def read_rows(file: Path) -> list[Row]:
    """The scored records of a results.json. Raises DataError where it is none."""
    try:
        node = json.loads(file.read_text(encoding="utf-8"))
        records = node["results"] if node["schema"] == SCHEMA else None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise DataError(f"{shown(file)}: no results of genkit eval ({type(error).__name__})") from error
    if not isinstance(records, list):
        raise DataError(f"{shown(file)}: its schema is {node['schema']!r}, not {SCHEMA!r}")
    return [Row(record, record["source"], file) for record in records if record["value"] is not None]


def gathered(files: Sequence[Path]) -> list[Row]:
    """The rows of all files; equal rows once, equal names of different ones told apart by their folder."""
    rows: list[Row] = []
    for row in (row for file in files for row in read_rows(file)):
        if not any(same(row, other) for other in rows):
            rows.append(row)
    clashing = {
        (a.name, a.source) for i, a in enumerate(rows) for b in rows[:i] if (a.name, a.source) == (b.name, b.source)
    }
    sources = {source for _, source in clashing}
    return [replace(r, source=f"{r.source} {r.file.parent.name}") if r.source in sources else r for r in rows]


def same(left: Row, right: Row) -> bool:
    """Whether two rows say the same of the same source."""
    return all(left.record[key] == right.record[key] for key in ("name", "source", "value", "ci95", "model"))


def refuse_unlike(rows: Iterable[Row]) -> None:
    """Raises ConfigError for two values of one metric that were not measured under the same conditions."""
    first: dict[str, Row] = {}
    for row in rows:
        if row.baseline and row.record["metric"] not in first:
            continue
        other = first.setdefault(row.record["metric"], row)
        for key, value in row.conditions.items():
            if value != other.conditions[key]:
                raise ConfigError(
                    f"{row.record['metric']}: {other.source} ({shown(other.file)}) has {key} {other.conditions[key]}, "
                    f"{row.source} ({shown(row.file)}) has {value}: score both alike, or leave one out"
                )


def ranked(rows: Sequence[Row]) -> list[Row]:
    """The rows of one metric with their ranks, best first, baselines last."""
    worst_first = rows[0].record["direction"] == "max"
    contest = [row for row in rows if not row.baseline and row.record["ci95"] and row.record["direction"] != "near"]
    placed = [replace(row, rank=_rank(row, contest)) if row in contest else row for row in rows]
    placed.sort(key=lambda row: (row.baseline, -row.record["value"] if worst_first else row.record["value"]))
    return placed


def _rank(row: Row, contest: Sequence[Row]) -> int:
    low, high = row.record["ci95"]
    if row.record["direction"] == "max":
        return 1 + sum(other.record["ci95"][0] > high for other in contest)
    return 1 + sum(other.record["ci95"][1] < low for other in contest)


def compare(files: Sequence[Path], metrics: Sequence[str] = ()) -> dict[str, list[Row]]:
    """Metric name to its ranked rows, in the order of the files; all metrics, or the named ones.

    Raises:
        ConfigError: rows that cannot be compared, or a metric that nobody was scored by.
        DataError: a file that is no results.json.
    """
    rows = gathered(files)
    known = {row.record["metric"] for row in rows}
    if unknown := [metric for metric in metrics if metric not in known]:
        raise ConfigError(f"metric={unknown[0]}: these results have {', '.join(sorted(known))}")
    chosen = [row for row in rows if not metrics or row.record["metric"] in metrics]
    refuse_unlike(chosen)
    names = dict.fromkeys(row.name for row in chosen if not row.baseline)
    return {name: ranked([row for row in chosen if row.name == name]) for name in names}


def cell(row: Row) -> str:
    """ "#1 0.342 [0.113, 0.571]" """
    interval = row.record["ci95"]
    ends = "" if interval is None else f" [{number(interval[0])}, {number(interval[1])}]"
    return ("" if row.rank is None else f"#{row.rank} ") + number(row.record["value"]) + ends


def against_floor(row: Row) -> str:
    """ "2.4x" or "+0.02"; nothing where there is no floor."""
    ratio, difference = row.record["ratio_to_floor"], row.record["difference_to_floor"]
    if ratio is not None:
        return f"{ratio:.1f}x"
    return "" if difference is None else f"{'+' if difference >= 0 else ''}{number(difference)}"


def markdown(table: dict[str, list[Row]]) -> str:
    """One row per source, one column per metric, then cost; the floor last; below it what all rests on."""
    rows = [row for block in table.values() for row in block]
    models = list(dict.fromkeys(row.source for row in rows if not row.baseline))
    trivial = list(dict.fromkeys(row.source for row in rows if row.baseline))
    heading = ["", *(f"{name} {ARROWS[block[0].record['direction']]}" for name, block in table.items())]
    lines = [[*heading, "parameters", "evaluations per sample", "s per 1,000"]]
    for source in [*models, *trivial]:
        cells = [next((cell(row) for row in block if row.source == source), "n/a") for block in table.values()]
        lines.append([source.replace("|", "\\|"), *cells, *cost([row for row in rows if row.source == source])])
    lines.append(["real against real", *map(_floor, table.values()), "", "", ""])
    text = [f"| {' | '.join(line)} |" for line in lines]
    return "\n".join([text[0], "|" + "---|" * len(lines[0]), *text[1:], "", *footnotes(table)]) + "\n"


def cost(rows: Sequence[Row]) -> list[str]:
    """Parameters, evaluations per sample and seconds per 1,000 samples of a source, "" where unknown."""
    found = {
        key: row.record.get(key) for row in rows for key in ("evaluations", "seconds_per_1000") if row.record.get(key)
    }
    parameters = next((row.record["model"]["parameters"] for row in rows if row.record["model"]), None)
    seconds = found.get("seconds_per_1000")
    return [
        "" if parameters is None else f"{parameters:,}",
        str(found.get("evaluations", "")),
        "" if seconds is None else number(seconds),
    ]


def footnotes(table: dict[str, list[Row]]) -> list[str]:
    """What the numbers rest on."""
    rows = [row for block in table.values() for row in block]
    counts = sorted({str(row.record["n_fake"]) for row in rows if row.record["n_fake"] is not None})
    features = sorted({row.record["features"]["id"] for row in rows if row.record["features"] is not None})
    said = {"reference": sorted({row.conditions["reference"] for row in rows}), "samples": counts, "features": features}
    marks = "#: rank, shared where 95 % intervals overlap; they cover the draw of the samples, not the training."
    return [*(f"{title}: {', '.join(found)}  " for title, found in said.items() if found), marks]


def _floor(block: Sequence[Row]) -> str:
    floor = next((row.record["floor"] for row in block if row.record["floor"] is not None), None)
    return "" if floor is None else f"{number(floor['mean'])} ±{number(floor['sd'], like=floor['mean'])}"


COLUMNS = (
    *(
        "metric",
        "source",
        "baseline",
        "rank",
        "value",
        "lo",
        "hi",
        "direction",
        "floor",
        "ratio",
        "difference",
        "n_fake",
    ),
    *("n_ref", "features", "reference", "parameters", "evaluations", "seconds_per_1000", "file"),
)


def csv_text(table: dict[str, list[Row]]) -> str:
    """One line per metric and source."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(_line(row) for block in table.values() for row in block)
    return text.getvalue()


def _line(row: Row) -> Node:
    lo, hi = row.record["ci95"] or (None, None)
    own = {"metric": row.name, "source": row.source, "baseline": row.baseline, "rank": row.rank, "lo": lo, "hi": hi}
    own |= {
        "ratio": row.record["ratio_to_floor"],
        "difference": row.record["difference_to_floor"],
        "file": str(row.file),
    }
    own |= {
        "floor": (row.record["floor"] or {}).get("mean"),
        "parameters": (row.record["model"] or {}).get("parameters"),
    }
    return {**row.record, **own, "features": row.conditions["features"], "reference": row.conditions["reference"]}


def write_text(path: Path, text: str) -> None:
    """Raises StorageError where it cannot be written."""
    with whole_file(path) as file:
        file.write(text.encode())
