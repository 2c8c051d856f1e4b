"""Comparing results: what is unlike is refused by name, seeds are grouped, and the three files say the same."""

import csv
import io
import json
import statistics
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from stored_scores import baseline, likelihood, record, written

from genkit.errors import ConfigError
from genkit.report.comparison import compare
from genkit.report.comparison_text import csv_text, legend, markdown
from genkit.report.forest import save_forest
from genkit.report.seeds import quantile

UNLIKE: dict[str, dict[str, Any]] = {
    "features": {"features": {"id": "raw/std", "normalize": "std"}, "name": "fid[raw]"},
    "reference": {"reference": {"name": "digits", "split": "train", "hash": "ffff6789ab"}},
    "n": {"n_fake": 50},
    "ddof": {"params": {"ddof": 0}},
    "k": {"params": {"ddof": 1, "k": 60}},
    "estimator": {"params": {"ddof": 1, "estimator": "unbiased"}},
}


@pytest.mark.parametrize("what", UNLIKE)
def test_unlike_rows_are_refused_and_both_are_named(tmp_path: Path, what: str) -> None:
    files = [
        written(tmp_path / "left", record("a", 1.0), record("a", 1.0, metric="kid", name="kid")),
        written(tmp_path / "right", record("b", 2.0, **UNLIKE[what]), record("b", 1.0, metric="kid", name="kid")),
    ]
    with pytest.raises(ConfigError, match=f"fid: a .*left.* has {what} .*, b .*right.* has .*metric=kid") as caught:
        compare(files)
    assert "\n" not in str(caught.value)
    assert list(compare(files, ["kid"])) == ["kid"]


def test_what_the_data_gave_is_no_condition(tmp_path: Path) -> None:
    left = record("a", 1.0, findings={"slope": 1.0})
    right = record("b", 2.0, findings={"slope": 2.0})
    assert len(compare([written(tmp_path / "x", left, right)])["fid[digits]"]) == 2


def test_likes_of_two_files_are_one_table(tmp_path: Path) -> None:
    trivial = baseline("pixel Gaussian", 9.0)
    left = written(tmp_path / "left", record("vae", 1.0), record("gone", None, status="n/a: no"), trivial)
    right = written(tmp_path / "right", record("vae", 2.0), trivial)
    [block] = compare([left, right]).values()
    assert [row.source for row in block] == ["vae left", "vae right", "pixel Gaussian"]
    assert [row.rank for row in block] == [1, 2, None]


def test_rows_of_one_name_in_folders_of_one_name_are_told_apart(tmp_path: Path) -> None:
    files = [written(tmp_path / name / "eval", record("vae", value)) for name, value in (("a", 1.0), ("b", 2.0))]
    [block] = compare(files).values()
    assert len({row.source for row in block}) == 2


def test_markdown_csv_and_picture_say_the_same(tmp_path: Path) -> None:
    coverage = {"metric": "coverage", "name": "coverage", "direction": "max"}
    nodes = [
        *(record("a|b", 1.0), record("c", 2.0), record("$\\frac{$ \U0001f600", None, status="not finite")),
        record("c", 0.7, **coverage),
        *(likelihood("c", 2.0, "lower"), likelihood("d", 5.0, "exact"), likelihood("e", 4.0, "estimate")),
        *(baseline("pixel Gaussian", 1.5), baseline("pixel Gaussian", 0.3, **coverage)),
    ]
    table = compare([written(tmp_path / "x", *nodes)])
    text = markdown(table)
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.replace("\\|", "").count("|") for line in lines}) == 1
    cells = {row[0]: row[1:4] for row in ([word.strip() for word in line.split(" | ")] for line in lines[2:])}
    assert cells["| a\\|b"] == ["#1 1.00 [0.900, 1.10]", "n/a", "n/a"]
    assert cells["| c"] == ["#3 2.00 [1.90, 2.10] †", "0.700 [0.600, 0.800]", "#1 ≤ 2.00 [1.90, 2.10]"]
    assert next(found for name, found in cells.items() if "frac" in name) == ["not finite", "n/a", "n/a"]
    assert cells["| d"][2] == "#2 5.00 [4.90, 5.10]"
    assert cells["| e"][2] == "≈ 4.00 [3.90, 4.10]"
    assert "1,234 | 500 | 64,000 | | 0.500" in " ".join(lines[2].split())
    for said in ("≤ is a bound", "≈ is an estimate", "†: surely worse than the trivial baseline pixel Gaussian"):
        assert said in text
    found = list(csv.DictReader(io.StringIO(csv_text(table)), strict=True))
    fid = [row for row in found if row["metric"] == "fid[digits]"]
    assert [(row["source"], row["rank"], row["status"]) for row in fid[:2]] == [("a|b", "1", "ok"), ("c", "3", "ok")]
    assert (fid[2]["status"], fid[2]["value"], fid[2]["rank"]) == ("not finite", "", "")
    assert [row["mark"] for row in found if row["metric"] == "nll"] == ["≤", "≈", ""]
    assert (float(fid[0]["ratio"]), json.loads(fid[0]["params"])) == (5.0, {"ddof": 1})
    save_forest(tmp_path / "p.png", table)
    assert (tmp_path / "p.png").read_bytes()[:4] == b"\x89PNG"


def test_a_legend_explains_only_what_occurs(tmp_path: Path) -> None:
    assert legend(compare([written(tmp_path / "x", record("a", 1.0))])) == []


def test_unknown_metrics_are_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="metric=kid: these results have fid"):
        compare([written(tmp_path / "x", record("a", 1.0))], ["kid"])


def of_seed(seed: int, value: float, config: str = "c0ffee", **changes: Any) -> dict[str, Any]:
    model = {"family": "vae", "train_seed": seed, "config": config, "ckpt_sha256": str(seed), "parameters": 7}
    return record("vae", value, model={**model, **changes})


def test_runs_that_differ_in_the_seed_alone_are_one_row(tmp_path: Path) -> None:
    values = (1.0, 1.2, 1.7)
    files = [written(tmp_path / str(seed), of_seed(seed, value)) for seed, value in enumerate(values)]
    files.append(written(tmp_path / "other", of_seed(0, 3.0, config="another")))
    files.append(written(tmp_path / "raw", of_seed(1, 4.0, weights="raw")))
    group, *others = compare(files)["fid[digits]"]
    mean, sd = statistics.mean(values), statistics.stdev(values)
    assert (group.source, group.seeds, len(others)) == ("vae, 3 seeds", (0, 1, 2), 2)
    assert (group.value, group.sd) == pytest.approx((mean, sd))
    assert group.interval == pytest.approx((mean - 4.3027 * sd / 3**0.5, mean + 4.3027 * sd / 3**0.5))
    assert group.ratio == pytest.approx(mean / 0.2)
    assert "vae, 3 seeds" in markdown({"fid": [group]})


def test_a_seed_that_occurs_twice_or_diverged_makes_no_mean(tmp_path: Path) -> None:
    again = [of_seed(0, 1.0), of_seed(0, 1.1, ckpt_sha256="again")]
    assert len(compare([written(tmp_path / "x", *again)])["fid[digits]"]) == 2
    gone = {**of_seed(1, 1.0), "value": None, "ci95": None, "status": "not finite"}
    assert len(compare([written(tmp_path / "y", of_seed(0, 1.0), gone)])["fid[digits]"]) == 2


def test_student_s_quantile_goes_over_into_the_normal_one() -> None:
    """2.1448 with 14 degrees of freedom, 2.0423 with 30, by any table."""
    assert (quantile(14), quantile(30)) == pytest.approx((2.1448, 2.0423), abs=5e-4)
    found = [quantile(freedom) for freedom in (*range(1, 40), 10**6)]
    assert found == sorted(found, reverse=True)
    assert found[-1] == pytest.approx(1.95996, abs=1e-4)


def steps_to_compare(folder: Path, count: int) -> int:
    """Lines of Python that are run in genkit's reports for a comparison of `count` records."""
    file = written(folder, *(record(f"model {i}", 1.0 + 0.05 * i) for i in range(count)))
    lines = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal lines
        if f"genkit{'/'}report" not in frame.f_code.co_filename.replace("\\", "/"):
            return None
        lines += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        table = compare([file])
        markdown(table), csv_text(table)
    finally:
        sys.settrace(before)
    return lines


def test_the_work_grows_with_the_records_and_not_with_their_square(tmp_path: Path) -> None:
    few, many = steps_to_compare(tmp_path / "few", 50), steps_to_compare(tmp_path / "many", 200)
    assert few > 50 * 20
    assert many < 4.6 * few
