"""Reading stored scores: what genkit wrote is read back, anything else is one line of a data error."""

import copy
import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from stored_scores import baseline, likelihood, record, written

from genkit.errors import ConfigError, DataError
from genkit.report.comparison import compare
from genkit.report.comparison_text import csv_text, markdown
from genkit.report.results import SCHEMA
from genkit.report.rows import ScoreRow, read_rows, results_in

WHOLE = {
    "schema": SCHEMA,
    "meta": {"genkit": "1"},
    "results": [
        record("a", 1.0, params={"k": 3, "sizes": [1, 2]}),
        likelihood("b", 2.0, "lower"),
        baseline("c", 3.0, params={"k": 3, "sizes": [1, 2]}),
    ],
}


def places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) inside a JSON tree."""
    for key in list(node) if isinstance(node, dict) else range(len(node)):
        yield node, key
        if isinstance(node[key], dict | list):
            yield from places(node[key])


def deep(levels: int) -> Any:
    node: Any = 1
    for _ in range(levels):
        node = [node]
    return node


OTHERS: list[Any] = [
    *(None, True, -1, 10**400, 1e308, -0.0, "", "x", "\ud800", "$\\frac$", "a\x1b[2Jb\n"),
    *([], {}, [[1]], {"a": 1}),
]


def mutated(seed: int) -> Any:
    """A whole file in which one to three places are gone, are of another type, or are nested deep."""
    draw = random.Random(seed)
    node = copy.deepcopy(WHOLE)
    for _ in range(draw.randint(1, 3)):
        container, key = draw.choice(list(places(node)))
        what = draw.random()
        if what < 0.3:
            del container[key]
        elif what < 0.9:
            container[key] = draw.choice(OTHERS)
        else:
            container[key] = deep(draw.choice([30, 70, 400]))
    return node


def outcome(file: Path) -> tuple[dict[str, list[ScoreRow]], str | None]:
    """The comparison of a file, or the line that refuses it."""
    try:
        return compare([file]), None
    except (DataError, ConfigError) as error:
        return {}, str(error)


def test_a_changed_file_is_read_or_refused_in_a_line(tmp_path: Path) -> None:
    """200 changes; what is read can also be compared and written."""
    file, read = tmp_path / "results.json", 0
    for seed in range(200):
        file.write_text(json.dumps(mutated(seed)))
        table, refusal = outcome(file)
        read += refusal is None
        assert refusal is None or ("\n" not in refusal and "results.json" in refusal), (seed, refusal)
        if table:
            csv_text(table).encode()
            markdown(table).encode()
    assert 20 < read < 180  # both happen


DAMAGED = {
    "empty": b"",
    "a list": b"[]",
    "no schema": b"{}",
    "another schema": b'{"schema": "other", "results": []}',
    "results of another type": b'{"schema": "%s", "results": {}}' % SCHEMA.encode(),
    "cut": b'{"schema": 1',
    "no UTF-8": b"\xff\xfe",
    "a record without fields": b'{"schema": "%s", "results": [{}]}' % SCHEMA.encode(),
    "a record that is none": b'{"schema": "%s", "results": [1]}' % SCHEMA.encode(),
    "deep": b'{"schema": "%s", "results": %s1%s}' % (SCHEMA.encode(), b"[" * 10**5, b"]" * 10**5),
    "NaN": json.dumps({**WHOLE, "results": [record("a", float("nan"))]}).encode(),
    "infinity": json.dumps({**WHOLE, "results": [record("a", float("inf"))]}).encode(),
    "long number": json.dumps({**WHOLE, "results": [record("a", 1.0)]}).encode().replace(b"1234", b"9" * 5000),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_what_holds_no_results_is_refused_in_a_line(case: str, tmp_path: Path) -> None:
    (tmp_path / "results.json").write_bytes(DAMAGED[case])
    with pytest.raises(DataError, match=r"results\.json: no results of genkit eval") as caught:
        read_rows(tmp_path / "results.json")
    assert "\n" not in str(caught.value)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "results.json")
    with pytest.raises(DataError, match="holds no results"):
        results_in(tmp_path)
    with pytest.raises(DataError, match="neither a file nor a folder"):
        results_in(tmp_path / "results.json")
    with pytest.raises(DataError, match="a pipe"):
        read_rows(tmp_path / "results.json")


def test_results_are_found_in_folders_and_their_absence_is_said(tmp_path: Path) -> None:
    a, b = written(tmp_path / "runs" / "a", record("a", 1.0)), written(tmp_path / "runs" / "b", record("b", 1.0))
    assert results_in(a) == results_in(a.parent) == [a]
    assert results_in(tmp_path / "runs") == [a, b]
    with pytest.raises(DataError, match=r"no such file or folder.*genkit eval"):
        results_in(tmp_path / "nowhere")
    (tmp_path / "sweep" / "0-vae").mkdir(parents=True)
    (tmp_path / "sweep" / "0-vae" / "run.json").write_text("{}")
    with pytest.raises(DataError, match=r"runs without scores: genkit eval 'ckpt=\[.*0-vae\]' out="):
        results_in(tmp_path / "sweep")


def test_fields_of_later_versions_are_left_alone_and_earlier_ones_may_lack_some(tmp_path: Path) -> None:
    later = {**record("a", 1.0), "interval_covers": "the draw of the samples", "extra": {"deep": [1]}}
    early = {key: value for key, value in record("b", 2.0).items() if key not in ("findings", "status", "kind")}
    early["params"] = {"ddof": 1, "slope": 3.5}
    a, b = read_rows(written(tmp_path / "x", later, early))
    assert a.params == b.params == {"ddof": 1}


def test_a_diverged_model_is_a_row_without_a_value_and_what_was_not_scored_is_none(tmp_path: Path) -> None:
    gone, skipped = record("a", None, status="not finite"), record("b", None, status="n/a: no density")
    half = record("c", 1.0, ci95=[None, 2.0])
    rows = read_rows(written(tmp_path / "x", gone, skipped, half))
    assert [(row.source, row.value, row.interval) for row in rows] == [("a", None, None), ("c", 1.0, None)]
