"""What `genkit train resume=` goes on with, what it refuses, and what it says."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_cases import MLP, QUICK, Child, arguments, digest, done, genkit, lines, refused, run_json

from genkit.checkpoint.read import open_checkpoint
from genkit.checkpoint.run_folder import RunFolder
from genkit.models.autoencoder.autoencoder import Autoencoder


@pytest.fixture
def copied(vae: Path, work: Path) -> Path:
    return copy(vae, work)


def copy(run: Path, work: Path) -> Path:
    """A run of one's own in the working directory, with files that can be changed."""
    target = work / "run"
    shutil.copytree(run, target, copy_function=shutil.copyfile)
    return target


def without_checkpoints(run: Path, *names: str) -> None:
    """As if the run had been killed before it wrote these (all of them, unless named)."""
    for folder in list((run / "checkpoints").iterdir()):
        if not names or folder.name in names:
            shutil.rmtree(folder)
    left = sorted(folder.name for folder in (run / "checkpoints").iterdir())
    (run / "latest").unlink()
    if left:
        (run / "latest").write_text(f"{left[-1]}\n")
    record = run_json(run) | {"status": "running", "exit_code": None}
    (run / "run.json").write_text(json.dumps(record))


def damage(checkpoint: Path) -> None:
    file = checkpoint / "model.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)


def test_a_finished_run_is_left_as_it_is(copied: Path) -> None:
    before = digest(copied)
    assert "finished at step 6" in done("train", f"resume={copied}")
    assert digest(copied) == before


def test_a_run_killed_after_its_last_checkpoint_is_noted_as_done(copied: Path) -> None:
    record = run_json(copied) | {"status": "running", "exit_code": None}
    (copied / "run.json").write_text(json.dumps(record))
    done("train", f"resume={copied}")
    assert (run_json(copied)["status"], run_json(copied)["exit_code"]) == ("done", 0)


def test_the_note_of_a_run_that_was_stopped_at_its_end_is_whole(copied: Path) -> None:
    """No signal of the stop is left, and step, best value and end are there as in any run that is done."""
    record = run_json(copied)
    best = record["best"]
    for key in ("step", "best", "ended"):
        del record[key]
    record |= {"status": "interrupted", "exit_code": 143, "signal": "SIGTERM"}
    (copied / "run.json").write_text(json.dumps(record))
    done("train", f"resume={copied}")
    after = run_json(copied)
    assert after.items() >= {"status": "done", "exit_code": 0, "signal": None, "step": 6, "best": best}.items()
    assert after["ended"] >= record["started"]


DRIFT = {
    "seed=1": "seed: 0 became 1",
    "optimizer.lr=1": "optimizer.lr: 0.002 became 1",
    "model=gan": "model._target_: 'genkit.models.vae.vae.VAE' became 'genkit.models.gan.gan.GAN'",
    "data.batch_size=8": "data.batch_size: 32 became 8",
    "trainer.accumulate=2": "trainer.accumulate: 1 became 2",
    "trainer.max_steps=5": "the run was made for 6",
    "run_dir=elsewhere": "run_dir: absent became 'elsewhere'",
    "experiment=digits_diffusion": "experiment: was chosen when the run began",
    "ema=null": "ema: {",
    "optimizer_overrides.model.lr=1": "optimizer_overrides.model.lr: absent became 1",
    "trainer.max_stps=9": "did you mean trainer.max_steps?",
}


@pytest.mark.parametrize("change", DRIFT)
def test_another_run_is_refused(vae: Path, change: str) -> None:
    before = digest(vae)
    assert DRIFT[change] in refused(2, "train", f"resume={vae}", change)
    assert digest(vae) == before


def test_allowed_drift_is_taken_over_and_said(copied: Path, vae: Path, autoencoder: Path, work: Path) -> None:
    without_checkpoints(copied, "step-00000006")
    said = done(
        "train", f"resume={copied}", "data.batch_size=8", "optimizer.lr=1e-4", "allow=[data.batch_size,optimizer]"
    )
    assert "step 4 (not exact: data.batch_size: 32 became 8; optimizer.lr: 0.002 became 0.0001)" in said
    settings = open_checkpoint(copied / "checkpoints" / "step-00000006").config()["train"]
    assert (settings["data"]["batch_size"], settings["optimizer"]["lr"]) == (8, 1e-4)
    assert "allow" not in settings
    last = "checkpoints/step-00000006/model.safetensors"
    assert (copied / last).read_bytes() != (vae / last).read_bytes()


def test_an_allowed_rate_is_the_rate(autoencoder: Path, work: Path) -> None:
    """The optimizer's own state remembers the old one."""
    run = copy(autoencoder, work)
    change = ("trainer.max_steps=9", "trainer.log_every_n_steps=1", "optimizer.lr=3e-4")
    done("train", f"resume={run}", *change, "allow=[optimizer.lr,trainer.log_every_n_steps]")
    assert {
        line["step"]: line["lr/model"] for line in lines(run) if line["step"] > 6 and "lr/model" in line
    } == dict.fromkeys((7, 8, 9), 3e-4)
    assert "finished at step 9" in done("train", f"resume={run}")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("seed=1 optimizer.lr=1 allow=[seed]", "not the same run: optimizer.lr: 0.002 became 1. "),
        ("seed=1", "accept them with allow=[seed]"),
        ("seed=1 allow=[seed,optimizer]", "nothing that was typed changes optimizer"),
        (f"model=vae {' '.join(MLP)} model.latent_dim=5 allow=[model]", "in the checkpoint and would be"),
        ("optimizer=sgd allow=[optimizer]", "cannot take over the state of another one"),
        ("allow=seed", "allow: 'seed'"),
    ],
)
def test_what_cannot_be_allowed(vae: Path, work: Path, words: str, said: str) -> None:
    run = copy(vae, work)
    without_checkpoints(run, "step-00000006")
    assert said in refused(2, "train", f"resume={run}", *words.split())


def test_allow_goes_with_resume(work: Path) -> None:
    assert "it goes with resume=" in refused(2, "train", "allow=[seed]")


def test_all_differences_are_listed(vae: Path) -> None:
    line = refused(2, "train", f"resume={vae}", "seed=1", "optimizer.lr=1", "data.batch_size=8")
    assert all(DRIFT[change] in line for change in ("seed=1", "optimizer.lr=1", "data.batch_size=8"))
    assert "start a new run" in line


def test_what_was_typed_before_may_be_typed_again(copied: Path) -> None:
    without_checkpoints(copied, "step-00000006")
    same = arguments("vae", "trainer.max_steps=6", "checkpoint.every_n_steps=2", "trainer.val_every_n_steps=3")
    assert "resuming at step 4 (exact)" in done(*same, f"resume={copied}")


@pytest.mark.parametrize(
    ("free", "kept"),
    [
        ("checkpoint.keep=1", [6]),
        ("checkpoint.every_n_steps=1", [5, 6]),
        ("checkpoint.keep=9", [4, 6]),
        ("debug=true", [4, 6]),
    ],
)
def test_what_is_free_to_change(copied: Path, vae: Path, free: str, kept: list[int]) -> None:
    without_checkpoints(copied, "step-00000006")
    assert "(exact)" in done("train", f"resume={copied}", free)
    last = "checkpoints/step-00000006/model.safetensors"
    assert (copied / last).read_bytes() == (vae / last).read_bytes()
    assert sorted(folder.name for folder in (copied / "checkpoints").iterdir()) == [f"step-{n:08d}" for n in kept]


def test_a_longer_run_says_whether_it_is_exact(autoencoder: Path, vae: Path, work: Path) -> None:
    longer = copy(autoencoder, work)
    assert "resuming at step 6 (exact)" in done("train", f"resume={longer}", "trainer.max_steps=9")
    options = ("checkpoint.every_n_steps=2", "trainer.val_every_n_steps=3", "checkpoint.monitor=null")
    done(*arguments("autoencoder", *options, "lr_schedule=constant", "trainer.max_steps=9", "run_dir=straight"))
    assert (longer / "metrics.jsonl").read_bytes() == (work / "straight" / "metrics.jsonl").read_bytes()
    last = "checkpoints/step-00000009"
    assert digest(longer / last) == digest(work / "straight" / last)
    shutil.rmtree(longer)
    bent = copy(vae, work)
    assert "not exact: horizon changed" in done("train", f"resume={bent}", "trainer.max_steps=8")
    assert (bent / "latest").read_text() == "step-00000008\n"
    assert "finished at step 8" in done("train", f"resume={bent}")  # the new length is the run's own now


def test_without_a_checkpoint_it_starts_at_step_0_and_says_so(copied: Path, vae: Path) -> None:
    without_checkpoints(copied)
    assert "no checkpoint yet: starting at step 0" in done("train", f"resume={copied}")
    assert digest(copied / "checkpoints") == digest(vae / "checkpoints")
    assert (copied / "metrics.jsonl").read_bytes() == (vae / "metrics.jsonl").read_bytes()


def test_a_damaged_latest_falls_back_and_says_so(copied: Path, vae: Path) -> None:
    damage(copied / "checkpoints" / "step-00000006")
    said = done("train", f"resume={copied}")
    assert "step-00000006, its latest, is missing or damaged: using step-00000004" in said
    assert "resuming at step 4" in said
    assert digest(copied / "checkpoints") == digest(vae / "checkpoints")


def test_with_damaged_checkpoints_alone_it_is_refused(copied: Path) -> None:
    for folder in (copied / "checkpoints").iterdir():
        damage(folder)
    assert "every checkpoint of this run is damaged" in refused(4, "train", f"resume={copied}")


@pytest.mark.parametrize("what", ["missing", "empty", "lone"])
def test_what_is_no_run_folder_is_refused(work: Path, vae: Path, what: str) -> None:
    (work / "empty").mkdir()
    shutil.copytree(vae / "checkpoints" / "step-00000006", work / "lone", copy_function=shutil.copyfile)
    assert str(work / what) in refused(4, "train", f"resume={work / what}")


def test_a_run_that_is_running_is_left_alone(copied: Path, work: Path, tmp_path: Path) -> None:
    with RunFolder.open(copied):
        before = digest(copied)
        answer = Child(["train", f"resume={copied}"], work, tmp_path / "log").wait()
        assert answer.code == 6
        assert f"in use by process {os.getpid()}" in answer.said
        assert digest(copied) == before


def test_the_lock_of_a_killed_owner_is_no_obstacle(work: Path, tmp_path: Path) -> None:
    command = arguments("vae", "trainer.max_steps=4", "checkpoint.every_n_steps=2", "run_dir=killed")
    Child(command, work, tmp_path / "log", {3: [signal.SIGKILL]}).wait()
    assert (work / "killed" / ".lock").stat().st_size > 0
    assert "resuming at step 2" in done("train", "resume=killed")
    assert (work / "killed" / ".lock").stat().st_size == 0


def mnist(folder: Path, pixel: int = 0, label: int = 0) -> None:
    """48 images that are none, in the file of MNIST's form."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (60, 28, 28), dtype=np.uint8), rng.integers(0, 10, 60)
    x[0, 0, 0], y[0] = pixel, label
    np.savez(folder / "mnist.npz", x_train=x[:48], y_train=y[:48], x_test=x[48:], y_test=y[48:])


def test_changed_data_is_refused_and_moved_data_is_found(work: Path) -> None:
    mnist(work / "data")
    options = ("data=mnist", "data.root=data", "trainer.max_steps=2", "run_dir=run")
    done("train", "model=autoencoder", *MLP, "latent_density=mixture", "latent_density.components=2", *QUICK, *options)
    for change in ({"pixel": 1}, {"label": 1}):
        mnist(work / "data", **change)
        line = refused(4, "train", "resume=run", "trainer.max_steps=4")
        assert "the training data is not the data of this run" in line
    mnist(work / "data")
    (work / "data").rename(work / "moved")
    assert "data.root" in refused(3, "train", "resume=run", "trainer.max_steps=4")
    assert "resuming at step 2" in done("train", "resume=run", "trainer.max_steps=4", "data.root=moved")
    config = json.loads((work / "run" / "checkpoints" / "step-00000004" / "config.json").read_text())
    assert config["data"]["root"] == config["train"]["data"]["root"] == str(work / "moved")


def test_data_that_vanishes_after_it_was_read_is_not_missed(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    losses = Autoencoder.losses

    def moving(self: Autoencoder, *args: Any) -> Any:
        if (work / "data").is_dir():
            (work / "data").rename(work / "moved")
        return losses(self, *args)

    mnist(work / "data")
    monkeypatch.setattr(Autoencoder, "losses", moving)
    options = ("data=mnist", "data.root=data", "trainer.max_steps=2", "run_dir=run", "trainer.val_every_n_steps=1")
    done("train", "model=autoencoder", *MLP, *QUICK, *options)
    assert not (work / "data").exists()
    assert "data" in refused(3, "train", "resume=run", "trainer.max_steps=4")


PLUGIN = """
from genkit.models.autoencoder.autoencoder import Autoencoder

class Mine(Autoencoder):
    pass
"""


def test_plugins_come_from_the_command_line_alone(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (work / "outside_of_genkit.py").write_text(PLUGIN)
    monkeypatch.setattr(sys, "path", list(sys.path))
    options = ("model._target_=outside_of_genkit.Mine", "trainer.max_steps=2", "run_dir=run")
    done(*arguments("autoencoder", *options, "plugins=[outside_of_genkit]"))
    config = json.loads((work / "run" / "checkpoints" / "step-00000002" / "config.json").read_text())
    assert config["train"]["plugins"] == ["outside_of_genkit"]
    del sys.modules["outside_of_genkit"]
    shutil.rmtree(work / "__pycache__", ignore_errors=True)
    assert "plugins=[outside_of_genkit]" in refused(2, "train", "resume=run", "trainer.max_steps=3")
    assert "plugins=[outside_of_genkit]" in refused(4, "sample", "ckpt=run", "out=samples")
    assert "outside_of_genkit" not in sys.modules
    assert genkit("sample", "ckpt=run", "n=2", "out=samples", "plugins=[outside_of_genkit]").code == 0
    assert "resuming" in done("train", "resume=run", "trainer.max_steps=3", "plugins=[outside_of_genkit]")
    del sys.modules["outside_of_genkit"]


def test_a_resumed_run_adds_to_its_record(copied: Path) -> None:
    without_checkpoints(copied, "step-00000006")
    before = run_json(copied)
    done("train", f"resume={copied}")
    after = run_json(copied)
    assert after["wall_time"] > before["wall_time"]
    assert {key: after[key] for key in ("started", "seed", "command")} == {
        key: before[key] for key in ("started", "seed", "command")
    }
    assert [line["step"] for line in lines(copied)] == [3, 6, 6]  # validations, and the terms of the last step
