"""Tiny trained runs that the tests of the commands share, to be read or copied, never changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from command_cases import TOY, arguments, done
from matplotlib.figure import Figure
from PIL import Image

from genkit.report import curve
from genkit.storage.atomic import whole_file


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of a test, empty and its own."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("GENKIT_DATA", raising=False)
    monkeypatch.setenv("GENKIT_CACHE", str(tmp_path / "cache"))
    return folder


@pytest.fixture(autouse=True)
def curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """A training ends with its curves as ever, but for their pixels, which cost as much as all the rest of it.

    `test_closing.py` and `tests/report` have them drawn.
    """

    def save_empty(path: str | Path, figure: Figure) -> None:
        with whole_file(Path(path)) as file:
            Image.new("L", (8, 8)).save(file, "png")

    monkeypatch.setattr(curve, "save_figure", save_empty)


def trained(folder: Path, family: str, *more: str) -> Path:
    """A run folder whose files nobody can change by mistake."""
    run = folder / family
    done(*arguments(family, "checkpoint.every_n_steps=2", "trainer.val_every_n_steps=3", *more, f"run_dir={run}"))
    for path in run.rglob("*"):
        if path.is_file() and path.name != ".lock":
            os.chmod(path, 0o444)
    return run


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="session")
def vae(runs: Path) -> Path:
    """6 steps on digits, checkpoints at 4 and 6."""
    return trained(runs, "vae", "trainer.max_steps=6", "checkpoint.monitor=null")


@pytest.fixture(scope="session")
def autoencoder(runs: Path) -> Path:
    """6 steps on digits at a constant rate: what depends on no horizon."""
    return trained(runs, "autoencoder", "trainer.max_steps=6", "checkpoint.monitor=null", "lr_schedule=constant")


@pytest.fixture(scope="session")
def diffusion(runs: Path) -> Path:
    """4 steps on digits, conditional."""
    return trained(runs, "diffusion", "trainer.max_steps=4", "model.conditional=true", "sampler.steps=4")


@pytest.fixture(scope="session")
def gan(runs: Path) -> Path:
    """4 steps on digits."""
    return trained(runs, "gan", "trainer.max_steps=4")


@pytest.fixture(scope="session")
def flow(runs: Path) -> Path:
    """4 steps on points."""
    return trained(runs, "flow", *TOY, "trainer.max_steps=4")
