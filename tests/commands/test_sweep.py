"""Several runs by one command line."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from command_cases import MLP, QUICK, Child, arguments, digest, done, genkit, run_json

from genkit.config.hydra.sweep import job_name, label_of_values, short_keys, swept_values

PLAN = ("checkpoint.every_n_steps=4", "checkpoint.keep=9")
OPTIONS = (*MLP, *QUICK, "trainer.max_steps=1")


def test_four_jobs_make_four_folders(work: Path) -> None:
    done("train", "-m", "model=vae,autoencoder", "seed=1,2", "run_dir=a, b", *OPTIONS)
    *folders, index = sorted((work / "a, b").iterdir())
    assert [job["folder"] for job in json.loads(index.read_text())["jobs"]] == [path.name for path in folders]
    assert [path.name for path in folders] == [
        "0-model=vae,seed=1",
        "1-model=vae,seed=2",
        "2-model=autoencoder,seed=1",
        "3-model=autoencoder,seed=2",
    ]
    assert [run_json(path)["seed"] for path in folders] == [1, 2, 1, 2]
    assert {run_json(path)["status"] for path in folders} == {"done"}
    assert [path.name for path in work.iterdir()] == ["a, b"]
    assert digest(folders[0] / "checkpoints") != digest(folders[1] / "checkpoints")


def test_without_run_dir_a_sweep_has_its_stamped_folder_and_ends_with_a_table(work: Path) -> None:
    """Each job with its values, status, best score and folder; the command that comes next; and it works."""
    said = done("train", "-m", "optimizer.lr=1e-3,1e-4", "model=vae", *OPTIONS, "trainer.val_every_n_steps=1")
    (sweep,) = (work / "outputs" / "train").iterdir()
    *_, header, first, second, best, picture, following = said.splitlines()
    assert header.split() == ["job", "lr", "status", "val/loss", "folder"]
    for line, value, number in ((first, "0.001", 0), (second, "0.0001", 1)):
        folder = sweep.relative_to(work) / f"{number}-lr={value}"
        score = run_json(folder)["best"]["value"]
        assert line.split() == [str(number), value, "done", f"{score:.5g}", str(folder)]
    assert best.startswith("best: lr=0.00")
    assert picture == f"picture: {sweep.relative_to(work)}/sweep.png"
    assert (sweep / "sweep.png").read_bytes().startswith(b"\x89PNG")
    assert following == f"next: genkit eval ckpt={sweep.relative_to(work)}"
    words = ("metric=mse", "n=20", "bootstrap=0", "floor_repeats=0", "baselines=false", "out=scores")
    done("eval", following.rpartition(" ")[2], *words)
    results = json.loads((work / "scores" / "results.json").read_text())["results"]
    assert [record["source"] for record in results] == ["vae 0-lr=0.001", "vae 1-lr=0.0001"]


def test_a_failing_job_does_not_stop_the_others(work: Path) -> None:
    """The second one diverges, the third has no such optimizer setting, the fourth is well again."""
    rates = "optimizer.lr=0.001,1e12,-1,0.002"
    options = (*MLP, *QUICK, "trainer.max_steps=4", "trainer.gradient_clip=0", "run_dir=runs")
    answer = genkit("train", "-m", rates, "model=vae", *options)
    assert answer.code == 5
    assert "2 of 4 jobs failed" in answer.err
    assert "job 1  exit 5" in answer.err
    assert "job 2  exit 2" in answer.err
    assert "Traceback" not in answer.err
    states = {path.name: (run_json(path)["status"], run_json(path)["exit_code"]) for path in jobs(work / "runs")}
    assert states == {"0-lr=0.001": ("done", 0), "1-lr=1000000000000.0": ("failed", 5), "3-lr=0.002": ("done", 0)}
    rows = [line.split() for line in answer.out.splitlines() if line[:1].isdigit()]
    assert [row[2:4] for row in rows if len(row) > 2][1:3] == [["exit", "5"], ["exit", "2"]]


def test_a_sweep_that_was_killed_goes_on_where_it_was(work: Path) -> None:
    """Started again by the same words: what is done is left alone, what is broken is continued, the rest is run."""
    line = ("train", "-m", *arguments("vae", *PLAN)[1:], "trainer.max_steps=10,12,11")
    killed = Child([*line, "run_dir=runs"], work, work.parent / "log", {10: [signal.SIGKILL]}).wait()
    assert killed.code == -signal.SIGKILL, killed.said
    states = {path.name: run_json(path)["status"] for path in jobs(work / "runs")}
    assert states == {"0-max_steps=10": "done", "1-max_steps=12": "running"}
    before = digest(work / "runs" / "0-max_steps=10")
    said = done(*line, "run_dir=runs")
    assert "0-max_steps=10: done before: skipped" in said
    assert "1-max_steps=12: resuming at step 8 (exact)" in said
    assert digest(work / "runs" / "0-max_steps=10") == before
    done(*line, "run_dir=straight")
    for name in ("1-max_steps=12/checkpoints", "2-max_steps=11/checkpoints"):
        assert digest(work / "runs" / name) == digest(work / "straight" / name)
    assert [path.name for path in jobs(work / "runs")] == ["0-max_steps=10", "1-max_steps=12", "2-max_steps=11"]


def test_a_sweep_grows_in_front_and_in_length(work: Path) -> None:
    """Its jobs are known by their configuration, whatever their numbers; what stands is continued, never done twice."""
    line = ("train", "-m", *arguments("vae", *PLAN)[1:], "run_dir=S")
    done(*line, "seed=1,2", "trainer.max_steps=4")
    kept = digest(work / "S" / "0-seed=1")
    said = done(*line, "seed=0,1,2", "trainer.max_steps=4")
    assert said.count("done before: skipped") == 2
    assert [path.name for path in jobs(work / "S")] == ["0-seed=1", "1-seed=2", "2-seed=0"]
    assert digest(work / "S" / "0-seed=1") == kept
    longer = done(*line, "seed=2,0", "trainer.max_steps=5")
    assert longer.count("resuming at step 4 (not exact: horizon changed)") == 2
    assert [run_json(path)["step"] for path in jobs(work / "S")] == [4, 5, 5]
    assert "1-seed=2: done before, and longer: 5 steps: skipped" in done(*line, "seed=2,2", "trainer.max_steps=4")
    index = json.loads((work / "S" / "sweep.json").read_text())
    assert [(job["values"], job["step"]) for job in index["jobs"]] == [
        ({"seed": "1"}, 4), ({"seed": "2"}, 5), ({"seed": "0"}, 5),
    ]  # fmt: skip
    other = done(*line, "seed=1,2", "trainer.max_steps=4", "optimizer.lr=1")  # another sweep in the same folder
    assert other.count("run folder: ") == 2


def test_a_folder_of_an_earlier_version_is_found_too(work: Path) -> None:
    """It is called otherwise, and run.json says nothing of its configuration."""
    line = ("train", "-m", *arguments("vae", *PLAN)[1:], "run_dir=S", "seed=1,2", "trainer.max_steps=4")
    done(*line)
    for path, old in zip(jobs(work / "S"), ("0-vae-digits", "1-vae-digits"), strict=True):
        record = {key: value for key, value in run_json(path).items() if key not in ("identity", "values", "best")}
        (path / "run.json").write_text(json.dumps(record))
        path.rename(path.with_name(old))
    assert done(*line).count("done before: skipped") == 2


@pytest.mark.parametrize("verb", ["sample", "eval"])
def test_every_verb_numbers_what_its_jobs_write(vae: Path, work: Path, verb: str) -> None:
    """Below out=, and by names that tell them apart without it."""
    more = ["metric=mse", "n=20", "bootstrap=0", "floor_repeats=0", "baselines=false"] if verb == "eval" else ["n=2"]
    said = done(verb, "-m", f"ckpt={vae}", "seed=1,2", "out=S", *more)
    assert sorted(path.name for path in (work / "S").iterdir()) == ["0-seed=1", "1-seed=2"]
    assert "1    2     done" in said
    done(verb, "-m", f"ckpt={vae}", "seed=1,2", *more)
    names = sorted(path.name for path in (work / "outputs" / verb).iterdir())
    assert [name.rpartition("-")[2] for name in names] == ["seed=1", "seed=2"]


def test_names_of_jobs_are_short_and_tell_values_apart() -> None:
    long = [job_name(3, f"data.root=/{letter * 300}") for letter in "ab"]
    assert long[0] != long[1]
    assert all(len(name) < 100 for name in long)
    assert job_name(0, "a/b c=é") == "0-a_b_c="
    assert short_keys(["optimizer.lr", "seed", "a.n", "b.n"]) == {
        "optimizer.lr": "lr", "seed": "seed", "a.n": "a.n", "b.n": "b.n",
    }  # fmt: skip
    values = swept_values(["seed=1", "n=2", "ckpt='a b=c'"], ("ckpt", "seed", "optimizer.lr"))
    assert values == {"ckpt": "a b=c", "seed": "1"}  # as they were meant, in the order of the keys
    assert label_of_values(values) == "ckpt=a b=c,seed=1"


def test_a_run_is_no_sweep(vae: Path) -> None:
    assert (
        "a run, and a sweep makes a folder of runs" in genkit("train", "-m", "seed=1,2", *OPTIONS, f"run_dir={vae}").err
    )


def jobs(sweep: Path) -> list[Path]:
    return sorted(path for path in sweep.iterdir() if path.is_dir())
