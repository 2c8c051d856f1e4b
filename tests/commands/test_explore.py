"""`genkit explore`: the panels of each kind of model, their files, and what is refused."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from command_cases import done, refused
from PIL import Image, ImageSequence

from genkit.assembly.exploration import POINTS
from genkit.report.moving_rows import PAUSE


def made(folder: str) -> set[str]:
    return {path.name for path in Path(folder).iterdir()}


NOTES = {"explore.html", "explore.json", "results.json", "results.csv"}


def test_a_model_with_an_encoder_has_every_panel(autoencoder: Path) -> None:
    said = done("explore", f"ckpt={autoencoder}", "n=3", "out=out")
    moving = {f"{name}.{kind}" for name in ("interpolation", "traversal") for kind in ("png", "gif")}
    assert made("out") == NOTES | moving | {"attributes.png", "neighbours.png"}
    with Image.open("out/interpolation.gif") as animation:
        lasted = sum(frame.info["duration"] for frame in ImageSequence.Iterator(animation))
        assert lasted == PAUSE * (2 * POINTS - 2)  # there and back; equal ones that follow each other are one frame
    scores = list(csv.DictReader(Path("out/results.csv").read_text().splitlines()))
    values = {(row["panel"], row["score"]): float(row["value"]) for row in scores}
    traversed = [value for (panel, _), value in values.items() if panel == "traversal"]
    assert traversed == sorted(traversed, reverse=True)
    assert values["neighbours", "baseline: by values"] > 0.8
    assert "interpolation: held-out examples" in said
    assert json.loads(Path("out/explore.json").read_text())["show"] == [
        "interpolation", "traversal", "attributes", "neighbours"
    ]  # fmt: skip


def test_a_page_needs_nothing_else(autoencoder: Path) -> None:
    done("explore", f"ckpt={autoencoder}", "n=2", "show=[interpolation,neighbours]", "out=out")
    page = Path("out/explore.html").read_text()
    assert not re.search(r"https?://|<link|src=\"(?!data:image/png;base64,)", page)
    assert page.count('type="range"') == 1
    assert page.count("<img") == 2 + POINTS


def test_models_without_an_encoder_are_explored_by_draws(gan: Path, flow: Path) -> None:
    done("explore", f"ckpt={gan}", "n=2", "out=gan")
    assert made("gan") == NOTES | {"interpolation.png", "interpolation.gif", "traversal.png", "traversal.gif"}
    done("explore", f"ckpt={flow}", "n=2", "out=flow")
    assert made("flow") == NOTES | {"interpolation.png", "traversal.png"}  # points are drawn in one picture


def test_the_same_seed_gives_the_same_pictures(gan: Path) -> None:
    for folder in ("one", "two"):
        done("explore", f"ckpt={gan}", "n=2", "show=interpolation", f"batch_size={7 if folder == 'one' else 100}",
             f"out={folder}")  # fmt: skip
    one, two = (np.asarray(Image.open(f"{folder}/interpolation.png"), dtype=int) for folder in ("one", "two"))
    assert np.abs(one - two).max() <= 16  # a level of 17 where another batch rounds otherwise


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ("show=neighbours", ["show=neighbours", "interpolation, traversal"]),
        ("show=colours", ["show=colours", "interpolation, traversal"]),
        ("n=0", ["n"]),
    ],
)
def test_what_is_not_there_is_refused(gan: Path, words: str, parts: list[str]) -> None:
    said = refused(2, "explore", f"ckpt={gan}", words)
    assert all(part in said for part in parts)


def test_a_model_without_a_latent_space_is_refused(diffusion: Path) -> None:
    said = refused(2, "explore", f"ckpt={diffusion}")
    assert "these families can" in said
    assert "vae" in said
