"""Real trainings: the diagnosis names the planted fault of nearly every run of each kind, and accuses no healthy run.

The whole protocol, ten runs of each kind and thirty healthy ones, is `scripts/diagnosis.py`, which prints the figures
and takes twenty minutes; the slow tests have some of its runs, the quick ones two that are cut short.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable
from pathlib import Path

import pytest
from planted import KINDS, Planted, planted

from genkit import cli
from genkit.assembly.diagnosis import faults_of
from genkit.assembly.run_facts import facts_of

DIVERGED = 5
RUNS, NAMED = 3, 2  # of each kind; on another processor a run may end otherwise
HEALTHY_RUNS = 6


def diagnosed(runs: Iterable[Planted], folder: Path) -> list[list[str]]:
    """The names of the faults of each training, after `genkit diagnose`."""
    found = []
    for run in runs:
        path = folder / run.name
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            assert cli.main([*run.words, f"run_dir={path}"]) in (0, DIVERGED)
            assert cli.main(["diagnose", str(path)]) == 0
        found.append([fault.name for fault in faults_of(facts_of(path))])
    return found


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_planted_fault_is_named(kind: str, tmp_path: Path) -> None:
    found = diagnosed(planted(kind, RUNS), tmp_path)
    assert sum(kind in names for names in found) >= NAMED, found


@pytest.mark.slow
def test_no_healthy_run_is_accused(tmp_path: Path) -> None:
    assert diagnosed(planted("healthy", HEALTHY_RUNS), tmp_path) == [[]] * HEALTHY_RUNS


@pytest.mark.parametrize("kind", ["divergence", "posterior collapse"])
def test_one_of_a_kind(kind: str, tmp_path: Path) -> None:
    (first,) = planted(kind, 1)
    words = (*first.words, "trainer.max_steps=80", "samples.every_n_steps=0", "samples.n=4")
    assert kind in diagnosed([first._replace(words=words)], tmp_path)[0]
