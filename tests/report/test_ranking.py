"""Ranks by hand: only what is decided, bounds and baselines included."""

from pathlib import Path
from typing import Any

import pytest
from stored_scores import baseline, likelihood, record, rows

from genkit.evaluation.baseline import BASELINES
from genkit.report.ranking import NOT_TRIVIAL, ranked

MAX, NEAR, BOUND = {"direction": "max"}, {"direction": "near"}, {"measures_bound": True}
CASES: dict[str, tuple[list[dict[str, Any]], dict[str, int | None]]] = {
    # [0.9, 1.1] and [1.05, 1.25] overlap; [1.15, 1.35] overlaps the second alone; [2.9, 3.1] none
    "overlap": (
        [record("d", 3.0), record("a", 1.0), record("c", 1.25), record("b", 1.15)],
        {"a": 1, "b": 1, "c": 2, "d": 4},
    ),
    "intervals that touch": (
        [record("a", 1.0, 0.5), record("b", 2.0, 0.5), record("c", 4.0)],
        {"a": 1, "b": 1, "c": 3},
    ),
    "higher is better": ([record("a", 0.5, **MAX), record("b", 0.9, **MAX)], {"b": 1, "a": 2}),
    "no interval": ([record("a", 1.0, None), record("b", 5.0), record("c", 6.0)], {"a": None, "b": 1, "c": 2}),
    "near": ([record("a", 1.0, **NEAR), record("b", 5.0, **NEAR)], {"a": None, "b": None}),
    "one alone": ([record("a", 1.0), baseline("pixel Gaussian", 9.0)], {"a": None, "pixel Gaussian": None}),
    "a second without an interval": ([record("a", 1.0), record("b", 5.0, None)], {"a": None, "b": None}),
    "not finite": (
        [record("nan", None, status="not finite"), record("a", 1.0), record("b", 2.0)],
        {"a": 1, "b": 2, "nan": None},
    ),
    "a trivial baseline is better than all": (
        [record("a", 3.0), record("b", 5.0), baseline("pixel Gaussian", 1.0)],
        {"a": 2, "b": 3, "pixel Gaussian": None},
    ),
    "a trivial baseline is no worse": (
        [record("a", 1.05), record("b", 5.0), baseline("pixel Gaussian", 1.0)],
        {"a": 1, "b": 3, "pixel Gaussian": None},
    ),
    "real data and copies are better than all": (
        [record("a", 3.0), record("b", 5.0), baseline("training copies", 0.5), baseline("real data", 0.6)],
        {"a": 1, "b": 2, "training copies": None, "real data": None},
    ),
    "a bound below an exact value": (
        [likelihood("flow", 4.0, "exact"), likelihood("vae", 2.0, "lower")],
        {"vae": 1, "flow": 2},
    ),
    "two bounds below an exact value": (  # the truth behind the second may be the better one
        [likelihood("a", 2.0, "lower"), likelihood("b", 3.0, "lower"), likelihood("flow", 5.0, "exact")],
        {"a": 1, "b": 1, "flow": 3},
    ),
    "a bound above an exact value": (
        [likelihood("flow", 4.0, "exact"), likelihood("vae", 5.0, "lower")],
        {"flow": None, "vae": None},
    ),
    "a bound between exact values": (
        [likelihood("a", 2.0, "exact"), likelihood("b", 5.0, "exact"), likelihood("vae", 3.0, "lower")],
        {"a": 1, "vae": None, "b": 3},
    ),
    "bounds alone": ([likelihood("a", 2.0, "lower"), likelihood("b", 5.0, "lower")], {"a": None, "b": None}),
    "bounds by name": (
        [likelihood("a", 2.0, "lower", **BOUND), likelihood("b", 5.0, "lower", **BOUND)],
        {"a": 1, "b": 2},
    ),
    "a lower bound on what should be high": (
        [likelihood("flow", 4.0, "exact", **MAX), likelihood("vae", 5.0, "lower", **MAX)],
        {"vae": 1, "flow": 2},
    ),
    "an estimate": (
        [likelihood("a", 2.0, "estimate"), likelihood("b", 5.0, "exact"), likelihood("c", 6.0, "exact")],
        {"a": None, "b": 1, "c": 2},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_rank_is_one_and_the_rows_that_are_surely_better(case: str, tmp_path: Path) -> None:
    records, expected = CASES[case]
    found = ranked(rows(tmp_path / "x", *records))
    assert {row.source: row.rank for row in found} == expected
    assert [row.source for row in found] == list(expected)  # best first, not finite after, baselines last


def test_a_row_that_a_trivial_baseline_surely_beats_says_so(tmp_path: Path) -> None:
    trivial = [baseline("pixel marginals", 2.0), baseline("pixel Gaussian", 1.0), baseline("real data", 0.1)]
    found = ranked(rows(tmp_path / "x", record("a", 1.1), record("b", 1.5), *trivial))
    assert [row.beaten_by for row in found] == [None, "pixel Gaussian", None, None, None]


def test_the_baselines_that_are_not_trivial_are_named_as_they_are_called() -> None:
    assert BASELINES["copies"][0] in NOT_TRIVIAL
    assert "real data" in NOT_TRIVIAL
    assert not {BASELINES[name][0] for name in ("gaussian", "marginals", "mixture")} & set(NOT_TRIVIAL)
