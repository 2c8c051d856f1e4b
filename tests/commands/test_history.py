"""A run has a history: it goes back to an earlier checkpoint, begins from another one, and remembers every command."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from command_cases import QUICK, TOY, arguments, digest, done, genkit, lines, refused, run_json
from omegaconf import OmegaConf

import genkit as package
from genkit.assembly.replay import seams
from genkit.assembly.run_history import history_of
from genkit.storage.commit import git_commit


def copy(run: Path, work: Path) -> Path:
    target = work / "run"
    shutil.copytree(run, target, copy_function=shutil.copyfile)
    return target


def test_going_back_is_said_and_ends_where_the_run_would_have(vae: Path, work: Path) -> None:
    """To the last bit, also in the metrics; what was there before is kept beside it."""
    run = copy(vae, work)
    said = done("train", f"resume={run}/checkpoints/step-4")
    assert "going back from step-00000006 to step-00000004: what came after is kept in " in said
    assert "resuming at step 4 (exact)" in said
    (kept,) = (run / "aside").iterdir()
    assert digest(kept / "checkpoints") == {
        name: value for name, value in digest(vae / "checkpoints").items() if name.startswith("step-00000006")
    }
    for name in ("checkpoints", "samples"):
        assert digest(run / name) == digest(vae / name)
    assert (run / "metrics.jsonl").read_bytes() == (vae / "metrics.jsonl").read_bytes()
    assert "1 samples" in done("sample", f"ckpt={kept}", "n=1", "out=s")


def test_going_back_is_whole_before_the_first_new_step(vae: Path, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """run.json and the log of a run that is killed then name no step that was set aside."""
    run = copy(vae, work)
    best = {"monitor": "val/loss", "mode": "min", "step": 6, "value": 0.0}
    (run / "run.json").write_text(json.dumps(run_json(run) | {"best": best}))
    monkeypatch.setattr(os, "rename", refuse_checkpoints(os.rename))
    answer = genkit("train", f"resume={run}/checkpoints/step-4", "checkpoint.monitor=val/loss")
    assert (answer.code, (run / "latest").read_text()) == (6, "step-00000004\n")
    assert max(line["step"] for line in lines(run)) <= 4
    record = run_json(run)
    assert (record["step"], record["best"]["step"], record["status"]) == (4, 3, "running")
    (kept,) = (run / "aside").iterdir()
    assert lines(kept) == lines(vae)
    assert run_json(kept)["best"] == best


def refuse_checkpoints(rename: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
    def refusing(source: Any, target: Any) -> None:
        if Path(source).name == "step-00000006":
            raise OSError(errno.EIO, "refused")
        rename(source, target)

    return refusing


def test_going_back_to_the_best_takes_another_way(diffusion: Path, work: Path) -> None:
    """The closing line offers it; a changed rate writes step 4 anew instead of finding the old one there."""
    run = copy(diffusion, work)
    said = done("train", f"resume={run}/best", "optimizer.lr=1e-5", "allow=[optimizer.lr]")
    assert "going back from step-00000004 to step-00000003" in said
    assert "step 3 (not exact: optimizer.lr: " in said
    last = "checkpoints/step-00000004/model.safetensors"
    assert (run / last).read_bytes() != (diffusion / last).read_bytes()
    assert f"step-00000003: ckpt={run}/best" in said


def test_every_command_and_change_is_remembered(vae: Path, work: Path) -> None:
    run = copy(vae, work)
    first = run_json(run)["history"]
    assert [(each["step"], each["changed"]) for each in first] == [(0, {})]
    early = ("callbacks=early_stopping", "callbacks.early_stopping.patience=9")
    done("train", f"resume={run}", "trainer.max_steps=7", *early, "checkpoint.keep=9", "allow=[callbacks]")
    entries = run_json(run)["history"]
    assert entries[:1] == first
    (new,) = entries[1:]
    assert new["command"].startswith(f"genkit train resume={run} trainer.max_steps=7")
    assert new["step"] == 6
    assert new["changed"].pop("callbacks.early_stopping")[0] is None
    assert new["changed"] == {"trainer.max_steps": [6, 7], "checkpoint.keep": [2, 9]}
    assert {"git", "host", "platform", "device", "threads", "time"} <= new.keys()
    assert {"genkit", "python", "torch", "lightning", "hydra"} <= new["versions"].keys()
    text = (run / "config.yaml").read_text()
    assert "#   trainer.max_steps: 6 became 7\n" in text
    now = OmegaConf.load(run / "config.yaml")
    assert (now.trainer.max_steps, now.checkpoint.keep, now.callbacks.early_stopping.patience) == (7, 9, 9)


def test_a_run_folder_without_a_history_gets_one(vae: Path, work: Path) -> None:
    run = copy(vae, work)
    record = run_json(run)
    del record["history"]
    (run / "run.json").write_text(json.dumps(record))
    done("train", f"resume={run}", "trainer.max_steps=7")
    first, second = run_json(run)["history"]
    assert (first["command"], first["time"], first["step"]) == (record["command"], record["started"], 0)
    assert second["changed"] == {"trainer.max_steps": [6, 7]}


def test_a_history_without_steps_counts_as_none() -> None:
    """A run.json that was edited by hand: nothing that looks for a step in it fails."""
    info = {"command": "genkit train", "started": "then", "history": [{"step": 0}, {"changed": {"seed": [0, 1]}}]}
    assert history_of(info) == [{"command": "genkit train", "step": 0, "time": "then", "changed": {}}]
    assert seams(info) == []
    assert seams({"history": [{"step": 0}, {"step": 4, "changed": {"seed": [0, 1]}}]}) == [4]


def test_the_command_that_a_diverged_run_names_works(work: Path) -> None:
    """The rate that it ends with is a tenth, from the newest checkpoint that is sound."""
    options = ("optimizer.lr=1e12", "trainer.gradient_clip=0", "checkpoint.every_n_steps=1", "trainer.max_steps=9")
    answer = genkit(*arguments("vae", *options, "lr_schedule=constant", "run_dir=a b"))
    assert answer.code == 5
    command = re.search(r"as in genkit (train .*)", answer.err)
    assert command is not None, answer.err
    words = shlex.split(command[1])
    assert words[2:] == ["optimizer.lr=1e+11", "allow=[optimizer.lr]"]
    again = genkit(*words)
    assert "resuming at step " in again.out, again


def test_experiment_may_be_typed_again(work: Path) -> None:
    """It leaves no key of its own, and chooses what the run has anyway."""
    words = ("experiment=digits_vae", *QUICK, "backbone=mlp", "backbone.width=8", "backbone.depth=1")
    done("train", *words, "trainer.max_steps=2", "run_dir=run")
    assert "resuming at step 2" in done("train", *words, "trainer.max_steps=3", "resume=run")
    assert "experiment: was chosen" in genkit("train", "experiment=digits_dcgan", "resume=run").err


@pytest.mark.parametrize("how", ["branch", "packed", "detached", "worktree", "none", "foreign"])
def test_the_commit_is_read_from_gits_files(tmp_path: Path, how: str) -> None:
    sha, below = "0123456789" * 4, tmp_path / "repo" / "a" / "b"
    below.mkdir(parents=True)
    git = tmp_path / "repo" / ".git"
    if how == "worktree":
        git.write_text("gitdir: ../main/.git/worktrees/w\n")
        git = tmp_path / "main" / ".git" / "worktrees" / "w"
    if how != "none":
        git.mkdir(parents=True)
        (git / "HEAD").write_text(f"{sha}\n" if how == "detached" else "ref: refs/heads/main\n")
    shared = git
    if how == "worktree":
        (git / "commondir").write_text("../..\n")
        shared = tmp_path / "main" / ".git"
    if how in ("branch", "worktree"):
        (shared / "refs" / "heads").mkdir(parents=True)
        (shared / "refs" / "heads" / "main").write_text(f"{sha}\n")
    if how == "packed":
        (git / "packed-refs").write_text(f"# pack-refs with: peeled\n{sha} refs/heads/main\n")
    if how == "foreign":
        (git / "HEAD").write_text("ref: refs/heads/../../../../etc/passwd\n")
    assert git_commit(below) == (None if how in ("none", "foreign") else sha)


def weights(run: Path, file: str = "model.safetensors") -> bytes:
    return (run / "checkpoints" / (run / "latest").read_text().strip() / file).read_bytes()


START = (
    *arguments("vae"),
    "optimizer.lr=0.0",
    "optimizer.weight_decay=0",
    "trainer.max_steps=1",
    "ema=null",
    "trainer.log_every_n_steps=1",
)


def test_a_new_run_begins_with_the_weights_of_a_checkpoint(vae: Path, work: Path) -> None:
    """Its own step, optimizer and schedule; at a rate of zero they are what it ends with."""
    said = done(*START, f"start={vae}", "run_dir=averaged")
    assert f"start={vae}/checkpoints/step-00000006 holds VAE of step 6: 18 of 18 tensors taken\n" in said
    assert weights(work / "averaged") == weights(vae)
    done(*START, f"start={vae}", "weights=raw", "run_dir=live")
    assert weights(work / "live") != weights(vae)
    record = OmegaConf.to_container(OmegaConf.load(work / "averaged" / "config.yaml"))["start"]  # type: ignore[call-overload, index]
    assert record["ckpt"] == str(vae / "checkpoints" / "step-00000006")
    assert record["ckpt_sha256"] == hashlib.sha256(weights(vae)).hexdigest()
    assert (record["step"], record["weights"]) == (6, "ema")
    assert run_json(work / "averaged")["start"] == {**record, "model": "VAE", "tensors_taken": 18, "tensors": 18}
    assert [line["step"] for line in lines(work / "averaged")] == [1]
    shutil.rmtree(work / "averaged" / "checkpoints" / "step-00000001")  # killed before its first checkpoint
    (work / "averaged" / "latest").unlink()
    done("train", "resume=averaged", f"start={vae}")
    assert weights(work / "averaged") == weights(vae)
    assert "bit-identical" in done("verify", "averaged", "replay=1")


def test_weights_that_do_not_fit_are_refused_or_left_out(vae: Path, work: Path) -> None:
    other = [word.replace("latent_dim=4", "latent_dim=5") for word in START]
    refusal = refused(2, *other, f"start={vae}", "run_dir=new")
    assert re.search(r": [\w.]+ is float32 [\dx]+ there and float32 [\dx]+ here, and \d+ more differ: allow=", refusal)
    said = done(*other, f"start={vae}", "allow=[start]", "run_dir=new")
    mine, theirs = package.load(work / "new").state_dict(), package.load(vae).state_dict()
    same = [name for name, value in mine.items() if value.shape == theirs[name].shape]
    assert 0 < len(same) < len(mine)
    assert all(torch.equal(mine[name], theirs[name]) for name in same)
    taken = run_json(work / "new")["start"]
    assert (taken["tensors_taken"], taken["tensors"]) == (len(same), len(mine))
    assert (
        f"holds VAE of step 6: {len(same)} of {len(mine)} tensors taken, {len(mine) - len(same)} begin afresh (" in said
    )
    none = refused(2, *arguments("flow"), *TOY, f"start={vae}", "run_dir=n")
    assert "holds VAE of step 6, this run trains Flow: " in none
    assert "none fits" in none


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("start=nowhere", 4, "nowhere: no such folder"),
        ("weights=raw", 2, "it goes with start=CKPT"),
        ("allow=[start]", 2, "it goes with resume="),
        ("start={vae} allow=[seed]", 2, "it goes with resume="),
        ("start={vae} resume={vae}", 2, "is not what it began with"),
    ],
)
def test_start_that_cannot_be(vae: Path, words: str, code: int, said: str) -> None:
    assert said in refused(code, "train", "model=vae", *words.format(vae=vae).split())
