"""scripts/bench.py: which rows a page has, what a ratio is, and every kind of row in small. No time is asserted."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    sys.path.append(str(SCRIPTS))
    import bench

    return bench


def test_rows_are_chosen_by_name_and_by_its_beginning(bench: ModuleType) -> None:
    names = [row.name for row in bench.BENCHES]
    assert len(set(names)) == len(names)
    quick, full = bench.chosen_of([], full=False), bench.chosen_of([], full=True)
    assert [row.name for row in full] == names
    assert [row.name for row in quick] == [row.name for row in full if not row.full]
    assert [row.name for row in bench.chosen_of(["save-1"], full=False)] == ["save-1"]
    assert {row.name for row in bench.chosen_of(["save", "metrics-fid-2048"], full=False)} == {
        "save-1", "save-30", "save-150", "metrics-fid-2048"
    }  # fmt: skip
    for name in names:
        assert [row.name for row in bench.chosen_of([name], full=False)] == [name]


def test_an_unknown_row_is_refused_with_those_that_there_are(
    bench: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        bench.main(["fid"])
    assert "fid: no row begins so; there are trainer-small" in capsys.readouterr().err


def test_sides_take_turns_and_the_first_one_changes(bench: ModuleType) -> None:
    calls: list[str] = []

    def side(name: str, cost: float) -> float:
        calls.append(name)
        return cost

    costs = sys.modules["benches.comparison"].in_turns(partial(side, "ours", 1.0), partial(side, "theirs", 4.0), 4)
    assert calls == ["ours", "theirs", "theirs", "ours", "ours", "theirs", "theirs", "ours"]
    assert costs.ratios == (0.25,) * 4
    assert costs.over(2.0).ours == (0.5,) * 4


def test_a_page_has_the_date_the_versions_and_the_ratios(
    bench: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    comparison = sys.modules["benches.comparison"]
    costs = comparison.Costs((0.010, 0.012, 0.030), (0.020, 0.020, 0.020))
    row = partial(comparison.Bench, peer="a peer", unit="CPU s")
    fixed = row("sum-fixed", "a sum", measure=lambda rounds: costs)
    absent = row("sum-absent", "another", measure=lambda rounds: costs, needs=[lambda: "a peer is not installed"])
    monkeypatch.setattr(bench, "BENCHES", [fixed, absent])
    monkeypatch.setattr(bench, "load", lambda: 1e3)
    bench.main(["sum"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("genkit beside others, 20")
    assert all(name in lines[1] for name in ("Python 3.", "genkit ", "torch ", "torchmetrics "))
    assert "processors" in lines[2]
    assert lines[3].startswith("not idle: 1000.0 processes")
    assert lines[5].split() == ["sum-fixed", "a", "sum", "12", "CPU", "ms", "20", "CPU", "ms", "a", "peer", "0.60",
                                "[0.50,", "1.50]", "3"]  # fmt: skip
    assert lines[6].split() == ["sum-absent", "another", "a", "peer", "a", "peer", "is", "not", "installed"]


def test_scores_are_compared_before_times(bench: ModuleType) -> None:
    scores = sys.modules["benches.scores"]
    assert len(scores.frechet(60, 4, 1).ratios) == 1
    with pytest.raises(ValueError, match=r"the two sides score 1\.0 and 2\.0"):
        scores.compared(lambda x, y: [1.0], lambda x, y: [2.0], 1e-3, 10, 2, 1)


@pytest.mark.slow
def test_every_row_measures_something(bench: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With sizes at which a time says nothing."""
    training, scores, loading = (sys.modules[f"benches.{name}"] for name in ("training", "scores", "loading"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(training, "SIZES", dict.fromkeys(training.SIZES, ((4,), 8, 12)))
    monkeypatch.setattr(training, "TEXT_STEPS", 12)
    monkeypatch.setattr(scores, "ROWS", 400)
    for name, value in {"DECODED": 20, "READ": 1, "STEPS": 20}.items():
        monkeypatch.setattr(loading, name, value)
    for row in bench.BENCHES:
        if row.full or row.missing():
            continue
        costs = row.measure(1)
        assert min(costs.ours + costs.theirs) > 0, row.name
