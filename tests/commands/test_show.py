"""`genkit sample show=…`: the pictures hold held-out examples and what the model makes of them, nothing else."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from command_cases import MLP, QUICK, TOY, arguments, done, refused
from PIL import Image
from torch import Tensor

import genkit as package
from genkit.data.sources.digits import Digits
from genkit.models.autoencoder.autoencoder import Autoencoder
from genkit.models.interpolation import Interpolation, Lerp, Slerp
from genkit.report.grid import GAP, GAP_LEVEL, TILE, to_bytes


def tiles(path: Path) -> np.ndarray:
    """A picture of digits cut into images (rows, columns, 8, 8), without the words above and beside them."""
    picture = np.asarray(Image.open(path))
    gaps = picture == GAP_LEVEL
    top, across = int(gaps.sum(1).argmax()), np.flatnonzero(gaps[-TILE:].all(0))  # the first gap, and all downward ones
    side = int(across[GAP] - across[0])  # of a tile and its gap, which are larger where tiles are few
    picture = picture[top + GAP :, across[0] + GAP : across[-1] + 1]
    rows, columns = (size // side for size in picture.shape)
    cells = picture.reshape(rows, side, columns, side).swapaxes(1, 2)
    scale = (side - GAP) // 8
    return cells[:, :, 0 : side - GAP : scale, 0 : side - GAP : scale]


def show(run: Path, what: str, *more: str, out: str = "out") -> Path:
    done("sample", f"ckpt={run}", f"show={what}", f"out={out}", *more)
    return Path(out) / f"{what}.png"


def drawn(x: Tensor) -> np.ndarray:
    return to_bytes(x, Digits.spec)[..., 0].numpy()


@pytest.fixture(scope="session")
def held_out() -> dict[bytes, int]:
    """Every test image as it is drawn, with its label."""
    test = Digits().split("test")
    assert test.y is not None
    images = drawn(Digits.spec.scale(test.x))
    return {image.tobytes(): int(label) for image, label in zip(images, test.y, strict=True)}


@pytest.fixture(scope="session")
def labelled(runs: Path) -> Path:
    """2 steps of a conditional autoencoder on digits."""
    run = runs / "labelled"
    done(*arguments("autoencoder", "model.conditional=true", "trainer.max_steps=2", f"run_dir={run}"))
    return run


def test_a_reconstruction_stands_below_its_held_out_example(
    autoencoder: Path, work: Path, held_out: dict[bytes, int]
) -> None:
    picture = tiles(show(autoencoder, "reconstruction", "n=16"))
    assert sorted(path.name for path in (work / "out").iterdir()) == ["reconstruction.json", "reconstruction.png"]
    originals, restored = picture[0::2].reshape(-1, 8, 8), picture[1::2].reshape(-1, 8, 8)
    assert len({image.tobytes() for image in originals} & held_out.keys()) == 16
    model = package.load(autoencoder)
    assert isinstance(model, Autoencoder)
    x = Digits.spec.scale(torch.from_numpy(originals / 255 * 16).round()[:, None])
    with torch.no_grad():
        assert (drawn(model.reconstruct(x)) == restored).all()
    facts = json.loads((work / "out" / "reconstruction.json").read_text())
    assert (facts["show"], facts["n"], facts["model"]["step"]) == ("reconstruction", 16, 6)


@pytest.mark.parametrize(("name", "path"), [("lerp", Lerp()), ("slerp", Slerp())])
def test_a_path_leads_from_one_held_out_examples_latent_to_anothers(
    autoencoder: Path, held_out: dict[bytes, int], name: str, path: Interpolation
) -> None:
    picture = tiles(show(autoencoder, "interpolation", f"interpolation={name}", "n=24", "batch_size=5"))
    assert picture.shape[:2] == (3, 8)
    pairs = tiles(show(autoencoder, "reconstruction", "n=6", out="pairs"))  # the same examples, in the same order
    model = package.load(autoencoder)
    assert isinstance(model, Autoencoder)
    x = Digits.spec.scale(torch.from_numpy(pairs[0] / 255 * 16).round()[:, None])
    with torch.no_grad():
        z = model.encode(x)
        expected = model.decode(path(z[0::2], z[1::2], torch.linspace(0, 1, 8)).flatten(0, 1))
    assert (np.abs(picture.reshape(-1, 8, 8).astype(int) - drawn(expected)) <= 16).all()  # a level, where one is near
    assert (picture.reshape(-1, 8, 8) != drawn(expected)).mean() < 0.01


def test_labels_are_those_of_the_examples(labelled: Path, held_out: dict[bytes, int]) -> None:
    in_turn = tiles(show(labelled, "reconstruction", "n=16"))[0::2].reshape(-1, 8, 8)
    assert [held_out[image.tobytes()] for image in in_turn] == [i % 10 for i in range(16)]
    threes = tiles(show(labelled, "reconstruction", "n=16", "y=3", out="threes"))[0::2].reshape(-1, 8, 8)
    assert [held_out[image.tobytes()] for image in threes] == [3] * 16
    assert tiles(show(labelled, "interpolation", "n=80", out="paths")).shape[:2] == (10, 8)


def test_the_seed_chooses_the_examples_and_n_only_how_many(autoencoder: Path) -> None:
    first, more, other = (
        tiles(show(autoencoder, "reconstruction", *words, out=out))
        for out, words in {"a": ("n=8",), "b": ("n=16",), "c": ("n=8", "seed=1")}.items()
    )
    assert (first == more[:2]).all()
    assert (first != other).any()


def test_points_are_drawn_as_paths_over_real_ones(runs: Path, work: Path) -> None:
    done("train", "model=vae", *MLP, "model.latent_dim=2", *QUICK, *TOY, "trainer.max_steps=2", "run_dir=points")
    for what in ("interpolation", "reconstruction"):
        assert show(work / "points", what, out=what).stat().st_size > 0


def test_without_an_encoder_paths_join_draws_of_noise(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    (work / "conf" / "model").mkdir(parents=True)
    (work / "conf" / "model" / "generator.yaml").write_text("_target_: normal_latent.Generator\n")
    own = ("plugins=[normal_latent]",)
    done("train", "--config-dir", "conf", *own, "model=generator", *QUICK, "trainer.max_steps=2", "run_dir=run")
    first, again, other = (
        tiles(show(work / "run", "interpolation", *own, *more, out=out))
        for out, more in {"a": (), "b": (), "c": ("seed=1",)}.items()
    )
    assert first.shape[:2] == (8, 8)
    assert (first == again).all()
    assert (first != other).any()
    assert "Generator is no reconstructor" in refused(2, "sample", f"ckpt={work / 'run'}", "show=reconstruction", *own)
    sys.modules.pop("normal_latent", None)


def test_what_a_model_cannot_do_is_refused(diffusion: Path, autoencoder: Path) -> None:
    said = refused(2, "sample", f"ckpt={diffusion}", "show=interpolation")
    assert "show=interpolation: Diffusion is no encoder and no decoder" in said
    assert "no reconstructor" in refused(2, "sample", f"ckpt={diffusion}", "show=reconstruction")
    assert "did you mean interpolation?" in refused(2, "sample", f"ckpt={autoencoder}", "show=interpolate")
    assert "choose a smaller n" in refused(3, "sample", f"ckpt={autoencoder}", "show=reconstruction", "n=900")
    assert "data.root" in refused(3, "sample", f"ckpt={autoencoder}", "show=reconstruction", "data.root=nowhere")
    assert "interpolation=circle" in refused(2, "sample", f"ckpt={autoencoder}", "interpolation=circle")
