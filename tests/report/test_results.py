"""Reports: strict JSON, a CSV that reads back, and one table that fits 100 columns and hides nothing."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from genkit.evaluation.record import Record, display_name
from genkit.evaluation.reference import Floor
from genkit.report.results import COLUMNS, SCHEMA, strict, write_csv, write_json
from genkit.report.rows import read_rows
from genkit.report.table import number, print_table

FID = Record(
    metric="fid",
    name="fid[digits]",
    source="diffusion",
    direction="min",
    unit="feature²",
    divergence=True,
    reference={"name": "digits", "split": "test", "n": 899, "hash": "e7bad83be8ec"},
    seed=0,
    value=1.5,
    ci95=(1.25, 1.75),
    floor=Floor((0.4, 0.5, 0.6), "halves"),
    n_fake=898,
    n_ref=899,
    features={"id": "digits/fc64@3c46c1ce", "normalize": "std_train"},
)
COVERAGE = replace(
    FID, metric="coverage", name="coverage[digits]", value=0.9, ci95=(0.88, 0.92), direction="max", divergence=False
)
SKIPPED = replace(
    FID, metric="nll", name="nll", value=None, ci95=None, floor=None, n_fake=None, status="n/a: GAN gives no log prob"
)
BROKEN = replace(FID, value=None, ci95=(float("nan"), float("inf")), status="not finite", time_s=float("nan"))


def printed(*records: Record, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    print_table(records, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_json_is_strict_and_complete(tmp_path: Path) -> None:
    write_json(tmp_path / "out" / "results.json", [FID, SKIPPED, BROKEN], {"command": "eval", "loss": float("inf")})

    def refuse(constant: str) -> Any:
        raise AssertionError(constant)

    node = json.loads((tmp_path / "out" / "results.json").read_text(), parse_constant=refuse)
    assert (node["schema"], node["meta"]) == (SCHEMA, {"command": "eval", "loss": None})
    fid, skipped, broken = node["results"]
    assert (fid["value"], fid["ci95"], fid["ratio_to_floor"]) == (1.5, [1.25, 1.75], 3.0)
    assert fid["floor"] == {"mean": pytest.approx(0.5), "sd": pytest.approx(0.1), "repeats": 3, "kind": "halves"}
    assert (skipped["value"], skipped["status"]) == (None, "n/a: GAN gives no log prob")
    assert (broken["value"], broken["ci95"], broken["status"]) == (None, [None, None], "not finite")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["results.json"]


def test_a_diverged_model_reads_back_from_both_files(tmp_path: Path) -> None:
    """By readers that know nothing of genkit, and by `compare`: no value, and a status that says why."""
    write_json(tmp_path / "results.json", [FID, BROKEN], {})
    write_csv(tmp_path / "results.csv", [FID, BROKEN])
    with (tmp_path / "results.csv").open(newline="") as file:
        lines = list(csv.DictReader(file, strict=True))
    assert [(line["value"], line["lo"], line["status"]) for line in lines] == [
        ("1.5", "1.25", "ok"),
        ("", "", "not finite"),
    ]
    assert [(row.value, row.interval) for row in read_rows(tmp_path / "results.json")] == [
        (1.5, (1.25, 1.75)),
        (None, None),
    ]


@pytest.mark.parametrize(("kind", "text"), [("exact", "1.50 ["), ("lower", "≤ 1.50 ["), ("estimate", "≈ 1.50 [")])
def test_bounds_and_estimates_are_marked(kind: str, text: str) -> None:
    line = next(line for line in printed(replace(FID, kind=kind)).splitlines() if line.startswith("fid"))
    assert f"↓ {text}" in " ".join(line.split())


def test_a_diverged_model_is_called_so() -> None:
    assert "not finite" in printed(BROKEN)


def test_csv_reads_back(tmp_path: Path) -> None:
    awkward = replace(FID, source='a,"b"\nc', warnings=("one", "two"))
    write_csv(tmp_path / "results.csv", [awkward, COVERAGE, SKIPPED])
    with (tmp_path / "results.csv").open(newline="") as file:
        fid, coverage, skipped = csv.DictReader(file)
    assert tuple(fid) == COLUMNS
    assert (fid["source"], fid["warnings"], float(fid["value"])) == ('a,"b"\nc', "one; two", 1.5)
    assert (float(fid["ratio"]), fid["difference"]) == (3.0, "")
    assert (coverage["ratio"], float(coverage["difference"])) == ("", pytest.approx(0.4))
    assert (skipped["value"], skipped["lo"], skipped["status"]) == ("", "", "n/a: GAN gives no log prob")


def test_strict_leaves_finite_trees_alone() -> None:
    assert strict({"a": [1, 2.5, None, True, "x"]}) == {"a": [1, 2.5, None, True, "x"]}
    assert strict({"a": (float("nan"), {"b": float("-inf")})}) == {"a": [None, {"b": None}]}


def test_table_of_one_source() -> None:
    lines = printed(FID, COVERAGE, SKIPPED).splitlines()
    fid, coverage, skipped = (next(line for line in lines if line.startswith(name)) for name in ("fid", "cov", "nll"))
    for part in ("1.50 [1.25, 1.75]", "0.500 ±0.100", "3.0x", "898/899", "↓"):
        assert part in fid
    for part in ("0.900 [0.880, 0.920]", "+0.400", "↑"):
        assert part in coverage
    assert "n/a" in skipped
    assert "(1) n/a: GAN gives no log prob" in lines
    assert "features: digits/fc64@3c46c1ce" in lines
    assert "floor: halves (3 repeats)" in lines


def test_table_of_several_sources_fits_and_says_a_reason_once() -> None:
    sources = ("diffusion", "pixel [Gaussian]", "outputs/train/20251120-190000-diffusion-digits/checkpoints/latest")
    text = printed(*(replace(record, source=source) for source in sources for record in (FID, COVERAGE, SKIPPED)))
    assert all(len(line) <= 100 for line in text.splitlines())
    assert text.count("fid[digits]") == 1
    assert text.count("1.50 [1.25, 1.75]") == 3
    assert text.count("GAN gives no log prob") == 1
    assert text.count("pixel [Gaussian]") == 3


def test_a_warning_and_the_kind_of_a_likelihood_are_noted() -> None:
    text = printed(replace(FID, warnings=("below the floor",)), replace(SKIPPED, value=2.0, status="ok", kind="lower"))
    assert "(1) below the floor" in text
    assert "(2) a bound on the likelihood" in text


@pytest.mark.parametrize("width", [20, 40, 60, 100])
def test_a_narrow_terminal_shows_every_figure(width: int) -> None:
    text = printed(replace(FID, n_ref=12_345, bias_corrected=1.25), width=width)
    assert "fid[digits] ↓" in text
    assert all(figure in text for figure in ("1.50 [1.25, 1.75]", "0.500 ±0.1", "3.0x", "898/12,345"))
    assert "(1) bias-corrected: 1.25" in " ".join(text.split())


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((123.456, "123"), (12.345, "12.3"), (1.2345, "1.23"), (0.12345, "0.123"), (0.012345, "0.0123")),
        *((0.0, "0.0000"), (-0.5, "-0.500"), (1.5e-7, "1.50e-07"), (2.5e8, "2.50e+08")),
    ],
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert number(value) == text


def test_a_huge_ratio_to_the_floor_keeps_its_column() -> None:
    assert FID.floor is not None
    assert "1.00e+30x" in printed(replace(FID, value=1e30 * FID.floor.mean))


def test_names_carry_their_features() -> None:
    assert display_name("fid", "digits") == "fid[digits]"
    assert display_name("fid", "inception") == "fid"
    assert display_name("nll", None) == "nll"
