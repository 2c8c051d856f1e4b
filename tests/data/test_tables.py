"""Tables: cells come back from their vectors, files are read as meant, and bad ones are refused in one line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from genkit.data.sources.table import Table
from genkit.data.spec import DataSpec
from genkit.data.tables.files import read_table, written_table
from genkit.data.tables.samples import read_rows
from genkit.errors import GenkitError

ORDINAL = {"note": ("low", "mid", "high")}


def table_of(folder: Path, text: str | bytes, name: str = "table.csv", **keys) -> Table:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return Table(root=str(path), **keys)


def numbered(*lines: str, n: int = 12, header: str = "a,b") -> str:
    """A header, n rows of two numbers, and more lines."""
    return "\n".join([header, *(f"{i % 5},{i * 1.5}" for i in range(n)), *lines]) + "\n"


def column(*cells: object) -> str:
    """A table of a column `a` of these cells, and of their numbers as a second one."""
    return "\n".join(["a,b", *(f"{cell},{i}" for i, cell in enumerate(cells))]) + "\n"


@pytest.fixture(scope="module")
def people(mixed_table) -> Table:
    return Table(root=str(mixed_table), columns=ORDINAL, target="grade")


def test_kinds_are_inferred_and_may_be_said(people):
    kinds = {column.name: column.kind for column in people.table.columns}
    assert kinds == {
        "age": "integer", "income": "numeric", "city": "categorical", "zip": "categorical", "member": "categorical",
        "joined": "date", "note": "ordinal", "empty": "categorical", "planet": "categorical", "grade": "categorical",
    }  # fmt: skip
    assert {column.name: column.missing for column in people.table.columns if column.missing is not None} == {
        "age": "NA", "joined": "", "empty": "",
    }  # fmt: skip
    assert people.spec.num_classes == 3
    assert "400 rows" in people.notice
    assert "\n" not in people.notice


def test_cells_come_back_from_their_vectors(people):
    kind = people.spec.kind
    for name, cells in people.cells.items():
        x = people.split(name).x
        np.testing.assert_allclose(kind.cells(x), cells, rtol=1e-6)
        exact = [i for i, column in enumerate(people.table.columns) if column.kind != "numeric"]
        np.testing.assert_array_equal(kind.cells(x)[:, exact], cells[:, exact])
        assert torch.equal(kind.to_stored(x), x)


def test_a_written_table_is_the_file_that_was_read(people, mixed_table, tmp_path):
    """Columns in order, cells as they were written, missing ones and quoted ones among them."""
    with written_table(tmp_path / "out.csv", people.table) as append:
        for name in ("train", "val", "test"):
            append(people.spec.kind.cells(people.split(name).x))
    before, after = read_table(mixed_table), read_table(tmp_path / "out.csv")
    assert after.names == before.names
    order = np.concatenate([people.rows[name] for name in ("train", "val", "test")])
    rows = list(before.rows())
    assert list(after.rows()) == [rows[i] for i in order]


def test_every_point_of_a_cell_means_the_cell(people):
    x = people.split("train").x
    u = torch.rand(x.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    moved = people.spec.kind.dequantise(x, u)
    assert torch.equal(people.spec.kind.to_stored(moved), x)
    assert (moved != x).any(0).float().mean() > 0.8
    ordered = [own.start for own, block in people.table.blocks if block.kind == "ordered" and not block.switched]
    assert len(ordered) == 2
    moments = moved[:, ordered].mean(0).abs(), moved[:, ordered].std(0)
    assert max(moments[0]) < 0.15
    assert min(moments[1]) > 0.9


def test_any_vector_is_a_row_that_the_table_can_have(people):
    x = 5 * torch.randn(300, people.spec.dim, generator=torch.Generator().manual_seed(0))
    stored = people.spec.kind.to_stored(x)
    assert torch.equal(people.spec.kind.to_stored(stored), stored)
    rows, every = people.spec.kind.cells(x), np.concatenate(list(people.cells.values()))
    for i, column in enumerate(people.table.columns):
        if column.discrete:
            assert set(np.unique(rows[:, i])) <= set(np.unique(every[:, i])) or np.isnan(every[:, i]).any()
        present = every[~np.isnan(every[:, i]), i]
        drawn = rows[~np.isnan(rows[:, i]), i]
        assert not len(drawn) or (present.min() <= drawn.min() and drawn.max() <= present.max())


def test_a_checkpoint_knows_the_columns(people):
    node = json.loads(json.dumps(people.spec.to_json()))
    assert DataSpec.from_json(node) == people.spec
    damaged = json.loads(json.dumps(node).replace('"ordered"', '"disordered"'))
    with pytest.raises((ValueError, GenkitError)):
        DataSpec.from_json(damaged)


def test_equal_rows_fall_on_one_side_in_any_order(tmp_path):
    lines = [f"{i % 7},{i % 3}" for i in range(60)]
    one = table_of(tmp_path, "\n".join(["a,b", *lines]))
    other = table_of(tmp_path, "\n".join(["a,b", *reversed(lines)]), "other.csv")
    sides = {name: {tuple(row) for row in cells} for name, cells in one.cells.items()}
    assert not any(sides[one] & sides[other] for one, other in (("train", "val"), ("train", "test"), ("val", "test")))
    assert all(sides[name] == {tuple(row) for row in cells} for name, cells in other.cells.items())
    assert all(len(cells) > 0 for cells in one.cells.values())


NAMES = ["categorical", "integer"]
NUMBERS = ["integer", "numeric"]
READ = {
    "a byte-order mark": (b"\xef\xbb\xbf" + numbered().encode(), {}, NUMBERS),
    "UTF-16": (numbered().encode("utf-16"), {}, NUMBERS),
    "latin-1": (numbered(header="a,gr\xf6\xdfe").encode("latin-1"), {"encoding": "latin-1"}, NUMBERS),
    "semicolons": (numbered().replace(",", ";").encode(), {}, NUMBERS),
    "tabs": (numbered().replace(",", "\t").encode(), {}, NUMBERS),
    "Windows lines": (numbered().replace("\n", "\r\n").encode(), {}, NUMBERS),
    "no last line break": (numbered().rstrip(), {}, NUMBERS),
    "quoted numbers are names": (column(*(f'"{i % 5}"' for i in range(12))), {}, NAMES),
    "all quoted": ("\n".join(['"a","b"', *(f'"{i % 5}","{i}"' for i in range(12))]), {}, ["integer", "integer"]),
    "leading zeros": (column(*(f"0{i % 5}" for i in range(12))), {}, NAMES),
    "a constant column": (column(*[7] * 12), {}, NAMES),
    "a missing column": (column(*[""] * 12), {}, NAMES),
    "whole numbers that are missing": (column(*range(20), *[""] * 9), {}, ["integer"] * 2),
    "truth values": (column(*["True", "False", ""] * 12), {}, NAMES),
    "numbers with exponents": (column("1e3", "2E3", *range(12), 0.5), {}, ["numeric", "integer"]),
    "few numbers that are too large": (column(*[2**60 + 1, 2**60 + 2] * 9), {}, NAMES),
    "a wide range": (column(*range(40), 10**15), {}, ["integer"] * 2),
    "digits of other scripts": (column(*(chr(0x660 + i % 5) for i in range(12))), {}, NAMES),
    "a level that means missing elsewhere": (
        column(*["none", "low", ""] * 9),
        {"columns": {"a": ("none", "low")}},
        ["ordinal", "integer"],
    ),
    "chosen": (numbered(), {"columns": {"a": "categorical"}, "drop": ("b",)}, ["categorical"]),
    "words that look like numbers": (
        "\n".join(["2020,b", *(f"{i % 3},{-999 if i == 7 else i}" for i in range(40))]),
        {"columns": {2020: (0, 1, 2)}, "missing": -999, "target": 2020},
        ["ordinal", "integer"],
    ),
    "few rows": ("a,b\n1,2\n3,4\n5,6\n", {}, ["integer", "integer"]),
}  # fmt: skip


@pytest.mark.parametrize("case", READ)
def test_files_that_are_read(case, tmp_path):
    text, keys, kinds = READ[case]
    data = table_of(tmp_path, text, **keys)
    assert [column.kind for column in data.table.columns] == kinds
    for name, cells in data.cells.items():
        np.testing.assert_allclose(data.spec.kind.cells(data.split(name).x), cells, rtol=1e-9)
    written = {row for name in data.cells for row in zip(*data.table.write(data.cells[name]), strict=True)}
    rows = read_table(tmp_path / "table.csv", encoding=keys.get("encoding", "utf-8"))
    read = set(zip(*(rows.column(name).cells() for name in data.table.names), strict=True))
    if case not in ("numbers with exponents", "words that look like numbers"):  # -999 is missing: it comes back too
        assert written == read


WIDE = ",".join(f"c{i}" for i in range(10_000))
REFUSED = {
    "no such file": (None, {}, "missing"),
    "empty": ("", {}, "empty file"),
    "header only": ("a,b\n", {}, "no rows"),
    "one row": ("a,b\n1,2\n", {}, "1 row"),
    "equal rows": ("a,b\n" + "1,2\n" * 9, {}, "1 of them different"),
    "a name twice": ("a,a\n1,2\n", {}, "two columns are called a"),
    "no name": ("a,\n1,2\n", {}, "column 2 has no name"),
    "ragged": (numbered("1,2,3"), {}, "line 14 has 3 and the header 2 cells"),
    "a short row": (numbered("1"), {}, "line 14 has 1 and the header 2 cells"),
    "another delimiter": (numbered(), {"delimiter": ";"}, 'a comma makes 2: data.delimiter=","'),
    "no delimiter": (numbered(), {"delimiter": ";;"}, "one character"),
    "a quote between cells": (numbered(), {"delimiter": '"'}, "one character"),
    "not UTF-8": (numbered("\xe9,1").encode("latin-1"), {}, "line 14 is not utf-8 (byte 0xe9)"),
    "zero bytes": (numbered("\0,1"), {}, "line 14 holds zero bytes"),
    "UTF-16 without its mark": (numbered().encode("utf-16-le"), {}, "data.encoding=utf-16-le"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), {}, "not utf-8"),
    "no such encoding": (numbered(), {"encoding": "klingon"}, "no such encoding"),
    "an open quote": (numbered('"1,2'), {}, "mend its quotes"),
    "a cell without end": ("a,b\n" + "x" * 2**20 + "y,1\n", {}, "field larger than field limit"),
    "10,000 columns": (f"{WIDE}\n{WIDE}\n", {}, "10,000 columns; the most that are read are 4,096"),
    "nothing but constants": ("a,b\n1,\n1,\n2,\n3,\n", {"drop": ("a",)}, "different"),
    "free text": (column(*(f"text {i}" for i in range(90))), {}, "data.drop=[a]"),
    "a word among numbers": (column(*range(90), "oops"), {}, "oops"),
    "a word among few numbers": (column(*range(11), "oops"), {}, "data.columns={a: categorical}"),
    "inf": (column(1, 2, 3, "-inf"), {}, "numbers, and -inf"),
    "beyond all numbers": (column(1, 2, 3, "1e400"), {}, "numbers, and 1e400"),
    "too large to be whole": (column(*(2**60 + i for i in range(90))), {}, "beyond 2^53 cannot be held exactly"),
    "thousands": (column(*(f'"{i},234"' for i in range(90))), {}, "written like 1234.5"),
    "mixed dates": (column(*(f"2026-01-{i}" for i in range(10, 30)), "1/2/2026"), {}, "dates are read where all"),
    "one class": (column(*"xxxxxxxxx"), {"target": "a"}, "every row is x"),
    "a label missing": (column(*"xxxxxxxx", "y", ""), {"target": "a"}, "missing"),
    "no such target": (numbered(), {"target": "c"}, "no column c"),
    "no such column": (numbered(), {"columns": {"c": "integer"}}, "no column c"),
    "nothing of this name to drop": (numbered(), {"drop": "c"}, "data.drop:"),
    "the target dropped": (numbered(), {"drop": "b", "target": "b"}, "data.drop= leaves it out"),
    "nothing left": (numbered(), {"drop": ("a", "b")}, "leaves no column"),
    "no integer": (numbered(), {"columns": {"b": "integer"}}, "not whole"),
    "no number": (column(*"xyzxyz"), {"columns": {"a": "numeric"}}, "x is no number"),
    "no date": (numbered(), {"columns": {"b": "date"}}, "no pattern fits"),
    "no order": (column(*"xyzxyz"), {"columns": {"a": "ordinal"}}, "data.columns={a: [low,high]}"),
    "a level left out": (column(*"xyzxyz"), {"columns": {"a": ("x", "y")}}, "name all its levels"),
    "a level twice": (column(*"xyzxyz"), {"columns": {"a": ("x", "y", "z", "x")}}, "named twice"),
    "too many levels": (column(*range(90)), {"columns": {"a": "categorical"}}, "90 different texts in 90 rows"),
    "no rows for training": (numbered(), {"val": 0.5, "test": 0.5}, "nothing is left for training"),
}  # fmt: skip
USAGE = {"no delimiter", "a quote between cells", "no such encoding", "no rows for training"}  # of the command line


@pytest.mark.parametrize("case", REFUSED)
def test_files_that_are_refused(case, tmp_path):
    """In one line, with the exit code of the data or of the command line."""
    text, keys, words = REFUSED[case]
    path = tmp_path / "table.csv"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(GenkitError, match=re.escape(words)) as refusal:
        Table(root=str(path), **keys)
    assert "\n" not in str(refusal.value)
    assert refusal.value.exit_code == (2 if case in USAGE else 3)


SAMPLES = {
    "an unseen level": (("Ulm", "Rome"), "column city: Rome is not one of the levels"),
    "no number": (("40", "forty"), "column age: forty is not a number"),
    "a new missing cell": (("0.00", ""), "column income has missing cells"),
    "a missing column": (("income", "wealth"), "no column income"),
}  # fmt: skip


@pytest.mark.parametrize("case", SAMPLES)
def test_samples_that_the_data_cannot_have(case, people, tmp_path):
    (old, new), words = SAMPLES[case]
    rows = [[column.name for column in people.table.columns]]
    rows.append(["40", "0.00", "Ulm", "0113", "0", "2024-01-05", "low", "", "earth", "old"])
    changed = [[new if cell == old else cell for cell in row] for row in rows]
    path = tmp_path / "samples.csv"
    path.write_text("\n".join(",".join(row) for row in changed) + "\n")
    with pytest.raises(GenkitError) as refusal:
        read_rows(path, people.spec)
    assert words in str(refusal.value)
    path.write_text("\n".join(",".join(reversed(row)) for row in rows) + "\n")
    assert len(read_rows(path, people.spec)) == 1


def test_the_embedded_tables():
    for name, rows, width in (("wine", 178, 14), ("breast_cancer", 569, 31)):
        data = Table(name=name)
        assert sum(map(len, data.rows.values())) == rows
        assert len(data.table.columns) == width
        assert data.spec.num_classes == len(data.table.columns[-1].form.texts)
