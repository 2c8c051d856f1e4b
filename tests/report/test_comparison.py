"""Comparing results: ranks by hand, what is unlike is refused by name, and the three files."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from genkit.errors import ConfigError, DataError
from genkit.report.comparison import Row, compare, csv_text, markdown, ranked, results_in
from genkit.report.forest import save_forest
from genkit.report.results import SCHEMA


def record(source: str, value: float | None, half: float | None = 0.1, **changes: Any) -> dict[str, Any]:
    """A record of `fid` as `eval` writes it, as far as a comparison reads it."""
    return {
        "metric": "fid",
        "name": "fid[digits]",
        "source": source,
        "value": value,
        "ci95": None if half is None or value is None else [value - half, value + half],
        "direction": "min",
        "floor": {"mean": 0.2, "sd": 0.02, "repeats": 5, "kind": "halves"},
        "ratio_to_floor": None if value is None else value / 0.2,
        "difference_to_floor": None,
        "n_fake": 100,
        "n_ref": 90,
        "evaluations": None,
        "seconds_per_1000": 0.5,
        "baseline": False,
        "features": {"id": "digits/fc64@abc", "normalize": "std_train"},
        "reference": {"name": "digits", "split": "test", "hash": "0123456789ab"},
        "model": {"family": source, "parameters": 1234},
        **changes,
    }


def written(folder: Path, *records: dict[str, Any]) -> Path:
    folder.mkdir(parents=True)
    (folder / "results.json").write_text(json.dumps({"schema": SCHEMA, "meta": {}, "results": list(records)}))
    return folder / "results.json"


def rows(*records: dict[str, Any]) -> list[Row]:
    return [Row(node, node["source"], Path("f")) for node in records]


def ranks(*records: dict[str, Any]) -> dict[str, int | None]:
    return {row.source: row.rank for row in ranked(rows(*records))}


def test_a_rank_counts_the_rows_that_are_surely_better() -> None:
    """[0.9, 1.1] and [1.05, 1.25] overlap; [1.15, 1.35] overlaps the second alone; [2.9, 3.1] none."""
    found = ranks(record("d", 3.0), record("a", 1.0), record("c", 1.25), record("b", 1.15))
    assert found == {"a": 1, "b": 1, "c": 2, "d": 4}
    assert list(found) == ["a", "b", "c", "d"]


def test_higher_is_better_where_it_is() -> None:
    assert ranks(record("a", 0.5, direction="max"), record("b", 0.9, direction="max")) == {"b": 1, "a": 2}


def test_what_cannot_be_ranked_has_no_rank() -> None:
    assert ranks(record("a", 1.0, None), record("b", 5.0)) == {"a": None, "b": 1}
    assert ranks(record("a", 1.0, direction="near"), record("b", 5.0, direction="near")) == {"a": None, "b": None}
    found = ranks(record("a", 1.0), record("trivial", 0.1, baseline=True))
    assert found == {"a": 1, "trivial": None}
    assert list(found) == ["a", "trivial"]


UNLIKE = {
    "features": {"features": {"id": "raw/std", "normalize": "std"}, "name": "fid[raw]"},
    "reference": {"reference": {"name": "digits", "split": "train", "hash": "ffff6789ab"}},
    "n": {"n_fake": 50},
}


@pytest.mark.parametrize("what", UNLIKE)
def test_unlike_rows_are_refused_and_both_are_named(tmp_path: Path, what: str) -> None:
    files = [
        written(tmp_path / "left", record("a", 1.0)),
        written(tmp_path / "right", record("b", 2.0, **UNLIKE[what])),
    ]
    with pytest.raises(ConfigError, match=f"fid: a .*left.* has {what} .*, b .*right.* has ") as caught:
        compare(files)
    assert "\n" not in str(caught.value)


def test_likes_of_two_files_are_one_table(tmp_path: Path) -> None:
    baseline = record("pixel Gaussian", 9.0, baseline=True, model=None)
    left = written(tmp_path / "left", record("vae", 1.0), record("gone", None), baseline)
    right = written(tmp_path / "right", record("vae", 2.0), baseline)
    [block] = compare([left, right]).values()
    assert [row.source for row in block] == ["vae left", "vae right", "pixel Gaussian"]
    assert [row.rank for row in block] == [1, 2, None]


def test_markdown_csv_and_picture_say_the_same(tmp_path: Path) -> None:
    nodes = [
        record("a|b", 1.0),
        record("c", 2.0),
        record("c", 0.7, metric="coverage", name="coverage", direction="max"),
    ]
    table = compare([written(tmp_path / "x", *nodes, record("trivial", 9.0, baseline=True, model=None))])
    text = markdown(table)
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.replace("\\|", "").count("|") for line in lines}) == 1
    assert [line.split(" | ")[0].strip("| ") for line in lines[2:]] == ["a\\|b", "c", "trivial", "real against real"]
    assert "#1 1.00 [0.900, 1.10]" in lines[2]
    assert "n/a" in lines[2]
    assert "1,234 | | 0.500" in " ".join(lines[2].split())
    found = list(csv.DictReader(io.StringIO(csv_text(table))))
    assert [(row["metric"], row["source"], row["rank"]) for row in found] == [
        *(("fid[digits]", "a|b", "1"), ("fid[digits]", "c", "2"), ("fid[digits]", "trivial", "")),
        ("coverage", "c", "1"),
    ]
    assert float(found[0]["ratio"]) == 5.0
    save_forest(tmp_path / "p.png", table)
    assert (tmp_path / "p.png").read_bytes()[:4] == b"\x89PNG"


def test_results_are_found_in_folders_and_their_absence_is_said(tmp_path: Path) -> None:
    a, b = written(tmp_path / "runs" / "a", record("a", 1.0)), written(tmp_path / "runs" / "b", record("b", 1.0))
    assert results_in(a) == results_in(a.parent) == [a]
    assert results_in(tmp_path / "runs") == [a, b]
    with pytest.raises(DataError, match="genkit eval"):
        results_in(tmp_path / "nowhere")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": "other", "results": []}', '{"schema": 1', "\xff"])
def test_a_file_that_holds_no_results_is_refused_in_a_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "results.json").write_text(text, encoding="latin-1")
    with pytest.raises(DataError) as caught:
        compare([tmp_path / "results.json"])
    assert "\n" not in str(caught.value)


def test_unknown_metrics_are_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="metric=kid: these results have fid"):
        compare([written(tmp_path / "x", record("a", 1.0))], ["kid"])
