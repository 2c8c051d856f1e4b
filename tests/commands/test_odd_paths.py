"""Paths with `=`, spaces, commas, brackets and other scripts, through every verb, one after the other."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import numpy as np
from command_cases import MLP, QUICK, done, genkit

ODD = "a=b, [ü] {x} 'q' 日本"


def test_from_data_to_scores(work: Path) -> None:
    data, run, again = work / f"data {ODD}", f"run {ODD}", f"other {ODD}"
    data.mkdir()
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (60, 28, 28), dtype=np.uint8), rng.integers(0, 10, 60)
    np.savez(data / "mnist.npz", x_train=images[:48], y_train=labels[:48], x_test=images[48:], y_test=labels[48:])
    options = (*MLP, *QUICK, "model=autoencoder", "latent_density=mixture", "latent_density.components=2", "data=mnist")
    done("train", *options, f"data.root={data}", f"run_dir={run}", "trainer.max_steps=1")
    done("train", *options, f"data.root={data.name}", f"run_dir={again}", "trainer.max_steps=1", "seed=1")
    assert (work / run / "checkpoints" / "step-00000001").is_dir()
    assert "resuming at step 1" in done("train", f"resume={run}", "trainer.max_steps=2", f"data.root={data}")
    done("sample", f"ckpt={run}", f"out=samples {ODD}", "n=12")
    done("sample", f"ckpt={run}/checkpoints/step-00000002", f"out=more {ODD}", "n=12", "seed=1")
    files = [f"{name} {ODD}/samples.npz" for name in ("samples", "more")]
    few = ("bootstrap=0", "floor_repeats=0", "baselines=false", "features=raw", "metric=fid")
    done("eval", f"samples={files[0]}", f"reference={files[1]}", f"out=scores {ODD}", *few)
    done("eval", f"ckpt=[{run},{again}]", f"data.root={data}", f"out=table {ODD}", "n=5", *few)
    sources = [
        record["source"] for record in json.loads((work / f"table {ODD}" / "results.json").read_text())["results"]
    ]
    assert list(dict.fromkeys(sources)) == [f"autoencoder {run}", f"autoencoder {again}"]
    done("export", f"ckpt={run}", f"out=export {ODD}")
    assert "intact" in done("verify", f"ckpt=export {ODD}")
    assert sorted(path.name for path in work.iterdir()) == sorted(
        f"{name} {ODD}" for name in ("data", "run", "other", "samples", "more", "scores", "table", "export")
    )


def test_the_recorded_command_does_the_same_again(work: Path, vae: Path) -> None:
    done("sample", f"ckpt={vae}", f"out=a {ODD}", "n=3")
    command = json.loads((work / f"a {ODD}" / "samples.json").read_text())["command"]
    words = shlex.split(command)
    assert words == ["genkit", "sample", f"ckpt={vae}", f"out=a {ODD}", "n=3"]
    assert genkit(*words[1:]).code == 2  # the same folder, which is in use now
    done(*words[1:3], "out=b", *words[4:])
    first, second = (np.load(work / name / "samples.npz")["x"] for name in (f"a {ODD}", "b"))
    assert (first == second).all()
