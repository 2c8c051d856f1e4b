"""The playground of a training: which frames, what they leave behind, and that nothing but the pictures differs."""

import json
import re
from pathlib import Path

import pytest
from PIL import Image

import genkit
from genkit.assembly import played_run
from genkit.cli import main
from genkit.data.sources import toy
from genkit.errors import ConfigError
from genkit.training.callbacks.playground import of_series


@pytest.fixture(autouse=True)
def few(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(toy, "TEST_N", 300)
    monkeypatch.setattr(toy, "VAL_N", 300)


SMALL = ("model=flow", "data=toy", "data.n_train=200", "data.batch_size=20", "samples.every_n_steps=0", "metric=null")
FRAMES = ("callbacks=playground", "callbacks.playground.n=50", "callbacks.playground.cells=16")


def frames(run):
    return json.loads((Path(run) / "playground" / "frames.json").read_text())


def test_the_series_of_steps():
    assert [step for step in range(2000) if of_series(step)] == [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]


def test_frames_a_page_and_an_animation_and_a_training_that_is_the_same_without_them():
    genkit.train(*SMALL, *FRAMES, "trainer.max_steps=2", run_dir="run")
    found = frames("run")
    assert [frame["step"] for frame in found["frames"]] == [0, 1, 2]
    assert found["verdict"]
    assert {path.name for path in Path("run/playground").iterdir()} == {
        *(frame["file"] for frame in found["frames"]), "frames.json", "playground.html", "playground.webp"}  # fmt: skip
    with Image.open("run/playground/playground.webp") as animation:
        assert animation.n_frames == 3
    assert Path("run/playground/playground.html").read_text().count("data:image/png;base64,") == 3
    genkit.train(*SMALL, "trainer.max_steps=2", run_dir="alone")
    one, other = (next(Path(run, "checkpoints").glob("step-*/model.safetensors")) for run in ("run", "alone"))
    assert one.read_bytes() == other.read_bytes()
    genkit.train(resume="run", trainer={"max_steps": 3})
    assert [frame["step"] for frame in frames("run")["frames"]] == [0, 1, 2, 3]  # a resumed one draws on
    assert frames("run")["frames"][:3] == found["frames"]


@pytest.mark.slow
def test_a_finished_run_is_drawn_from_the_checkpoints_that_it_kept(capfd, monkeypatch):
    """As the training itself would have drawn them; what it drew stays, and steps without a picture come to it."""
    monkeypatch.setattr(played_run, "SAMPLES", 50)
    monkeypatch.setattr(played_run, "CELLS", 16)
    kept = ("checkpoint.every_n_steps=1", "checkpoint.keep=3", "trainer.max_steps=3")
    genkit.train(*SMALL, *FRAMES, *kept, run_dir="run")
    drawn = frames("run")["frames"]
    steps = sorted(int(path.name[5:]) for path in Path("run/checkpoints").iterdir())
    assert steps == [1, 2, 3]
    assert main(["play", "run", "out=again"]) == 0
    found = json.loads(Path("again/frames.json").read_text())
    assert found == {"frames": [frame for frame in drawn if frame["step"]], "verdict": frames("run")["verdict"]}
    for frame in found["frames"]:
        one, other = (Image.open(Path(folder, frame["file"])) for folder in ("run/playground", "again"))
        # the curve of the distance to the left of it lacks step 0
        assert one.crop((0, 0, one.width, one.height // 2)) == other.crop((0, 0, one.width, one.height // 2))
    assert {"playground.html", "playground.webp"} < {path.name for path in Path("again").iterdir()}
    Path("run/playground/frame-00000002.png").unlink()
    capfd.readouterr()
    assert main(["play", "run"]) == 0
    assert re.findall(r"at step (\d)", capfd.readouterr().out) == ["2"]
    assert frames("run")["frames"] == drawn


def test_other_data_is_refused_before_a_step():
    with pytest.raises(ConfigError, match="data=toy"):
        genkit.train("model=vae", "data=digits", "callbacks=playground", "trainer.max_steps=2", run_dir="run")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("rnade", "checkerboard"),
        ("flow", "spiral"),
        ("vae", "two_moons"),
        ("ebm", "eight_gaussians"),
        ("diffusion", "pinwheel"),
    ],
)
def test_the_last_kl_is_the_score_of_the_trained_model_within_its_band(model, name):
    """One body of the table in docs/playground.md, which has every toy."""
    genkit.train(f"model={model}", *SMALL[1:], *FRAMES, f"data.name={name}", "trainer.max_steps=40", run_dir="run")
    last = frames("run")["frames"][-1]
    score = genkit.evaluate("ckpt=run", "metric=[log_likelihood_gap]", "floor_repeats=0").value("log_likelihood_gap")
    assert abs(last["kl"] - score) < 2 * last["kl_se"]
