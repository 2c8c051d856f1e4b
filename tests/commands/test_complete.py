"""`genkit complete` and `genkit restore` by the command line, on runs of a few steps."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from command_cases import QUICK, arguments, done, mostly_slow, refused
from PIL import Image

from genkit.data.sources.digits import Digits

FEW = ("posterior=split_gibbs", "posterior.levels=2", "posterior.steps=4", "posterior.particles=1")
SHORT = ("posterior=latent_langevin", "posterior.pool=200", "posterior.steps=3", "posterior.langevin_steps=2")


def drawn(folder: str, n: int, k: int) -> np.ndarray:
    with np.load(Path(folder) / "samples.npz") as arrays:
        x = arrays["x"]
    return x.reshape(n, k, *x.shape[1:])


def rows_of(folder: str, note: str = "complete.json") -> list[int]:
    return json.loads((Path(folder) / note).read_text())["examples"]["rows"]


def np_rows(folder: str) -> torch.Tensor:
    return torch.tensor(rows_of(folder))


def scores(folder: str) -> dict[tuple[str, str], float]:
    results = json.loads((Path(folder) / "results.json").read_text())["results"]
    return {(row["source"], row["score"]): row["value"] for row in results}


CASES = {"diffusion": FEW, "vae": SHORT, "gan": SHORT}


@pytest.mark.parametrize("family", mostly_slow(CASES, "vae"))
def test_what_is_known_comes_back_bit_for_bit(family: str, request: pytest.FixtureRequest) -> None:
    run = request.getfixturevalue(family)
    said = done("complete", f"ckpt={run}", "known=upper", "n=3", "draws=2", "out=a", *CASES[family])
    assert "3 examples, 2 draws of each, upper known" in said
    truth = Digits().split("test").take(np_rows("a")).x.movedim(1, -1).numpy()
    x = drawn("a", 3, 2)
    assert (x[:, :, :4] == truth[:, None, :4]).all()
    assert (x[:, :, 4:] != truth[:, None, 4:]).any()
    found = scores("a")
    assert {source for source, _ in found} == {run.name, "mean fill", "nearest training example"}
    assert (run.name, "class_kept") in found
    assert Image.open("a/complete.png").size[0] > 200
    alone = ("batch_size=1", "features=raw")
    done("complete", f"ckpt={run}", "known=upper", "n=3", "draws=2", "out=b", *alone, *CASES[family])
    assert (run.name, "class_kept") not in scores("b")  # of no classifier
    assert scores("b")[run.name, "feature_distance"] != found[run.name, "feature_distance"]
    assert np.abs(drawn("a", 3, 2).astype(int) - drawn("b", 3, 2)).mean() < 0.1  # batches change the last bits alone


def test_a_label_is_told_only_where_it_is_asked_for(runs: Path) -> None:
    run = runs / "conditional_made"
    words = ("model=made", "model.conditional=true", "model.network.features=16", *QUICK, "trainer.max_steps=2")
    done("train", *words, f"run_dir={run}")
    for folder, more in (("a", ()), ("b", ("y=own",))):
        done("complete", f"ckpt={run}", "known=upper", "n=3", "draws=2", f"out={folder}", *more)
    truth = Digits().split("test").take(np_rows("a")).x.movedim(1, -1).numpy()
    assert (drawn("a", 3, 2)[:, :, :4] == truth[:, None, :4]).all()
    assert ("made", "class_kept") in scores("a")
    assert ("made", "class_kept") not in scores("b")  # a class that was told says nothing
    assert ("made", "feature_distance_of_mean") in scores("b")


def test_points_are_imputed(flow: Path) -> None:
    done("complete", f"ckpt={flow}", "known=[0]", "n=4", "draws=3", "out=a", *SHORT)
    x = drawn("a", 4, 3)
    assert (x[:, :, 0] == x[:, :1, 0]).all()
    assert len(np.unique(x[:, :, 1])) > 4


def test_empty_cells_of_a_table_are_filled(runs: Path) -> None:
    heights = np.random.default_rng(0).normal(size=80)
    lines = [f"{height:.3f},{2 * height:.3f},{'tall' if height > 0 else 'short'}" for height in heights]
    Path("people.csv").write_text("\n".join(["height,weight,word", *lines]))
    quick = ("trainer=cpu", "trainer.max_steps=2", "data.batch_size=16", "samples.every_n_steps=0")
    done("train", "model=diffusion", "data=table", "data.root=people.csv", *quick, f"run_dir={runs / 'table'}")
    Path("gaps.csv").write_text("height,weight,word\n1.0,,tall\n,-2.0,\n0.5,1.0,short\n")
    said = done("complete", f"ckpt={runs / 'table'}", "input=gaps.csv", "draws=2", "out=a", *FEW)
    assert "3 examples, 2 draws of each, empty cells of gaps.csv filled" in said
    filled = [line.split(",") for line in Path("a/samples.csv").read_text().splitlines()[1:]]
    assert len(filled) == 6
    assert all(float(row[0]) == 1.0 and row[2] == "tall" and row[1] for row in filled[:2])
    assert all(float(row[1]) == -2.0 and row[2] in ("tall", "short") for row in filled[2:4])
    assert [(float(row[0]), float(row[1]), row[2]) for row in filled[4:]] == [(0.5, 1.0, "short")] * 2
    assert not Path("a/results.json").exists()
    Path("whole.csv").write_text("height,weight,word\n1.0,2.0,tall\n")
    assert "no cell is empty" in refused(3, "complete", f"ckpt={runs / 'table'}", "input=whole.csv", "out=b")


def test_a_model_that_completes_does(runs: Path) -> None:
    run = runs / "made"
    quick = ("trainer=cpu", "trainer.max_steps=2", "data.batch_size=16", "samples.every_n_steps=0")
    done("train", "model=made", "data=digits", *quick, f"run_dir={run}")
    done("complete", f"ckpt={run}", "hidden=lower", "n=2", "draws=2", "out=a")
    assert drawn("a", 2, 2).shape == (2, 2, 8, 8, 1)
    line = refused(2, "complete", f"ckpt={run}", "known=lower", "n=2", "out=b")
    assert "what is known must come first" in line
    assert "genkit restore: " in refused(2, "restore", f"ckpt={run}", "out=c")


@pytest.mark.parametrize("task", ["denoise", "deblur", "super_resolve factor=2"])
def test_restoring(task: str, diffusion: Path) -> None:
    done("restore", f"ckpt={diffusion}", *f"task={task}".split(), "n=2", "draws=2", "out=a", "features=raw", *FEW)
    found = scores("a")
    assert ("plain", "class_kept") not in found
    assert json.loads(Path("a/results.json").read_text())["meta"]["features"].startswith("raw")
    assert found["diffusion", "residual_of_expected"] > 0
    assert ("plain", "psnr_mean") in found
    assert drawn("a", 2, 2).shape == (2, 2, 8, 8, 1)


def test_a_users_own_pictures(diffusion: Path) -> None:
    Image.fromarray(np.full((9, 9), 200, np.uint8)).save("grey.png")
    done("complete", f"ckpt={diffusion}", "hidden=[2,2,3,3]", "input=grey.png", "draws=2", "out=a", *FEW)
    x = drawn("a", 1, 2)
    assert (x[:, :, 0] == 13).all()  # 200 of 255 in 17 levels
    Image.fromarray(np.full((4, 4), 90, np.uint8)).save("small.png")
    words = ("restore", f"ckpt={diffusion}", "task=super_resolve", "factor=2", "input=small.png", "draws=2", *FEW)
    done(*words, "out=b")
    assert drawn("b", 1, 2).shape == (1, 2, 8, 8, 1)
    assert not any(score == "psnr_mean" for _, score in scores("b"))
    done("restore", f"ckpt={diffusion}", "input=grey.png", "draws=2", "out=c", *FEW)  # the noise is measured


MASKS = {
    "white.png": np.full((8, 8), 255, np.uint8),
    "black.png": np.zeros((8, 8), np.uint8),
    "large.png": np.full((9, 8), 255, np.uint8),
}
REFUSED = {
    "known=large.png": (3, "known=large.png: a mask of 9x8 values, and an example has 1x8x8"),
    "known=white.png": (2, "known=white.png: everything is known"),
    "known=black.png": (2, "known=black.png: nothing is known"),
    "known=[0,0,9,2]": (2, "the box does not lie in an image of 8x8 pixels"),
    "known=[0,0,2]": (2, "a box is [top,left,height,width] in pixels"),
    "known=1.5": (2, "known=1.5: a share lies between 0 and 1"),
    "known=uper": (2, "known=uper: neither a half (upper, lower, left, right)"),
    "known=upper hidden=lower": (2, "leave one out"),
    "task=colourise": (2, "takes images of three colours"),
    "task=impute": (2, "task=impute: it takes vectors and tables"),
    "posterior=latent_langevin": (2, "it needs latents of known density, which Diffusion lacks"),
    "n=100000": (3, "n=100,000: digits, test has 899 examples"),
    "input=nothing.png": (3, "nothing.png does not exist"),
    "input=white.png data=mnist": (2, "data= and input= both say"),
    "features=mnist": (2, "features=: mnist/"),
    "y=12": (2, "the model knows the labels 0 … 9"),
    "data=toy": (2, "data=: its shape is (2,)"),
}


@pytest.mark.parametrize("words", REFUSED)
def test_bad_input_is_refused_in_one_line(words: str, diffusion: Path) -> None:
    for name, values in MASKS.items():
        Image.fromarray(values).save(name)
    code, reason = REFUSED[words]
    line = refused(code, "complete", f"ckpt={diffusion}", "out=a", *words.split(), *(() if "n=" in words else ("n=2",)))
    assert reason in line
    assert not Path("a").exists()


def test_a_family_that_cannot_is_told_who_can(runs: Path) -> None:
    run = runs / "autoencoder2"
    done(*arguments("autoencoder", "trainer.max_steps=2", f"run_dir={run}"))
    line = refused(2, "complete", f"ckpt={run}", "out=a")
    assert "Autoencoder cannot" in line
    assert "diffusion" in line
    assert "genkit list uses" in line


def test_a_share_is_each_examples_own(flow: Path) -> None:
    done("complete", f"ckpt={flow}", "known=0.5", "n=6", "draws=1", "out=a", *SHORT)
    with np.load("a/given.npz") as arrays:
        hidden = arrays["hidden"]
    assert (hidden.sum(1) == 1).all()
    assert 0 < hidden[:, 0].sum() < 6
