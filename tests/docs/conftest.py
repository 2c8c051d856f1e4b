"""A folder to work in, and genkit as the pages' commands are typed, made short by words that are added at the end."""

import random
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genkit import cli
from genkit.data.sources import toy
from genkit.judging.answers import COLUMNS
from genkit.judging.plan import plan
from genkit.judging.study import Key
from genkit.stopwatch import Stopwatch
from genkit.training.module import GenerativeModule

STEPS = 4  # of a training, with one validation in it: a best checkpoint that is not the last, to go back to
SAMPLES = 16
BUDGET = 20  # of a training with one, by a clock that steps turn
SHOWN = (
    70  # samples behind scores that a page shows: fewer than the 64 dimensions of the digits' features have no interval
)


@pytest.fixture
def work(tmp_path, monkeypatch):
    """An empty working directory that is no part of the import path yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GENKIT_DATA", raising=False)
    monkeypatch.setenv("GENKIT_CACHE", str(tmp_path.with_name("cache")))
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    return tmp_path


@pytest.fixture
def tiny_mnist(work):
    """A file of MNIST's form with a handful of images, and the same as Fashion-MNIST."""
    draw = np.random.default_rng(0)
    arrays = {}
    for part, n in (("train", 24), ("test", 16)):
        arrays[f"x_{part}"] = draw.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        arrays[f"y_{part}"] = np.arange(n) % 10
    np.savez(work / "mnist.npz", **arrays)
    (work / "downloads").mkdir()
    np.savez(work / "downloads" / "fashion_mnist.npz", **arrays)


@pytest.fixture
def photos(work):
    """A folder of pictures in three classes, small and of several sizes."""
    draw = np.random.default_rng(0)
    for i in range(24):
        path = work / "photos" / "abc"[i % 3] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 256, (8 + i % 2, 9, 3), dtype=np.uint8)).save(path)


# a completion in full takes seconds an example
FEW_LEVELS = ["posterior=split_gibbs", "posterior.levels=2", "posterior.steps=4"]
# the likelihood of 899 images by 128 evaluations each would cost a minute
COARSE = "model.likelihood={_target_: genkit.diffusion.likelihood.FlowLikelihood, steps: 2}"


def shortened(argv: list[str], n: int) -> list[str]:
    """The same command, with few steps, n samples and few repeats."""
    if "--cfg" in argv:
        return argv
    match argv[0]:
        case "train" if any(word.startswith("resume=") for word in argv):
            return [*argv, f"trainer.max_steps={STEPS + 1}"]
        case "train" if any(word.startswith("budget=") for word in argv):
            words = [f"budget={BUDGET}s" if word.startswith("budget=") else word for word in argv]
            return [*words, "data.batch_size=16", "samples.n=4"]
        case "train":
            trials = ["search.trials=2"] if any(word.startswith("search.trials=") for word in argv) else []
            return [
                *argv,
                *([COARSE] if "model=diffusion" in argv else ()),
                f"trainer.max_steps={STEPS}",
                f"trainer.val_every_n_steps={STEPS - 1}",
                *([] if "data.batch_size=auto" in argv else ["data.batch_size=16"]),
                "samples.n=4",
                *trials,
            ]
        case "sample" | "compress":
            return [*argv, f"n={n}"]
        case "detect":
            return [*argv, *([] if any(word.startswith("input=") for word in argv) else [f"n={n}"]), "bootstrap=2"]
        case "explore":
            return [*argv, "n=2"]
        case "translate":
            return [*argv, *([] if any(word.startswith("input=") for word in argv) else ["n=3"])]
        case "play" if argv[1:] and not any("=" in word for word in argv[1:]):  # a run that is drawn
            return argv
        case "play":
            return [*(word for word in argv if word != "live=true"), "trainer.max_steps=1", "data.batch_size=16"]
        case "judge":  # a page: the server of the other way would wait for somebody to stop it
            return [*argv, "n=6", *([] if "page=true" in argv else ["page=true"])]
        case "eval" if any(word.startswith("human=") for word in argv):
            return argv
        case "augment":
            words = ["filter=0" if word.startswith("filter=") else word for word in argv]
            return [*words, "n=20", "repeats=2", "classifier_steps=4"]
        case "complete" | "restore":  # the command that comes next has no key of its own
            few = [] if any(word.startswith(("input=", "prompt=")) for word in argv) else ["n=2"]
            own = any(word.startswith("posterior=") for word in argv)
            return [*argv, *few, *([] if own or "runs/diffusion" not in " ".join(argv) else FEW_LEVELS)]
        case "eval" if any(word.startswith("samples=") for word in argv):
            return [*argv, "bootstrap=2", "floor_repeats=2"]
        case "eval":
            views = ["features.views=100"] if "features=own" in argv else []
            return [*argv, *views, f"n={n}", "bootstrap=2", "floor_repeats=2"]
        case _:
            return argv


def answer_page(folder: Path) -> None:
    """Write the answers of three people to a study, who see half of what there is to see."""
    key, mark = Key.read(folder)
    names = {i: name for name, numbers in key.design.sources.items() for i in numbers}
    for person in "123":
        draw, lines = random.Random(person), [",".join(COLUMNS)]
        for i, trial in enumerate(plan(key.design, person)):
            left, right = names.get(trial.left), names.get(trial.right)
            seen = draw.random() < 0.5 or None in (left, right if trial.right is not None else left)
            word = draw.choice(["real", "fake"] if trial.right is None else ["left", "right"])
            if seen and trial.right is None:
                word = "real" if left == "real" else "fake"
            elif seen and None in (left, right):
                word = "left" if right is None else "right"
            number = "" if trial.right is None else trial.right
            lines.append(f"{mark},{person},{i},{trial.left},{number},{word},1.0")
        Path(f"answers-{person}.csv").write_text("\n".join([*lines, ""]))
        with open(folder / "answers.csv", "a") as file:
            file.write("\n".join([*lines[person != "1" :], ""]))


def judged(argv: list[str]) -> int:
    """`genkit judge`, and people's answers to it."""
    code = cli.main(argv)
    for word in argv if code == 0 else ():
        if word.startswith("out="):
            answer_page(Path(word.removeprefix("out=")))
    return code


def turn_clock(monkeypatch) -> None:
    """Have budgets measured in steps, so that no page depends on the machine."""
    take_step, taken = GenerativeModule.optimizer_step, [0.0]

    def optimizer_step(self, *args, **kwargs) -> None:
        take_step(self, *args, **kwargs)
        taken[0] += 1.0

    monkeypatch.setattr(GenerativeModule, "optimizer_step", optimizer_step)
    monkeypatch.setattr(Stopwatch, "now", classmethod(lambda cls: cls(taken[0], taken[0])))
    monkeypatch.setattr(Stopwatch, "wall", lambda self: taken[0] - self.monotonic)


@pytest.fixture
def genkit(monkeypatch):
    """genkit("train", "model=vae") -> exit code; of the toy data few points are compared with."""
    monkeypatch.setattr(toy, "TEST_N", 600)
    turn_clock(monkeypatch)
    judge = {"judge": judged}
    return lambda *argv, n=SAMPLES: judge.get(argv[0], cli.main)(shortened(list(argv), n))
