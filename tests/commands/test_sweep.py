"""Several runs by one command line."""

from __future__ import annotations

from pathlib import Path

from command_cases import MLP, QUICK, digest, done, genkit, run_json

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
