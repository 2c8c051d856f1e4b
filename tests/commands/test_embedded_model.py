"""A model inside another one: where it came from is needed once, and never trusted."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from command_cases import MLP, QUICK, digest, done, lines, refused, run_json

import genkit as package
from genkit.checkpoint.read import find_checkpoint
from genkit.checkpoint.write import write_checkpoint

LATENT = ("train", "model=latent_diffusion", *MLP, *QUICK, "sampler.steps=3", "lr_schedule=constant")
PLAN = ("checkpoint.every_n_steps=3", "checkpoint.keep=9", "trainer.val_every_n_steps=3", "trainer.log_every_n_steps=1")


@pytest.fixture
def source(autoencoder: Path, work: Path) -> Path:
    """An autoencoder of one's own, to be moved and deleted."""
    shutil.copytree(autoencoder, work / "ae", copy_function=shutil.copyfile)
    return work / "ae"


def train(ckpt: Path | str, run: str, steps: int, *more: str) -> str:
    return done(*LATENT, *PLAN, f"model.autoencoder={ckpt}", f"run_dir={run}", f"trainer.max_steps={steps}", *more)


def test_its_weights_are_the_checkpoints_and_stay(source: Path) -> None:
    train(source, "run", 4)
    before = package.load(source).state_dict()
    for weights in ("ema", "raw"):
        after = package.load("run", weights=weights).autoencoder.state_dict()
        assert all((after[name] == value).all() for name, value in before.items())
    config = json.loads(Path("run/checkpoints/step-00000004/config.json").read_text())
    assert config["model"]["autoencoder"] == find_checkpoint(source).config()["model"]
    origin = config["train"]["embedded"]["autoencoder"]
    assert (origin["named"], origin["step"]) == (str(source), 6)
    assert origin["ckpt_sha256"] == find_checkpoint(source).manifest.files["model.safetensors"].sha256


@pytest.mark.slow
def test_without_the_first_checkpoint_everything_goes_on_exactly(source: Path, work: Path) -> None:
    train(source, "whole", 8)
    train(source, "part", 4)
    shutil.rmtree(source)
    again = (*LATENT[1:2], *MLP, "sampler.steps=3", f"model.autoencoder={source}")  # as the run began
    assert "resuming at step 4 (exact)" in done("train", "resume=part", "trainer.max_steps=8", *again)
    for name in ("model.safetensors", "training.safetensors"):
        whole, part = (work / run / "checkpoints/step-00000008" / name for run in ("whole", "part"))
        assert whole.read_bytes() == part.read_bytes()
    assert lines(work / "whole") == lines(work / "part")
    done("export", "ckpt=part", "out=export")
    for ckpt in ("part", "export"):
        done("sample", f"ckpt={ckpt}", "n=4", f"out={ckpt}-samples")
    assert digest(work / "part-samples")["samples.npz"] == digest(work / "export-samples")["samples.npz"]
    done("eval", "ckpt=part", "n=32", "metric=[fid,mse]", "bootstrap=0", "floor_repeats=0", "out=scores")
    done("sample", "ckpt=part", "show=interpolation", "n=16", "out=paths")
    done("verify", "part", "replay=3")


def test_it_has_no_likelihood(source: Path) -> None:
    train(source, "run", 1)
    assert "gives no log prob" in refused(2, "eval", "ckpt=run", "metric=nll", "n=8")


def without_checkpoints(run: Path) -> None:
    """As if the run had been killed before its first checkpoint."""
    shutil.rmtree(run / "checkpoints")
    (run / "latest").unlink()
    (run / "best").unlink(missing_ok=True)
    (run / "run.json").write_text(json.dumps(run_json(run) | {"status": "running", "exit_code": None}))


@pytest.mark.slow
def test_a_run_without_a_checkpoint_of_its_own_asks_for_the_first_one_again(source: Path, work: Path) -> None:
    train(source, "run", 4)
    before = digest(work / "run" / "checkpoints")
    without_checkpoints(work / "run")
    assert "starting at step 0" in done("train", "resume=run")
    assert digest(work / "run" / "checkpoints") == before
    without_checkpoints(work / "run")
    shutil.rmtree(source)
    assert "ae/checkpoints/step-00000006: no such folder" in refused(4, "train", "resume=run")


def test_another_one_is_another_run(source: Path) -> None:
    train(source, "run", 1)
    words = ("model=latent_diffusion", "model.autoencoder=other", "trainer.max_steps=2")
    said = refused(2, "train", "resume=run", *words)
    assert "model.autoencoder" in said
    assert "ae became other" in said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("_target_", "os.system", "os.system"),
        ("_target_", "genkit.training.ema.EMA", "EMA is no GenerativeModel"),
        ("_target_", "torch.optim.Adam", "torch.optim.Adam"),
        ("latent_dim", "${oc.env:HOME}", "interpolation"),
        ("latent_dim", 65536, "does not fit itself"),
    ],
)
def test_a_hostile_one_is_refused_as_anywhere(source: Path, work: Path, key: str, value: object, said: str) -> None:
    """Also where it stands inside of another checkpoint."""
    found = find_checkpoint(source)
    bad = found.config()
    bad["model"] = {**bad["model"], key: value} if key != "_target_" else {"_target_": value}
    (work / "bad").mkdir()
    path = write_checkpoint(work / "bad" / "checkpoints", 1, config=bad, model=found.model())
    assert said in refused(4, *LATENT, f"model.autoencoder={path}", "run_dir=new")
    train(source, "run", 1)
    outer = find_checkpoint("run")
    config = outer.config()
    config["model"]["autoencoder"] = bad["model"]
    (work / "worse").mkdir()
    path = write_checkpoint(work / "worse" / "checkpoints", 1, config=config, model=outer.model())
    assert said in refused(4, "sample", f"ckpt={path}", "n=1")
