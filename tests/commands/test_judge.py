"""`genkit judge` and `genkit eval human=`: from samples to a study to scores, and what is refused."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from urllib.request import Request, urlopen

import numpy as np
import pytest
from command_cases import done, refused
from sklearn.datasets import load_digits

from genkit.judging.answers import COLUMNS
from genkit.judging.plan import plan
from genkit.judging.study import Key, Study
from genkit.web.server import LocalServer


@pytest.fixture
def samples():
    """Files of images: digits that are inverted, and digits turned upside down, with their labels."""
    images, labels = load_digits(return_X_y=True)
    images = images.reshape(-1, 8, 8).astype(np.uint8)
    np.savez("inverted.npz", x=16 - images, y=labels)
    np.savez("turned.npz", x=images[:, ::-1], y=labels)


def answered(folder, rater, choose, path):
    """Append a rater's answers, each a function of the sources."""
    key, mark = Key.read(Path(folder))
    names = {i: name for name, numbers in key.design.sources.items() for i in numbers}
    with open(path, "a") as file:
        if not file.tell():
            file.write(",".join(COLUMNS) + "\n")
        for i, trial in enumerate(plan(key.design, rater)):
            shown = [names.get(n, "noise") for n in (trial.left, trial.right) if n is not None]
            right = "" if trial.right is None else trial.right
            file.write(f"{mark},{rater},{i},{trial.left},{right},{choose(*shown)},1.0\n")


def test_from_samples_to_scores(samples):
    said = done("judge", "samples=inverted.npz", "data=digits", "n=12", "page=true", "raters=3", "out=study")
    assert "keep the key" in said
    assert {path.name for path in Path("study").iterdir()} == {"study.json", "key.json", "judge.html", "images"}
    for i in "12":
        answered("study", i, lambda source: "real" if source == "real" else "fake", f"answers-{i}.csv")
    said = done("eval", "human=[answers-1.csv,answers-2.csv]", "key=study/key.json", "out=scores")
    assert "raters: 2 of 2" in said
    results = json.loads(Path("scores/results.json").read_text())["results"]
    values = {(row["metric"], row["source"]): row["value"] for row in results}
    assert values["human_error_rate", "inverted"] == 0
    assert values["fooling_rate", "real"] == 1
    assert values["krippendorff_alpha", "all raters"] == 1
    assert {path.name for path in Path("scores").iterdir()} == {
        "results.json", "results.csv", "raters.csv", "human.png"}  # fmt: skip
    assert "human_error_rate" in done("compare", "scores", "out=compared")


def test_models_against_each_other(samples):
    done("judge", "samples=[inverted.npz,turned.npz]", "data=digits", "n=10", "out=study", "page=true", "real=true")
    better = ["real", "turned", "inverted", "noise"]
    for i in "123":
        answered("study", i, lambda a, b: "left" if better.index(a) < better.index(b) else "right", "study/answers.csv")
    done("eval", "human=study/answers.csv", "out=scores")
    results = json.loads(Path("scores/results.json").read_text())["results"]
    strength = {row["source"]: row["value"] for row in results if row["metric"] == "bradley_terry"}
    assert strength["real"] > strength["turned"] > strength["inverted"]
    assert sum(strength.values()) == pytest.approx(0, abs=1e-8)


def test_images_of_one_place_are_of_one_class(samples):
    """Each file holds all digits, so the i-th image of each source can be traced to its label by its values."""
    done("judge", "samples=[inverted.npz,turned.npz]", "data=digits", "n=20", "out=study", "page=true")
    from PIL import Image

    images, labels = load_digits(return_X_y=True)
    known = {image.astype(np.uint8).tobytes(): label for image, label in zip(images, labels, strict=True)}
    key, _ = Key.read(Path("study"))

    def label(number, undo):
        pixels = np.asarray(Image.open(f"study/images/{number}.png"))
        return known[undo(np.round(pixels / 255 * 16).astype(np.uint8)).tobytes()]

    one = [label(i, lambda v: 16 - v) for i in key.design.sources["inverted"]]
    other = [label(i, lambda v: np.ascontiguousarray(v[::-1])) for i in key.design.sources["turned"]]
    assert one == other


def test_real_images_as_their_own_control(samples):
    done("judge", "samples=inverted.npz", "data=digits", "n=8", "control=true", "task=real_or_fake", "out=study",
         "page=true")  # fmt: skip
    key, _ = Key.read(Path("study"))
    assert set(key.design.sources) == {"real", "inverted", "real (control)"}


@pytest.mark.slow
def test_a_checkpoint_is_served_and_an_interrupt_ends_it(vae):
    command = [sys.executable, "-m", "genkit", "judge", f"ckpt={vae}", "n=4", "out=study"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          env={**os.environ, "COLUMNS": "200"}) as process:  # fmt: skip
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        address = next(found[0] for line in lines if (found := re.search(r"http://127\.0\.0\.1:\d+/\S+/", line)))
        trials = json.load(urlopen(f"{address}plan?rater=ann"))["trials"]
        vote = json.dumps({"rater": "ann", "trial": 0, "answer": "fake", "seconds": 1.5}).encode()
        assert json.load(urlopen(Request(f"{address}answer", vote))) == {"saved": 1}
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "answers: ann 1" in rest
    assert f"ann,0,{trials[0][0]},,fake,1.500" in Path("study/answers.csv").read_text()
    assert Study.read(Path("study")).answers == ["real", "fake"]


def test_a_port_that_is_taken_is_said_before_a_study_is_made(samples):
    with LocalServer({}) as server:
        line = refused(2, "judge", "samples=inverted.npz", "data=digits", "n=4", f"port={server.port}")
    assert f"port={server.port}: Address already in use" in line


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["samples=inverted.npz"], 2, "data="),
        (["samples=inverted.npz", "data=digits", "n=100000"], 2, "n:"),
        (["samples=inverted.npz", "data=digits", "n=9000"], 2, "held-out images"),
        (["samples=inverted.npz", "data=toy"], 3, "shows images, such as data=digits"),
        (["samples=inverted.npz", "data=digits", "ties=true"], 2, "ties"),
        (["samples=inverted.npz", "data=digits", "task=2afc", "real=false"], 2, "real=false"),
        (["samples=inverted.npz", "data=digits", "sampler.steps=3"], 2, "already"),
        (["study=nowhere"], 3, "nowhere"),
        (["samples=inverted.npz", "data=digits", "study=x"], 2, "fixed already"),
        (["samples=absent.npz", "data=digits"], 3, "absent"),
        (["samples=inverted.npz", "data=digits", "port=1000000"], 2, "port"),
    ],
)
def test_refusals(samples, words, code, message):
    assert message in refused(code, "judge", *words)


def test_refusals_of_scores(samples):
    done("judge", "samples=inverted.npz", "data=digits", "n=4", "page=true", "out=study")
    answered("study", "1", lambda source: "real", "answers.csv")
    assert "attention checks" in refused(3, "eval", "human=answers.csv", "key=study")
    assert "key.json" in refused(3, "eval", "human=answers.csv")
    assert "absent.csv" in refused(3, "eval", "human=absent.csv")
    assert "human=" in refused(2, "eval", "human=answers.csv", "samples=inverted.npz")
    assert "human=" in refused(2, "eval", "key=study", "samples=inverted.npz", "data=digits")
    assert "no answers" in refused(3, "eval", "human=study/key.json", "key=study")
