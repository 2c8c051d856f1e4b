"""Mistakes of every kind: one line that says what, where and what next, the right code, and nothing written."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_cases import done, refused
from PIL import Image

from genkit.checkpoint.read import find_checkpoint
from genkit.checkpoint.write import write_checkpoint

TRAIN = ("train", "model=vae", "trainer=cpu", "trainer.max_steps=1", "run_dir=new")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, vae: Path, diffusion: Path) -> Path:
    """Two good runs among files of all sorts."""
    folder = tmp_path_factory.mktemp("place")
    for name, run in (("v", vae), ("d", diffusion)):
        shutil.copytree(run, folder / name, copy_function=shutil.copyfile)
    good = find_checkpoint(vae)
    lost = {name: value * torch.nan if value.is_floating_point() else value for name, value in good.model().items()}
    (folder / "diverged").mkdir()
    write_checkpoint(folder / "diverged", 1, config=good.config(), model=lost)
    rng = np.random.default_rng(0)
    arrays: dict[str, np.ndarray] = {
        "scaled": rng.random((5, 8, 8, 1)),
        "level17": np.full((5, 8, 8, 1), 17, np.uint8),
        "large": np.zeros((5, 28, 28, 1), np.uint8),
        "nan": np.array([[1.0, np.nan]]),
        "points": rng.standard_normal((20, 2)),
        "huge": 1e160 * rng.standard_normal((20, 2)),
        "one": rng.standard_normal((1, 2)),
        "none": np.zeros((0, 2)),
        "digits": rng.integers(0, 17, (60, 8, 8, 1)).astype(np.uint8),
        "constant": np.full((60, 8, 8, 1), 7, np.uint8),
        "single": np.full((1, 8, 8, 1), 7, np.uint8),
        "gaps": np.full((5, 8, 8, 1), np.nan, np.float32),
        "objects": np.array([{}], dtype=object),
    }
    for name, array in arrays.items():
        np.savez(folder / f"{name}.npz", x=array)
    np.savez(folder / "unnamed.npz", z=np.zeros(3))
    (folder / "text.npz").write_text("no array")
    for file, sides, form in (
        ("mixed/0", 8, "png"),
        ("mixed/1", 9, "png"),
        ("lossy/0", 8, "png"),
        ("lossy/1", 8, "jpeg"),
        ("others/0", 8, "png"),
        ("others/1", 8, "bmp"),
    ):
        (folder / file).parent.mkdir(exist_ok=True)
        Image.fromarray(np.zeros((sides, 8), np.uint8)).save(folder / f"{file}.{form}")
    for file in ("damaged.pth", "damaged.safetensors", "in the way"):
        (folder / file).write_text("no weights")
    for name in ("full", "bad data"):
        (folder / name).mkdir()
    (folder / "full" / "mine.txt").write_text("mine")
    (folder / "bad data" / "mnist.npz").write_text("no array")
    (folder / "model.ckpt").write_bytes(b"PK")
    return folder


WEIGHTED = "eval samples=digits.npz data=digits metric=fid"

# command line, exit code, what its one line must hold
CASES: list[tuple[str, int, list[str]]] = [
    ("trian", 2, ["train"]),
    ("train model=vqvae", 2, ["model=vqvae", "did you mean vq_vae?"]),
    ("train data=digist", 2, ["data=digist", "did you mean digits?"]),
    ("train lr=1", 2, ["lr", "did you mean optimizer.lr?"]),
    ("train optimizer=null", 2, ["optimizer=null", "optimizer is needed"]),
    ("train trainer.precision=8", 2, ["trainer.precision: 8", "32-true"]),
    ("train trainer.precision=16-mixed", 2, ["trainer.precision=16-mixed", "bf16-mixed"]),
    ("train trainer.precision=bf16-true", 2, ["trainer.precision: 'bf16-true'", "bf16-mixed"]),
    ("train trainer.max_steps=0", 2, ["trainer.max_steps: 0", "≥ 1"]),
    ("train trainer.max_steps=1e3", 2, ["trainer.max_steps", "write 1000"]),
    ("train trainer.max_steps=null", 2, ["trainer.max_steps: null"]),
    ("train trainer.gradient_clip=nan", 2, ["trainer.gradient_clip: nan"]),
    ("train optimizer.lr=fast", 2, ["optimizer.lr: 'fast'"]),
    ("train optimizer.lr=-1", 2, ["optimizer", "-1"]),
    ("train optimizer._target_=genkit.models.vae.vae.VAE", 2, ["optimizer", "VAE is no Optimizer"]),
    ("train optimizer_overrides.modle.lr=1", 2, ["optimizer_overrides.modle", "phases are model"]),
    ("train optimizer_overrides.model.lrr=1", 2, ["optimizer_overrides.model.lrr", "lr, betas"]),
    ("train model.latent_dim=1.5", 2, ["model.latent_dim: 1.5", "integer"]),
    ("train model.latent_dim=99999999", 2, ["model.latent_dim: 99999999", "65536"]),
    ("train model._target_=os.system", 2, ["model._target_: os.system"]),
    ("train model._target_=genkit.cli.os.system", 2, ["model._target_"]),
    ("train +model.foo=1", 2, ["model.foo", "latent_dim"]),
    ("train backbone=unet data=toy", 2, ["backbone=unet", "backbone=mlp"]),
    ("train ema.decay=1.5", 2, ["ema.decay: 1.5", "[0, 1]"]),
    ("train seed=-1", 2, ["seed: -1"]),
    ("train plugins=[nope_nope] model._target_=nope_nope.X", 2, ["plugins", "nope_nope"]),
    ("train run_dir=full", 2, ["full: in use", "run_dir="]),
    ("train run_dir=points.npz", 2, ["points.npz: in use"]),
    ("train run_dir=points.npz/x", 6, ["points.npz/x"]),
    ("train data=mnist", 3, ["data.root=", "GENKIT_DATA"]),
    ("train data=mnist data.root=nowhere", 3, ["nowhere does not exist"]),
    ("train data=mnist data.root=bad data", 3, ["bad data/mnist.npz"]),
    ("train data=toy data.name=moonz", 2, ["data.name=moonz", "two_moons"]),
    ("train model=latent_diffusion", 2, ["model.autoencoder=…"]),
    ("train model=latent_diffusion model.autoencoder=null", 2, ["model.autoencoder", "model.autoencoder=CKPT"]),
    ("train model=latent_diffusion model.autoencoder=nowhere", 4, ["nowhere: no such folder"]),
    ("train model=latent_diffusion model.autoencoder=full", 4, ["full", "manifest.json is missing"]),
    ("train model=latent_diffusion model.autoencoder=d", 2, ["model.autoencoder: Diffusion has no encoder"]),
    ("train model=latent_diffusion model.autoencoder=v data=toy", 2, ["model.autoencoder", "1x8x8", "the data is 2"]),
    ("train model=latent_diffusion model.autoencoder=v backbone=unet", 2, ["backbone=unet", "backbone=mlp"]),
    ("train data.root=points.npz", 2, ["data.root: Digits has no such argument"]),
    ("sample ckpt=nowhere", 4, ["nowhere"]),
    ("sample ckpt=full", 4, ["full", "manifest.json is missing"]),
    ("sample ckpt=model.ckpt", 4, ["model.ckpt"]),
    ("sample ckpt=v n=0", 2, ["n: 0"]),
    ("sample ckpt=v n=-1", 2, ["n: -1"]),
    ("sample v n=0", 2, ["n: 0"]),
    ("complete v n=0", 2, ["n: 0"]),
    ("sample ckpt=v n=1000000000000", 2, ["n: 1000000000000", "the largest is 2147483647"]),
    ("sample ckpt=v y=1", 2, ["y=1", "model.conditional=true"]),
    ("sample ckpt=d y=10", 2, ["y=10", "0 … 9"]),
    ("sample ckpt=v weights=best", 2, ["weights: 'best'", "ema, raw"]),
    ("sample ckpt=d temperature=0.5", 2, ["temperature", "leave it out"]),
    ("sample ckpt=d truncation=0.5", 2, ["truncation", "leave it out"]),
    ("sample ckpt=v truncation=0", 2, ["truncation: 0"]),
    ("sample ckpt=v sampler.steps=5", 2, ["sampler", "leave it out"]),
    ("sample ckpt=v guidance.scale=2", 2, ["guidance.scale", "leave it out"]),
    ("sample ckpt=d guidance.interval=[0.1,20]", 2, ["guidance.interval", "guidance.scale="]),
    ("sample ckpt=d guidance.weak=d", 2, ["guidance.weak", "guidance.scale="]),
    ("sample ckpt=d guidance.weak=v guidance.scale=2", 2, ["guidance.weak: VAE is no diffusion model"]),
    (
        "sample ckpt=v guidance.weak=d guidance.scale=2",
        2,
        ["guidance.scale: genkit.models.vae.vae.VAE takes no such setting", "leave it out"],
    ),
    ("sample ckpt=d guidance.weak=nowhere guidance.scale=2", 4, ["nowhere"]),
    ("sample ckpt=d sampler.steps=0", 2, ["sampler.steps: 0"]),
    ("sample ckpt=d steps=5", 2, ["steps: genkit.models.diffusion.Diffusion", "did you mean sampler.steps=?"]),
    ("sample ckpt=d sampler=huen", 2, ["sampler=huen", "did you mean heun?"]),
    ("sample ckpt=v interpolation=null", 2, ["interpolation=null"]),
    ("sample ckpt=v device=tpu", 2, ["device=tpu", "cpu"]),
    ("sample ckpt=v out=full", 2, ["full: in use", "out="]),
    ("eval", 2, ["ckpt=", "samples="]),
    ("eval ckpt=v samples=points.npz", 2, ["ckpt=", "samples=", "one of them"]),
    ("eval ckpt=[] metric=fid", 2, ["ckpt=", "samples=", "one of them"]),
    ("sample ckpt=diverged/step-00000001 out=new", 5, ["sample 0 is not finite", "diverged"]),
    ("eval ckpt=diverged/step-00000001 metric=fid n=60", 5, ["sample 0 is not finite", "diverged"]),
    ("eval ckpt=diverged/step-00000001 metric=nll", 5, ["example 0 is NaN", "diverged"]),
    ("eval ckpt=[v,nowhere]", 4, ["nowhere"]),
    ("eval ckpt=v metric=[fid,kit]", 2, ["metric=kit", "did you mean kid?"]),
    ("eval ckpt=v metric=FID", 2, ["did you mean fid?"]),
    ("eval ckpt=v metric=is", 2, ["did you mean inception_score?", "metric=inception_score"]),
    ("eval ckpt=v metric=prdc", 2, ["did you mean [precision,recall,density,coverage]?"]),
    ("eval ckpt=v metric=[fid,prdc]", 2, ["metric=[fid,precision,recall,density,coverage]"]),
    ("eval ckpt=v metric=all", 2, ["suite/image", "without metric="]),
    ("eval ckpt=v metric=zzz", 2, ["the nearest of", "genkit list metrics"]),
    ("eval ckpt=v metric=[]", 2, ["metric=[]", "names no metric"]),
    ("eval samples=digits.npz data=digits device=nosuch metric=fid", 2, ["device=nosuch"]),
    ("eval ckpt=v features.normalize=min features=raw", 2, ["features.normalize=min"]),
    ("eval ckpt=v data=toy metric=mmd", 2, ["vae", "data="]),
    ("eval ckpt=v metric=fid n=1", 2, ["metric=fid", "raise n="]),
    ("eval samples=points.npz", 2, ["data=", "reference="]),
    ("eval samples=points.npz reference=points.npz temperature=2", 2, ["temperature", "leave it out"]),
    ("eval samples=points.npz reference=points.npz sampler.steps=2", 2, ["sampler", "leave it out"]),
    ("eval samples=points.npz reference=points.npz guidance.weak=d", 2, ["guidance.weak", "leave it out"]),
    ("eval samples=nowhere.npz data=digits", 3, ["nowhere.npz"]),
    ("eval samples=scaled.npz data=digits", 3, ["scaled.npz", "0 … 16"]),
    ("eval samples=level17.npz data=digits", 3, ["level17.npz", "0 … 16"]),
    ("eval samples=large.npz data=digits", 3, ["large.npz", "(n, 8, 8, 1)"]),
    ("eval samples=unnamed.npz data=digits", 3, ["unnamed.npz", "must be called x"]),
    ("eval samples=objects.npz data=digits", 3, ["objects.npz", "pickled"]),
    ("eval samples=text.npz data=digits", 3, ["text.npz"]),
    ("eval samples=none.npz data=toy", 3, ["none.npz", "n ≥ 1"]),
    ("eval samples=nan.npz reference=points.npz metric=fid", 3, ["nan.npz", "sample 0"]),
    ("eval samples=huge.npz reference=points.npz", 3, ["huge.npz", "sample 0", "within ±3.4e+38"]),
    ("eval samples=points.npz reference=huge.npz metric=fid", 3, ["huge.npz", "within ±3.4e+38"]),
    ("eval samples=one.npz reference=points.npz metric=fid", 2, ["metric=fid"]),
    ("eval samples=points.npz reference=large.npz metric=fid", 3, ["points", "(20, 2)", "(n, 28, 28, 1)"]),
    ("eval samples=full data=digits", 3, ["full", "PNG"]),
    ("eval samples=gaps.npz data=digits", 3, ["gaps.npz", "sample 0", "not finite"]),
    ("eval samples=single.npz data=digits", 2, ["no metric can score single", "raise n="]),
    ("eval samples=single.npz data=digits metric=inception_score", 2, ["inception_score", "1 samples"]),
    ("eval ckpt=v n=1 metric=[fid,kid]", 2, ["metric=fid", "raise n="]),
    ("eval samples=mixed data=digits", 3, ["mixed/1.png", "one size"]),
    ("eval samples=lossy data=digits", 3, ["lossy", "1.jpeg is JPEG"]),
    ("eval samples=others data=digits", 3, ["others", "1.bmp is no PNG"]),
    ("eval samples=lossy/1.jpeg data=digits", 3, ["lossy/1.jpeg", "folder of PNG"]),
    ("eval samples=digits.npz data=digits n=61", 2, ["n=61", "60 samples"]),
    (f"{WEIGHTED} features=inception features.weights=damaged.pth", 3, ["damaged.pth", "sha256"]),
    (f"{WEIGHTED} features=inception features.weights=nowhere", 3, ["nowhere", "put pt_inception"]),
    (f"{WEIGHTED} features=dinov2 features.weights=damaged.safetensors", 3, ["damaged.safetensors", "DINOv2"]),
    (f"{WEIGHTED} features=mnist", 2, ["metric=fid", "not made for", "(1, 8, 8)"]),
    (f"{WEIGHTED} out=points.npz/x", 6, ["points.npz/x"]),
    ("eval samples=digits.npz data=digits metric=mse", 2, ["metric=mse", "needs a model"]),
    ("eval ckpt=d metric=mse", 2, ["metric=mse", "Diffusion gives no reconstruction"]),
    ("eval ckpt=d metric=iwae", 2, ["metric=iwae", "Diffusion gives no bound"]),
    ("eval ckpt=v metric=mode_kl", 2, ["metric=mode_kl", "defined on vector data"]),
    ("export ckpt=v", 2, ["out= is missing"]),
    ("export ckpt=v out=full", 2, ["full: in use"]),
    ("verify ckpt=full", 4, ["full"]),
    ("list modles", 2, ["did you mean models?"]),
]


def every_other_one_slow() -> list[Any]:
    """All are asked in the slow tests and half of them in the quick ones."""
    return [pytest.param(*case, id=case[0], marks=pytest.mark.slow if i % 2 else ()) for i, case in enumerate(CASES)]


@pytest.mark.parametrize(("line", "code", "words"), every_other_one_slow())
def test_one_line(place: Path, monkeypatch: pytest.MonkeyPatch, line: str, code: int, words: list[str]) -> None:
    monkeypatch.chdir(place)
    verb, *typed = line.replace("bad data", "bad\0data").split()
    typed = [word.replace("\0", " ") for word in typed]
    argv = [*TRAIN, *typed] if verb == "train" else [verb, *typed]
    said = refused(code, *argv)
    assert all(word in said for word in words), said


def test_constant_samples_are_scored_and_said(place: Path, work: Path) -> None:
    options = ("data=digits", "metric=[fid,coverage]", "floor_repeats=1", "bootstrap=2", "baselines=false", "out=out")
    said = done("eval", f"samples={place / 'constant.npz'}", *options)
    assert "all samples are the same" in said


def test_a_cache_that_cannot_be_used_is_said(place: Path, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENKIT_CACHE", str(place / "in the way"))
    options = ("data=digits", "metric=fid", "floor_repeats=1", "bootstrap=2", "baselines=false", "out=out")
    assert "going on without the cache" in done("eval", f"samples={place / 'digits.npz'}", *options)
    assert (work / "out" / "results.json").is_file()


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
@pytest.mark.parametrize("argv", [(*TRAIN, "trainer=gpu"), ("sample", "ckpt=v", "device=cuda")])
def test_a_gpu_that_is_not_here(place: Path, monkeypatch: pytest.MonkeyPatch, argv: tuple[str, ...]) -> None:
    monkeypatch.chdir(place)
    assert "gpu" in refused(2, *argv) or "cuda" in refused(2, *argv)


def test_a_logger_whose_package_is_missing(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genkit.loggers.base.find_spec", lambda name: None)
    for name in ("tensorboard", "wandb", "mlflow"):
        said = refused(2, *TRAIN, f"logger={name}")
        assert f"needs the package {name}, which is not installed: pip install 'genkit-toolkit[{name}]'" in said
