"""Scores while training: what they are of, that they choose the best checkpoint, and that they change nothing else."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from command_cases import Child, arguments, digest, lines

from genkit.cli import main

SMALL = ("trainer.max_steps=12", "trainer.val_every_n_steps=3", "checkpoint.every_n_steps=6", "quick.n=24")
SCORED = ("metric=[coverage,fid]", "quick.every_n_steps=6")
BEST = ("checkpoint.monitor=quick/coverage", "checkpoint.mode=max", "checkpoint.keep=9")


def trained(run: Path, *words: str, family: str = "vae") -> Path:
    assert main(arguments(family, *SMALL, *words, f"run_dir={run}")) == 0
    return run


def scores(run: Path) -> dict[int, dict[str, Any]]:
    found = {line["step"]: {k: v for k, v in line.items() if k.startswith("quick/")} for line in lines(run)}
    return {step: terms for step, terms in found.items() if terms}


def test_a_score_says_its_count_interval_and_floor_and_decides_what_is_best(tmp_path: Path, capsys) -> None:
    run = trained(tmp_path / "run", *SCORED, *BEST)
    found = scores(run)
    assert list(found) == [6, 12]
    for terms in found.values():
        assert terms["quick/n"] == 24
        assert terms["quick/coverage/low"] <= terms["quick/coverage"] <= terms["quick/coverage/high"]
        assert "quick/fid/low" not in terms  # 24 samples in 64 feature dimensions
        assert 0 < terms["quick/fid/floor"] < terms["quick/fid"]
    best = max(found, key=lambda step: (found[step]["quick/coverage"], -step))
    assert (run / "best").read_text().strip() == f"step-{best:08d}"
    assert "quick scores at step 6 (24 samples against 100 val examples): coverage[digits]" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("ema", ["ema={decay: 0.9}", "ema=null"])
def test_scoring_changes_nothing_that_is_trained(tmp_path: Path, ema: str) -> None:
    words = () if ema != "ema=null" else (ema,)
    plain, scored = (
        trained(tmp_path / "a", *words, family="gan"),
        trained(tmp_path / "b", *words, *SCORED, family="gan"),
    )
    for step in (6, 12):
        for name in ("model.safetensors", "training.safetensors"):
            a, b = ((run / "checkpoints" / f"step-{step:08d}" / name).read_bytes() for run in (plain, scored))
            assert a == b


@pytest.mark.slow
def test_killed_and_resumed_it_scores_and_chooses_the_same(tmp_path: Path) -> None:
    plan = [*arguments("autoencoder", *SMALL, *SCORED, *BEST, "trainer.max_steps=24")]
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    whole = Child([*plan, f"run_dir={straight}"], tmp_path, tmp_path / "a.log")
    part = Child([*plan, f"run_dir={killed}"], tmp_path, tmp_path / "b.log", {16: [signal.SIGKILL]})
    assert whole.wait().code == 0, whole.log.read_text()
    assert part.wait().code == -signal.SIGKILL, part.log.read_text()
    done = Child(["train", f"resume={killed}"], tmp_path, tmp_path / "c.log").wait()
    assert done.code == 0, done.said
    assert "(exact)" in done.said
    assert (killed / "metrics.jsonl").read_bytes() == (straight / "metrics.jsonl").read_bytes()
    assert (killed / "best").read_text() == (straight / "best").read_text()
    assert digest(killed / "checkpoints") == digest(straight / "checkpoints")


def test_early_stopping_may_watch_a_score(tmp_path: Path) -> None:
    stop = ("callbacks=early_stopping", "callbacks.early_stopping.monitor=quick/fid")
    patience = ("callbacks.early_stopping.patience=1", "callbacks.early_stopping.min_delta=1000000")
    run = trained(tmp_path / "run", "metric=fid", "quick.every_n_steps=6", *stop, *patience, "trainer.max_steps=40")
    assert json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])["step"] == 12


REFUSED = {
    "no validation there": (("quick.every_n_steps=4", "metric=fid"), "a multiple of trainer.val_every_n_steps=3"),
    "no such score": (("metric=fid", "checkpoint.monitor=quick/kid"), "add metric=kid"),
    "no score at all": (("checkpoint.monitor=quick/fid",), "add metric=fid"),
    "the wrong way": (("metric=fid", "checkpoint.monitor=quick/fid", "checkpoint.mode=max"), "set min"),
    "no way": (("metric=authenticity", "checkpoint.monitor=quick/authenticity"), "neither high nor low values"),
    "no right to it": (("metric=mode_coverage",), "vector data"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_scored_is_refused_before_anything_is_written(tmp_path: Path, capsys, case: str) -> None:
    words, reason = REFUSED[case]
    assert main(arguments("vae", *SMALL, *words, f"run_dir={tmp_path / 'run'}")) == 2
    line = capsys.readouterr().err
    assert reason in line
    assert line.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_of_a_suite_what_does_not_apply_is_left_out(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", "metric=suite/image", "quick.every_n_steps=12", family="gan")
    assert {"quick/fid", "quick/kid"} <= scores(run)[12].keys()
    assert "quick/bits_per_dim" not in scores(run)[12]
