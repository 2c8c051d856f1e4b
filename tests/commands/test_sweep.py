"""Several runs by one command line."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from command_cases import (
    MLP,
    QUICK,
    Answer,
    Child,
    Done,
    arguments,
    digest,
    done,
    genkit,
    mostly_slow,
    refused,
    run_json,
)

from genkit.cli import VERBS
from genkit.config.hydra.catalog import conf_dir, primary_name
from genkit.config.hydra.sweep import job_name, label_of_values, short_keys, swept_values
from genkit.storage.tail import last_line

PLAN = ("checkpoint.every_n_steps=4", "checkpoint.keep=9")
OPTIONS = (*MLP, *QUICK, "trainer.max_steps=1")


def test_four_jobs_make_four_folders(work: Path) -> None:
    """Two at once, each in a process of its own; the folder tells of all of them, to programs and in a table."""
    done("train", "-m", "model=vae,autoencoder", "seed=1,2", "run_dir=a, b", "sweep.jobs=2", *OPTIONS)
    sweep = work / "a, b"
    folders = jobs(sweep)
    assert [path.name for path in folders] == [
        "0-model=vae,seed=1",
        "1-model=vae,seed=2",
        "2-model=autoencoder,seed=1",
        "3-model=autoencoder,seed=2",
    ]
    index = json.loads((sweep / "sweep.json").read_text())
    assert [job["folder"] for job in index["jobs"]] == [path.name for path in folders]
    assert {job["process"] for job in index["jobs"]} == {None}
    rows = list(csv.DictReader((sweep / "sweep.csv").open()))
    assert [(row["model"], row["seed"], row["status"], row["folder"]) for row in rows] == [
        (*(value.rpartition("=")[2] for value in path.name.split(",")), "done", path.name) for path in folders
    ]
    assert [run_json(path)["seed"] for path in folders] == [1, 2, 1, 2]
    assert {run_json(path)["status"] for path in folders} == {"done"}
    assert len({run_json(path)["history"][0]["threads"] for path in folders}) == 1
    assert [path.name for path in work.iterdir()] == ["a, b"]
    assert digest(folders[0] / "checkpoints") != digest(folders[1] / "checkpoints")
    assert "done: 1 steps" in (sweep / "logs" / f"{folders[3].name}.log").read_text()


def test_without_run_dir_a_sweep_has_its_stamped_folder_and_ends_with_a_table(work: Path) -> None:
    """Each job with its values, status, best score and folder; the commands that come next; and they work."""
    said = done("train", "-m", "optimizer.lr=1e-3,1e-4", "model=vae", *OPTIONS, "trainer.val_every_n_steps=1")
    (sweep,) = (work / "outputs" / "train").iterdir()
    near = sweep.relative_to(work)
    *_, header, first, second, best, table, report, picture, following, score_best, score_all = said.splitlines()
    assert header.split() == ["job", "lr", "status", "val/loss", "folder"]
    scores = {}
    for line, value, number in ((first, "0.001", 0), (second, "0.0001", 1)):
        folder = near / f"{number}-lr={value}"
        scores[folder] = run_json(folder)["best"]["value"]
        assert line.split() == [str(number), value, "done", f"{scores[folder]:.5g}", str(folder)]
    assert best.startswith("best: lr=0.00")
    assert (table, picture, following) == (f"table: {near}/sweep.csv", f"picture: {near}/sweep.png", "next:")
    assert report == f"report: {near}/report.html"
    assert (sweep / "sweep.png").read_bytes().startswith(b"\x89PNG")
    assert score_best == f"  genkit eval ckpt={min(scores, key=lambda folder: scores[folder])}"
    assert score_all == f"  genkit eval ckpt={near}"
    words = ("metric=mse", "n=20", "bootstrap=0", "floor_repeats=0", "baselines=false", "out=scores")
    done("eval", score_all.rpartition(" ")[2], *words)
    results = json.loads((work / "scores" / "results.json").read_text())["results"]
    assert [record["source"] for record in results] == ["vae 0-lr=0.001", "vae 1-lr=0.0001"]


@pytest.mark.parametrize("launcher", ["processes", pytest.param("basic", marks=pytest.mark.slow)])
def test_a_failing_job_does_not_stop_the_others(work: Path, launcher: str) -> None:
    """The second one diverges, the third has no such optimizer setting, the fourth is well again."""
    rates = "optimizer.lr=0.001,1e12,-1,0.002"
    options = (*MLP, *QUICK, "trainer.max_steps=4", "trainer.gradient_clip=0", "run_dir=runs")
    answer = genkit("train", "-m", rates, "model=vae", *options, f"hydra/launcher={launcher}")
    assert answer.code == 5
    assert "2 of 4 jobs failed" in answer.err
    assert "job 1  exit 5  optimizer.lr=1000000000000.0: error: step 1: train/" in answer.err
    assert "job 2  exit 2  optimizer.lr=-1: error: optimizer.lr: -1 is not" in answer.err
    assert "Traceback" not in answer.err
    states = {path.name: (run_json(path)["status"], run_json(path)["exit_code"]) for path in jobs(work / "runs")}
    assert states == {"0-lr=0.001": ("done", 0), "1-lr=1000000000000.0": ("failed", 5), "3-lr=0.002": ("done", 0)}
    rows = [line.split() for line in answer.out.splitlines() if line[:1].isdigit()]
    assert [row[2:4] for row in rows if len(row) > 2][1:3] == [["exit", "5"], ["exit", "2"]]


@pytest.mark.slow
def test_a_sweep_that_was_killed_goes_on_where_it_was(work: Path) -> None:
    """Started again by the same words: what is done is left alone, what is broken is continued, the rest is run."""
    line = ("train", "-m", *arguments("vae", *PLAN)[1:], "trainer.max_steps=10,12,11", "hydra/launcher=basic")
    killed = Child([*line, "run_dir=runs"], work, work.parent / "log", {10: [signal.SIGKILL]}).wait()
    assert killed.code == -signal.SIGKILL, killed.said
    states = {path.name: run_json(path)["status"] for path in jobs(work / "runs")}
    assert states == {"0-max_steps=10": "done", "1-max_steps=12": "running"}
    before = digest(work / "runs" / "0-max_steps=10")
    said = done(*line, "run_dir=runs")
    assert "0     10         skipped" in said.replace("  0", "0", 1) or "10         skipped" in said
    assert "1-max_steps=12: resuming at step 8 (exact)" in said
    assert digest(work / "runs" / "0-max_steps=10") == before
    done(*line, "run_dir=straight")
    for name in ("1-max_steps=12/checkpoints", "2-max_steps=11/checkpoints"):
        assert digest(work / "runs" / name) == digest(work / "straight" / name)
    assert [path.name for path in jobs(work / "runs")] == ["0-max_steps=10", "1-max_steps=12", "2-max_steps=11"]


@pytest.mark.slow  # two commands that import everything, and jobs that train at full speed until they are stopped
def test_jobs_end_with_their_command_and_keep_their_checkpoints(work: Path) -> None:
    """SIGTERM is passed on; a command that is killed outright takes its jobs along; the same words go on."""
    line = ["train", "-m", *arguments("vae")[1:], "seed=1,2,3", "trainer.max_steps=100000", "sweep.jobs=2", "run_dir=S"]
    steps = [[0, 0]]
    for number, code in ((signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)):
        ended, other = stopped_sweep(line, work, number, steps[-1])
        assert ended.code == code, ended.said
        assert (other.code, other.err.count("\n")) == (6, 1), other.err
        assert "in use by process" in other.err
        assert statuses(work / "S") == ["interrupted"] * 2  # the third never began, and nothing was begun twice
        steps.append([run_json(path)["step"] for path in jobs(work / "S")])
        said = "stopped by SIGTERM: 0 of 3 jobs done; to continue: genkit train -m "
        assert number == signal.SIGKILL or said in ended.said
    assert all(after > before > 0 for before, after in zip(*steps[1:], strict=True))


def stopped_sweep(line: list[str], work: Path, number: int, steps: list[int]) -> tuple[Done, Answer]:
    """The end of a sweep that a signal stops when two of its jobs are beyond these steps, and of one beside it."""
    child = Child(line, work, work.parent / "log")
    try:
        wait_until(lambda: not child.process.is_alive() or are_beyond(work / "S", steps), child.log)
        assert child.process.is_alive(), child.log.read_text()  # else the next command would begin to train
        other = genkit(*line)
        os.kill(child.process.pid or 0, number)
        ended = child.wait(LONG)
        wait_until(lambda: "running" not in statuses(work / "S"), child.log)
        return ended, other
    finally:  # whatever failed: the command would train for hours, and pytest wait for it
        child.process.kill()
        child.process.join()


LONG = 180.0  # seconds, on a machine that does much else


def wait_until(true: Callable[[], bool], log: Path) -> None:
    """Waits, but not for ever."""
    until = time.monotonic() + LONG
    while not true():
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.05)


def statuses(sweep: Path) -> list[str]:
    return [run_json(path)["status"] for path in jobs(sweep)]


def are_beyond(sweep: Path, steps: list[int]) -> bool:
    """Tell whether two runs have logged steps beyond these."""
    logs = [last_line(path / "metrics.jsonl") or {} for path in jobs(sweep)]
    return len(logs) == 2 and all(log.get("step", 0) > step for log, step in zip(logs, steps, strict=True))


@pytest.mark.slow
def test_a_sweep_grows_in_front_in_the_middle_and_in_length(work: Path) -> None:
    """Its jobs are known by their configuration, whatever their numbers; what stands is continued, never done twice."""
    line = ("train", "-m", *arguments("vae", *PLAN)[1:], "run_dir=S", "hydra/launcher=basic")
    done(*line, "seed=1,3", "trainer.max_steps=4")
    kept = digest(work / "S" / "0-seed=1")
    said = done(*line, "seed=0,1,2,3", "trainer.max_steps=4")
    assert "genkit: 2 of 4 jobs to run, 2 done before" in said
    assert [path.name for path in jobs(work / "S")] == ["0-seed=1", "1-seed=3", "2-seed=0", "3-seed=2"]
    assert digest(work / "S" / "0-seed=1") == kept
    longer = done(*line, "seed=2,0", "trainer.max_steps=5")
    assert "genkit: 2 of 2 jobs to run" in longer
    assert longer.count("resuming at step 4 (not exact: horizon changed)") == 2
    assert [run_json(path)["step"] for path in jobs(work / "S")] == [4, 4, 5, 5]
    twice = done(*line, "seed=2,2", "trainer.max_steps=4")  # longer than asked for, and asked for twice
    assert twice.count("skipped  ") == 2
    assert "jobs to run" not in twice
    index = json.loads((work / "S" / "sweep.json").read_text())
    assert [(job["folder"], job["number"]) for job in index["jobs"]] == [
        ("3-seed=2", 0), ("3-seed=2", 1), ("2-seed=0", None), ("0-seed=1", None), ("1-seed=3", None),
    ]  # fmt: skip
    other = done(*line, "seed=1,2", "trainer.max_steps=4", "optimizer.lr=1")  # another sweep in the same folder
    assert "genkit: 2 of 2 jobs to run" in other


def test_a_folder_of_an_earlier_version_is_found_too(work: Path) -> None:
    """It is called otherwise, and run.json says nothing of its configuration."""
    plan = (*PLAN, "run_dir=S", "seed=1,2", "trainer.max_steps=4", "hydra/launcher=basic")
    line = ("train", "-m", *arguments("vae", *plan)[1:])
    done(*line)
    for path, old in zip(jobs(work / "S"), ("0-vae-digits", "1-vae-digits"), strict=True):
        record = {key: value for key, value in run_json(path).items() if key not in ("identity", "values", "best")}
        (path / "run.json").write_text(json.dumps(record))
        path.rename(path.with_name(old))
    (work / "S" / "sweep.json").write_text('{"schema": "genkit.sweep/1", "command": "", "keys": [], "jobs": []}')
    assert done(*line).count("skipped  ") == 2


def test_runs_elsewhere_are_taken_further_by_a_sweep(vae: Path, work: Path) -> None:
    """The table leads to where they are; the sweep's own folder has none to score."""
    for name in "ab":
        shutil.copytree(vae, work / name, symlinks=True)
        for path in (work / name).rglob("*"):
            path.chmod(0o755)
    said = done("train", "-m", "resume=a,b", "trainer.max_steps=7", "hydra/launcher=basic")
    assert [run_json(work / name)["step"] for name in "ab"] == [7, 7]
    (sweep,) = (work / "outputs" / "train").iterdir()
    index = json.loads((sweep / "sweep.json").read_text())
    assert [job["folder"] for job in index["jobs"]] == [str(work / "a"), str(work / "b")]
    assert ["0", "a", "done", "a"] in [line.split() for line in said.splitlines()]
    assert "genkit eval ckpt=outputs" not in said


def content(path: Path) -> object:
    """Of a folder of results, or of the file that compress writes."""
    return digest(path) if path.is_dir() else path.read_bytes()


FEW = {
    "sample": ["n=2"], "compress": ["n=2"], "detect": ["n=4", "bootstrap=2", "scores=[reconstruction]"],
    "eval": ["metric=mse", "n=20", "bootstrap=0", "floor_repeats=0", "baselines=false"],
}  # fmt: skip


def test_jobs_of_every_verb_that_writes_results_are_matched() -> None:
    for name, verb in VERBS.items():
        if "out:" in (text := conf_dir().joinpath(f"{primary_name(name)}.yaml").read_text() if verb.hydra else ""):
            assert verb.jobs or name.startswith("data "), text


@pytest.mark.parametrize("verb", mostly_slow(FEW, "sample"))
def test_jobs_of_every_verb_are_numbered_and_done_once(vae: Path, work: Path, verb: str) -> None:
    """In one folder; typed again with a value more, only that one is run; a table tells of all."""
    more = FEW[verb]
    said = done(verb, "-m", f"ckpt={vae}", "seed=1,3", "out=S", *more)
    assert [path.name for path in outputs(work / "S")] == ["0-seed=1", "1-seed=3"]
    kept = content(work / "S" / "1-seed=3")
    assert ["1", "3", "done"] in [line.split()[:3] for line in said.splitlines()]
    said = done(verb, "-m", f"ckpt={vae}", "seed=1,2,3", "out=S", *more)
    assert "genkit: 1 of 3 jobs to run, 2 done before" in said
    assert [path.name for path in outputs(work / "S")] == ["0-seed=1", "1-seed=3", "2-seed=2"]
    assert content(work / "S" / "1-seed=3") == kept
    if verb == "eval":
        rows = list(csv.DictReader((work / "S" / "sweep.csv").open()))
        found = [json.loads((work / "S" / row["folder"] / "results.json").read_text())["results"][0] for row in rows]
        (score,) = {record["metric"] for record in found}
        assert [float(row[score]) for row in rows] == [record["value"] for record in found]
        compared = " ".join(f"S/{row['folder']}" for row in rows)
        assert f"next:\n  genkit compare {compared}" in said
    assert f"a sweep of genkit {verb}: name another run_dir=" in genkit("train", "-m", "seed=1,2", "run_dir=S").err


def test_without_out_the_jobs_of_a_sweep_share_a_stamped_folder(vae: Path, work: Path) -> None:
    done("sample", "-m", f"ckpt={vae}", "seed=1,2", "n=2")
    (sweep,) = (work / "outputs" / "sample").iterdir()
    assert sweep.name.endswith("-sweep")
    assert [path.name for path in outputs(sweep)] == ["0-seed=1", "1-seed=2"]


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


BAD = {
    "zero at once": (("sweep.jobs=0",), "sweep.jobs: 0 is not an integer ≥ 1"),
    "a value for each job": (("sweep.jobs=1,2",), "sweep.jobs: it is of the whole sweep: give it one value"),
    "another launcher's jobs": (("sweep.jobs=2", "hydra/launcher=basic"), "hydra/launcher=basic starts the jobs"),
    "all of them wrong": (("optimizer.lr=-1",), "optimizer.lr: -1 is not a finite number ≥ 0"),
    "a wrong option": (("model=vea,gan",), "did you mean vae"),
    "a file": (("run_dir=file",), "file: a file, and a sweep makes a folder: name another run_dir="),
    "a sweep of another verb": (("run_dir=evals",), "evals: a sweep of genkit eval: name another run_dir="),
    "a damaged index": (
        ("run_dir=damaged",),
        "damaged/sweep.json: damaged: delete it, and runs are found by",
    ),
    "an index of nobody's": (("run_dir=strange",), "strange/sweep.json: damaged: delete it"),
    "a newer index": (("run_dir=newer",), "newer/sweep.json: was written by a newer genkit"),
}


@pytest.mark.parametrize(("words", "line"), BAD.values(), ids=BAD)
def test_a_sweep_that_cannot_be_is_one_line(work: Path, words: tuple[str, ...], line: str) -> None:
    texts = {
        "evals": '{"schema": "genkit.sweep/1", "verb": "eval", "jobs": []}',
        "damaged": '{"schema": "genkit.sw',
        "strange": "[1]",
        "newer": '{"schema": "genkit.sweep/2"}',
    }
    for name, text in texts.items():
        (work / name).mkdir()
        (work / name / "sweep.json").write_text(text)
    (work / "file").write_text("")
    assert line in refused(2, "train", "-m", "seed=1,2", "model=vae", *OPTIONS, *words)


def test_a_run_is_no_sweep(vae: Path) -> None:
    assert "a run, and a sweep makes a folder of runs" in refused(
        2, "train", "-m", "seed=1,2", *OPTIONS, f"run_dir={vae}"
    )
    assert "sweep.jobs=2: it is of a sweep: add -m" in refused(2, "train", "sweep.jobs=2")


def jobs(sweep: Path) -> list[Path]:
    """The runs below a sweep's folder."""
    return sorted(path.parent for path in sweep.glob("*/run.json"))


def outputs(sweep: Path) -> list[Path]:
    """The results below a sweep's folder."""
    return sorted(path for path in sweep.iterdir() if path.name[0].isdigit())
