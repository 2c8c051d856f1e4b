"""Random tables of every kind of column come back from their vectors cell by cell, as they were written."""

from __future__ import annotations

import csv
import datetime
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from genkit.data.sources.table import Table
from genkit.data.tables.files import read_table, written_table

Dice = np.random.Generator
Cells = list[str]

LETTERS = [
    "a",
    "Ünï",
    "日本",
    "x,y",
    'say "z"',
    "two\nlines",
    "back\\slash",
    "a;b|c\td",
    "'q'",
    "#1",
    "=1+1",
    "\u202eabc",
]
NAMES = [
    "n",
    "with, comma",
    'with "quotes"',
    "two\nlines",
    "ünïcode 日本",
    "a;b",
    "x|y",
    "1",
    "a b",
    "=z",
    "-",
    "null",
    "%",
]


def texts(dice: Dice, n: int) -> Cells:
    return dice.choice(LETTERS[: dice.integers(2, len(LETTERS) + 1)], n).tolist()


def codes(dice: Dice, n: int) -> Cells:
    return [f"{v:05d}" for v in dice.integers(0, 30, n)]


def decimals(dice: Dice, n: int) -> Cells:
    places = int(dice.integers(0, 6))
    values = dice.normal(dice.uniform(-1e3, 1e3), 10.0 ** dice.integers(-2, 6), n)
    return [f"{round(v, places) + 0.0:.{places}f}" for v in values.tolist()]  # + 0 makes 0 of −0


def full(dice: Dice, n: int) -> Cells:
    return [repr(float(v)) for v in dice.standard_cauchy(n) * 10.0 ** dice.integers(-9, 12)]


def shortest(dice: Dice, n: int) -> Cells:
    """As pandas and most programs write them: with as many decimals as it takes."""
    return [repr(round(float(v), 4) + 0.0) for v in dice.normal(0, 3, n)]


def wholes(dice: Dice, n: int) -> Cells:
    high = int(10 ** dice.integers(1, 16))
    return [str(v) for v in dice.integers(-high, high, n)]


def skewed(dice: Dice, n: int) -> Cells:
    """A spike at 0, and numbers of very different sizes."""
    return ["0" if dice.random() < 0.5 else str(int(v)) for v in dice.lognormal(3, 4, n)]


def grid(dice: Dice, n: int) -> Cells:
    return dice.choice(["0.5", "2.5", "6", "9", "13", "16.5", "23"], n).tolist()


def truths(dice: Dice, n: int) -> Cells:
    return dice.choice([["True", "False"], ["0", "1"], ["yes", "no"]][dice.integers(3)], n).tolist()


def days(dice: Dice, n: int) -> Cells:
    pattern = ["%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%m/%d/%Y"][dice.integers(4)]
    return [
        (datetime.date(1950, 1, 1) + datetime.timedelta(int(v))).strftime(pattern) for v in dice.integers(0, 30000, n)
    ]


def moments(dice: Dice, n: int) -> Cells:
    pattern = ["%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%dT%H:%M:%SZ"][dice.integers(4)]
    seconds = dice.uniform(-1e9, 2e9, n)
    return [(datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=v)).strftime(pattern) for v in seconds]


def constants(dice: Dice, n: int) -> Cells:
    return [["7", "x", "2024-01-01", "1.50"][dice.integers(4)]] * n


def nothing(dice: Dice, n: int) -> Cells:
    return [""] * n


MAKERS: list[Callable[[Dice, int], Cells]] = [
    texts, codes, decimals, full, shortest, wholes, skewed, grid, truths, days, moments, constants, nothing,
]  # fmt: skip


def random_table(path: Path, seed: int) -> tuple[dict[str, Cells], set[str]]:
    """Columns by name, written to a CSV or TSV file, half of them with missing cells; and the names of long numbers."""
    dice = np.random.default_rng(seed)
    n = int(dice.integers(60, 300))
    made: dict[str, Cells] = {}
    long: set[str] = set()
    for name, maker in zip(dice.permutation(NAMES), dice.permutation(np.array(MAKERS, dtype=object)), strict=True):
        cells = maker(dice, n)
        if maker is not nothing and dice.random() < 0.5:
            token = str(dice.choice(["", "NA", "null", "?"]))
            cells = [token if dice.random() < 0.15 else cell for cell in cells]
        made[str(name)] = cells
        long |= {str(name)} if maker is full else set()
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(
            file, delimiter="\t" if path.suffix == ".tsv" else ",", lineterminator=dice.choice(["\n", "\r\n"])
        )
        writer.writerow(made)
        writer.writerows(zip(*made.values(), strict=True))
    return made, long


@pytest.mark.parametrize("seed", range(12))
def test_a_random_table_comes_back_as_it_was_written(seed, tmp_path):
    path = tmp_path / ("table.tsv" if seed % 3 == 0 else "table.csv")
    made, long = random_table(path, seed)
    data = Table(root=str(path))
    assert data.table.names == tuple(made)
    with written_table(tmp_path / "back.csv", data.table) as append:
        for name in data.rows:
            append(data.spec.kind.cells(data.split(name).x))
    rows = np.concatenate(list(data.rows.values()))
    assert sorted(rows.tolist()) == list(range(len(rows)))
    back = read_table(tmp_path / "back.csv")
    assert back.names == tuple(made)
    for name, cells in made.items():
        expected, found = [cells[i].strip() for i in rows], back.column(name).cells()
        if name not in long:
            assert found == expected, name
            continue
        missing = [cell.casefold() in data.table.missing for cell in expected]
        assert missing == [cell.casefold() in data.table.missing for cell in found]
        sides = [
            [float(cell) for cell, gone in zip(side, missing, strict=True) if not gone] for side in (expected, found)
        ]
        np.testing.assert_allclose(sides[1], sides[0], rtol=1e-9)


def test_types_of_a_parquet_file_come_back_as_its_csv_would_have_them(tmp_path):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    n = 60
    start = datetime.datetime(2024, 1, 1)
    columns = {
        "truth": pa.array([None if i % 5 == 0 else i % 2 == 0 for i in range(n)]),
        "small": pa.array([i % 50 for i in range(n)], pa.int8()),
        "whole": pa.array([None if i % 7 == 0 else 1000 * i for i in range(n)]),
        "single": pa.array(np.linspace(0, 1, n).astype(np.float32)),
        "gaps": pa.array([float("nan") if i % 4 == 0 else i / 7 for i in range(n)]),
        "day": pa.array([start.date() + datetime.timedelta(days=i) for i in range(n)]),
        "moment": pa.array([start + datetime.timedelta(seconds=i / 2) for i in range(n)]),
        "zoned": pa.array([start + datetime.timedelta(hours=i) for i in range(n)], pa.timestamp("us", "Europe/Berlin")),
        "name": pa.array(["é", "0012", "x,y", None] * (n // 4)),
        "kind": pa.array(["a", "b", "c"] * (n // 3)).dictionary_encode(),
        "cents": pa.array([i * 0.25 for i in range(n)]).cast(pa.decimal128(9, 2)),
    }
    pq.write_table(pa.table(columns), tmp_path / "table.parquet")
    data = Table(root=str(tmp_path / "table.parquet"))
    assert {column.name: column.kind for column in data.table.columns} == {
        "truth": "categorical", "small": "integer", "whole": "integer", "single": "numeric", "gaps": "numeric",
        "day": "date", "moment": "date", "zoned": "date", "name": "categorical", "kind": "categorical",
        "cents": "numeric",
    }  # fmt: skip
    before = read_table(tmp_path / "table.parquet")
    for name, rows in data.rows.items():
        written = data.table.write(data.spec.kind.cells(data.split(name).x))
        for column, found in zip(before.columns, written, strict=True):
            expected = [column.cells()[i] for i in rows]
            if column.name in ("single", "gaps"):
                assert [cell == "" for cell in found] == [cell == "" for cell in expected]
                np.testing.assert_allclose(*([float(cell or "nan") for cell in side] for side in (found, expected)))
            else:
                assert found == expected, column.name
    assert {"True", "False", ""} == set(before.column("truth").texts)
    assert before.column("moment").texts[1] == "2024-01-01 00:00:00.500000"
    assert before.column("zoned").texts[1] == "2024-01-01T01:00:00Z"
