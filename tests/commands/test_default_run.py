"""Without ckpt=, the newest finished run below outputs/train; with resume=auto, what is in run_dir=."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from command_cases import Child, arguments, digest, done, genkit, refused, run_json

from genkit.checkpoint import lock

OUTPUTS = Path("outputs", "train")


def put(run: Path, name: str, ended: str, status: str = "done") -> Path:
    """A copy of a run among the outputs of the working directory."""
    target = OUTPUTS / name
    shutil.copytree(run, target, copy_function=shutil.copyfile)
    record = run_json(target) | {"ended": f"2026-01-01T00:00:{ended}Z", "status": status}
    (target / "run.json").write_text(json.dumps(record))
    return target


def test_the_newest_finished_run_is_taken_and_said(vae: Path, flow: Path, work: Path) -> None:
    """By the time at which it ended, whatever its name and its files' time stamps; jobs of sweeps count."""
    old = put(flow, "z", "01")
    put(flow, "stopped", "09", "interrupted")
    new = put(vae, "sweep/0-seed=1", "05")
    os.utime(old / "run.json")
    (OUTPUTS / "foreign").mkdir()
    (OUTPUTS / "foreign" / "run.json").write_text("{")
    said = f"genkit: ckpt={new}, the newest finished run\n"
    assert genkit("sample", "n=2", "out=s").err == said
    assert json.loads(Path("s/samples.json").read_text())["model"]["ckpt"].startswith(str(work / new))
    assert genkit("export", "out=e").err == said
    verified = genkit("verify")
    assert (verified.err, verified.out.count("intact: ")) == (said, 2)
    scored = genkit("eval", "metric=mse", "n=20", "out=r", "bootstrap=0", "floor_repeats=0", "baselines=false")
    assert (scored.code, scored.err) == (0, said)


def test_a_checkpoint_or_samples_that_are_named_are_taken(vae: Path, flow: Path) -> None:
    put(vae, "run", "01")
    for words in (["sample", f"ckpt={flow}", "n=2", "out=s"], ["verify", f"{flow}"], ["verify", f"ckpt={flow}"]):
        assert genkit(*words).err == ""
    assert "name it with data=… or reference=FILE" in refused(2, "eval", "samples=s/samples.npz")
    assert "give one of them" in refused(2, "eval", "reference=s/samples.npz")


@pytest.mark.parametrize("verb", [["sample"], ["eval", "metric=fid"], ["export", "out=e"], ["verify"]])
def test_where_there_is_none_the_line_says_how_to_get_one(vae: Path, verb: list[str]) -> None:
    line = refused(2, *verb)
    assert "no finished run below outputs/train: train one, as in genkit train model=diffusion" in line
    stopped = put(vae, "stopped", "01", "interrupted")
    assert f"{stopped} is interrupted: genkit train resume={stopped} continues it" in refused(2, *verb)


def test_an_unfinished_run_is_continued_in_words_that_a_shell_reads_unless_somebody_trains_it(vae: Path) -> None:
    run = put(vae, "it's [one] of two", "01", "running")
    line = refused(2, "sample")
    words = shlex.split(line.partition("was killed: ")[2].partition(" continues it")[0])
    assert words == ["genkit", "train", f"resume={run}"]
    lock.acquire(run)
    line = refused(2, "sample")
    assert f"is being trained by process {os.getpid()} on " in line
    assert "resume=" not in line
    assert shlex.split(line.partition("or name ")[2].partition(", its latest")[0]) == [f"ckpt={run}"]
    lock.release(run)


def test_it_is_refused_before_torch_is_imported(work: Path) -> None:
    script = """
import sys
from genkit import cli
codes = [cli.main(words) for words in (["sample"], ["eval", "metric=fid"], ["export", "out=e"], ["verify"])]
print(codes, "torch" in sys.modules)
"""
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=work)
    assert answer.stdout == "[2, 2, 2, 2] False\n", answer


def test_resume_auto_begins_continues_and_is_done(work: Path, tmp_path: Path) -> None:
    """The same words in a batch script, as often as the system starts it."""
    line = [*arguments("vae", "trainer.max_steps=4", "checkpoint.every_n_steps=2"), "run_dir=run", "resume=auto"]
    killed = Child(line, work, tmp_path / "log", {3: [signal.SIGKILL]}).wait()
    assert killed.code == -signal.SIGKILL, killed.said
    assert "resuming at step 2 (exact)" in done(*line)
    before = digest(work / "run")
    assert "finished at step 4" in done(*line)
    assert digest(work / "run") == before
    assert "optimizer.lr: 0.002 became 1" in refused(2, *line, "optimizer.lr=1")
    assert "name run_dir=" in refused(2, *arguments("vae"), "resume=auto")


@pytest.mark.parametrize("words", ["sample out=grid.png", "eval out=r.json", "train run_dir=v.ckpt", "export out=m.pt"])
def test_a_folder_is_not_named_like_a_file(vae: Path, words: str) -> None:
    verb, out = words.split()
    ckpt = ["model=vae"] if verb == "train" else [f"ckpt={vae}"]
    name = out.partition("=")[2]
    line = refused(2, verb, *ckpt, out)
    assert f"{name}: it names a folder, not a file; did you mean " in line


def test_a_random_seed_is_drawn_said_and_recorded(vae: Path, work: Path) -> None:
    """As if it had been typed: another time another one, and the recorded command gives the same samples."""
    said = [done("sample", f"ckpt={vae}", "n=2", f"out={name}", "seed=random") for name in "ab"]
    notes = [json.loads((work / name / "samples.json").read_text()) for name in "ab"]
    for line, note in zip(said, notes, strict=True):
        assert f"genkit: seed={note['seed']}, drawn for seed=random\n" in line
    assert notes[0]["seed"] != notes[1]["seed"]
    assert f"seed={notes[0]['seed']}" in notes[0]["command"].split()
    done("sample", f"ckpt={vae}", "n=2", "out=c", f"seed={notes[0]['seed']}")
    assert (work / "c" / "samples.npz").read_bytes() == (work / "a" / "samples.npz").read_bytes()


def test_resume_auto_keeps_the_seed_that_was_drawn(work: Path) -> None:
    line = [*arguments("vae", "trainer.max_steps=1"), "run_dir=run", "resume=auto", "seed=random"]
    done(*line)
    seed = run_json(work / "run")["seed"]
    assert "finished at step 1" in done(*line)
    assert run_json(work / "run")["seed"] == seed
