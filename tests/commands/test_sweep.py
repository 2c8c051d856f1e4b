"""Several runs by one command line."""

from __future__ import annotations

import signal
from pathlib import Path

from command_cases import MLP, QUICK, Child, arguments, digest, done, genkit, run_json

PLAN = ("checkpoint.every_n_steps=4", "checkpoint.keep=9")
OPTIONS = (*MLP, *QUICK, "trainer.max_steps=1")


def test_four_jobs_make_four_folders(work: Path) -> None:
    done("train", "-m", "model=vae,autoencoder", "seed=1,2", "run_dir=a, b", *OPTIONS)
    folders = sorted((work / "a, b").iterdir())
    assert [path.name for path in folders] == [
        "0-vae-digits",
        "1-vae-digits",
        "2-autoencoder-digits",
        "3-autoencoder-digits",
    ]
    assert [run_json(path)["seed"] for path in folders] == [1, 2, 1, 2]
    assert {run_json(path)["status"] for path in folders} == {"done"}
    assert [path.name for path in work.iterdir()] == ["a, b"]
    assert digest(folders[0] / "checkpoints") != digest(folders[1] / "checkpoints")


def test_without_run_dir_each_job_has_its_stamped_folder(work: Path) -> None:
    done("train", "-m", "seed=1,2", "model=vae", *OPTIONS)
    assert len(list((work / "outputs" / "train").iterdir())) == 2


def test_a_failing_job_does_not_stop_the_others(work: Path) -> None:
    """The second one diverges, the third has no such optimizer setting, the fourth is well again."""
    rates = "optimizer.lr=1e-3,1e30,-1,2e-3"
    answer = genkit("train", "-m", rates, "model=vae", *MLP, *QUICK, "trainer.max_steps=4", "run_dir=runs")
    assert answer.code == 5
    assert "2 of 4 jobs failed" in answer.err
    assert "job 1  exit 5" in answer.err
    assert "job 2  exit 2" in answer.err
    assert "Traceback" not in answer.err
    states = {path.name: (run_json(path)["status"], run_json(path)["exit_code"]) for path in (work / "runs").iterdir()}
    assert states == {"0-vae-digits": ("done", 0), "1-vae-digits": ("failed", 5), "3-vae-digits": ("done", 0)}


def test_a_sweep_that_was_killed_goes_on_where_it_was(work: Path) -> None:
    """Started again by the same words: what is done is left alone, what is broken is continued, the rest is run."""
    line = ("train", "-m", *arguments("vae", *PLAN)[1:], "trainer.max_steps=10,12,11")
    killed = Child([*line, "run_dir=runs"], work, work.parent / "log", {10: [signal.SIGKILL]}).wait()
    assert killed.code == -signal.SIGKILL, killed.said
    states = {path.name: run_json(path)["status"] for path in (work / "runs").iterdir()}
    assert states == {"0-vae-digits": "done", "1-vae-digits": "running"}
    before = digest(work / "runs" / "0-vae-digits")
    said = done(*line, "run_dir=runs")
    assert "0-vae-digits: done before: skipped" in said
    assert "1-vae-digits: resuming at step 8 (exact)" in said
    assert digest(work / "runs" / "0-vae-digits") == before
    done(*line, "run_dir=straight")
    for name in ("1-vae-digits/checkpoints", "2-vae-digits/checkpoints"):
        assert digest(work / "runs" / name) == digest(work / "straight" / name)
    assert [path.name for path in sorted((work / "runs").iterdir())] == [f"{i}-vae-digits" for i in range(3)]
    refused = genkit(*line, "optimizer.lr=1", "run_dir=runs")
    assert refused.code == 2
    assert "another job of this number stands here: optimizer.lr: 0.002 became 1" in refused.err
