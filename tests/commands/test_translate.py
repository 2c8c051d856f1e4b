"""`genkit translate` by the command line, on runs of a few steps."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command_cases import TOY, arguments, done, refused
from PIL import Image

import genkit
from genkit.data.sources.digits import Digits

FEW = ("translation=diffusion_bridge", "translation.steps=2")


def images(folder: str, name: str = "samples") -> np.ndarray:
    with np.load(Path(folder) / f"{name}.npz") as arrays:
        return arrays["x"]


def note(folder: str) -> dict:
    return json.loads((Path(folder) / "translate.json").read_text())


def scores(folder: str) -> dict[tuple[str, str], float]:
    results = json.loads((Path(folder) / "results.json").read_text())["results"]
    return {(row["source"], row["score"]): row["value"] for row in results}


@pytest.fixture(scope="session")
def conditional_flow(runs: Path) -> Path:
    """2 steps on points, whose modes are the labels."""
    run = runs / "conditional_flow"
    done(*arguments("flow", *TOY, "trainer.max_steps=2", "model.conditional=true", f"run_dir={run}"))
    return run


@pytest.fixture(scope="session")
def plain_diffusion(runs: Path) -> Path:
    """2 steps on digits, without labels."""
    run = runs / "plain_diffusion"
    done(*arguments("diffusion", "trainer.max_steps=2", "sampler.steps=4", f"run_dir={run}"))
    return run


def test_no_strength_gives_the_inputs_back(diffusion: Path) -> None:
    said = done("translate", f"ckpt={diffusion}", "n=6", "strength=0", "out=a")
    assert "6 examples, translated at strength 0" in said
    assert (images("a") == images("a", "inputs")).all()
    truth = Digits().split("test").x[note("a")["examples"]["rows"]].movedim(1, -1).numpy()
    assert (images("a", "inputs") == truth).all()
    found = scores("a")
    assert found["diffusion", "rmse"] == 0
    assert found["diffusion", "ssim"] == pytest.approx(1)
    assert found["diffusion", "class_kept"] == found["input", "class_kept"] > 0.5
    assert {source for source, _ in found} == {"diffusion", "input", "nearest target example", "target data"}
    assert Image.open("a/translate.png").size[0] > 500  # the strengths stand beside


def test_python_translates_what_the_command_does(diffusion: Path) -> None:
    done("translate", f"ckpt={diffusion}", "n=3", "y=3", "out=a")
    found = genkit.translate(ckpt=diffusion, n=3, y=3, out="b")
    assert found.path == Path("b").resolve()
    assert found.x is not None
    assert found.y is not None
    assert (found.x.movedim(1, -1).numpy() == images("a")).all()
    assert found.y.tolist() == [3, 3, 3]
    assert found.value("target_class", source="input") == scores("a")["input", "target_class"]
    assert found.pictures == (found.path / "translate.png",)


def test_a_label_is_translated_to(diffusion: Path) -> None:
    for folder, size in (("a", 500), ("b", 2)):
        done("translate", f"ckpt={diffusion}", "n=5", "y=3", f"out={folder}", f"batch_size={size}")
    assert np.abs(images("a").astype(int) - images("b")).mean() < 0.1  # batches change the last bits alone
    labels = Digits().split("test").y[note("a")["examples"]["rows"]]
    assert (labels != 3).all()
    assert scores("a")["nearest target example", "target_class"] > 0.5
    assert scores("a")["input", "target_class"] < 0.5


def test_a_bridge_says_how_far_there_and_back_is(diffusion: Path, plain_diffusion: Path) -> None:
    said = done("translate", f"ckpt={diffusion}", "n=4", "y=1", *FEW, "out=a")
    assert "translated to class 1 through noise and back" in said
    assert ("diffusion", "cycle_rmse") in scores("a")
    done("translate", f"from={plain_diffusion}", f"ckpt={diffusion}", "n=4", "out=b")
    assert note("b")["method"] == "DiffusionBridge"
    assert note("b")["from"] == str(plain_diffusion)


@pytest.mark.slow
def test_flows_go_through_their_latents(conditional_flow: Path, flow: Path) -> None:
    done("translate", f"ckpt={conditional_flow}", "n=20", "y=2", "out=a")
    assert scores("a")["flow", "cycle_rmse"] < 1e-3
    done("translate", f"from={conditional_flow}", f"ckpt={flow}", "n=20", "out=b", "features=raw")
    assert scores("b")["flow", "cycle_rmse"] < 1e-3


def test_your_own_pictures_of_unknown_class(diffusion: Path) -> None:
    for i in range(2):
        Image.fromarray(np.random.default_rng(i).integers(0, 256, (20, 20, 3), dtype=np.uint8)).save(f"{i}.png")
    Path("some").mkdir()
    for i in range(2):
        Path(f"{i}.png").rename(f"some/{i}.png")
    said = done("translate", f"ckpt={diffusion}", "input=some", "y=4", *FEW, "out=a")
    assert "found by the model" in said
    assert images("a").shape == (2, 8, 8, 1)
    done("translate", f"ckpt={diffusion}", "input=a/samples.npz", "n=1", "out=b")
    assert ("input", "class_kept") in scores("b")


REFUSED = {
    "y=10": "the model knows the labels 0 … 9",
    "strength=2": "strength",
    "data=toy": "choose another",
    "data=digits input={run}": "leave one out",
    "from=nowhere": "nowhere",
    "translation=latent_bridge y=1": "Diffusion lacks",
    "translation=diffusion_bridge": "from=CKPT",
    "translation=diffusion_bridge y=1 strength=0.5": "strength=: DiffusionBridge has none",
    "translation=sdedit from={run}": "leave from= out",
    "n=100000": "choose at most that many",
    "input=nothing.png": "nothing.png",
    "method=sdedit": "translation=sdedit",
}


@pytest.mark.parametrize("words", REFUSED)
def test_bad_input_is_one_line(words: str, diffusion: Path) -> None:
    code = 3 if words.startswith(("n=", "input=nothing")) else 4 if words == "from=nowhere" else 2
    line = refused(code, "translate", f"ckpt={diffusion}", *words.format(run=diffusion).split(), "out=a")
    assert REFUSED[words] in line
    assert not Path("a").exists()


def test_a_model_that_cannot_is_told_who_can(gan: Path, flow: Path) -> None:
    assert "these families can: diffusion, energy, flow" in refused(2, "translate", f"ckpt={gan}", "out=a")
    assert "from=CKPT" in refused(2, "translate", f"ckpt={flow}", "out=a")


@pytest.fixture(scope="session")
def pix2pix(runs: Path) -> Path:
    """4 steps on digits from their edges."""
    run = runs / "pix2pix"
    done(*arguments("pix2pix", "trainer.max_steps=4", f"run_dir={run}"))
    return run


def test_pairs_are_scored_beside_their_truth(pix2pix: Path) -> None:
    said = done("translate", f"ckpt={pix2pix}", "n=5", "out=a")
    assert "5 examples, each made from its input" in said
    found = scores("a")
    sources = {"pix2pix", "input", "training mean", "nearest training pair"}
    assert {source for source, score in found if score == "psnr"} == sources
    assert found["nearest training pair", "psnr"] > found["input", "psnr"]
    assert images("a").shape == images("a", "inputs").shape == (5, 8, 8, 1)
    rows = note("a")["examples"]["rows"]
    given = Digits(pairs="edges").split("test").c[rows].movedim(1, -1).numpy()
    assert (images("a", "inputs") == given).all()
    done("translate", f"ckpt={pix2pix}", "input=a/inputs.npz", "out=b")
    assert (images("a") == images("b")).all()  # it draws no noise
    assert "psnr" not in {score for _, score in scores("b")}


def test_a_model_of_pairs_is_sampled_from_the_conditions_that_it_keeps(pix2pix: Path) -> None:
    for folder, size in (("a", 4), ("b", 500)):
        done("sample", f"ckpt={pix2pix}", "n=6", f"out={folder}", f"batch_size={size}")
    assert (images("a") == images("b")).all()


PAIRS_REFUSED = {
    "strength=0.5": "leave it out",
    "translation=sdedit": "leave it out",
    "y=3": "unconditional",
    "data=digits": "has no pairs",
    "data=toy": "choose another",
}


@pytest.mark.parametrize("words", PAIRS_REFUSED)
def test_what_pairs_have_no_use_for(words: str, pix2pix: Path) -> None:
    assert PAIRS_REFUSED[words] in refused(2, "translate", f"ckpt={pix2pix}", words, "n=2", "out=a")


def test_models_of_pairs_ask_for_pairs() -> None:
    line = refused(2, "train", "model=pix2pix", "data=digits", "run_dir=a")
    assert "data.pairs=blur" in line
    assert "pairs are of grey images" in refused(2, "train", "data.pairs=blur", "data.binarize=threshold", "run_dir=a")


@pytest.mark.slow
def test_two_domains_without_pairs_know_the_way_back(runs: Path) -> None:
    run = runs / "cycle_gan"
    done(*arguments("cycle_gan", "trainer.max_steps=2", f"run_dir={run}"))
    done("translate", f"ckpt={run}", "n=3", "out=a")
    assert ("cyclegan", "cycle_rmse") in scores("a")
    assert ("cyclegan", "psnr") in scores("a")  # held-out pairs are whole
    assert "nearest training pair" not in {source for source, _ in scores("a")}  # it has seen none
    assert "give data.pairs=" in refused(2, "train", "data.unpaired=true", "run_dir=b")


def test_folders_of_two_domains(runs: Path) -> None:
    for folder, n in (("x", 14), ("c", 11)):
        Path(folder).mkdir()
        for i in range(n):
            pixels = np.random.default_rng(i).integers(0, 256, (8, 8), dtype=np.uint8)
            Image.fromarray(pixels).save(f"{folder}/{folder}{i}.png")
    data = ("data=pairs", "data.root=x", "data.pairs=c", "data.unpaired=true")
    small = ("backbone=unet", "backbone.channels=[8]", "model.channels=[8]", "trainer=cpu", "trainer.max_steps=2")
    done("train", "model=cycle_gan", *data, *small, "data.batch_size=4", "samples.every_n_steps=0", "run_dir=run")
    done("translate", "ckpt=run", "out=a")
    assert {score for _, score in scores("a")} == {"cycle_rmse"}  # nobody knows what one is to become
    done("translate", "ckpt=run", "input=c", "n=4", "out=b")
    assert images("b").shape == (4, 8, 8, 1)
