"""`genkit augment`: a labelled set, the accuracies beside it, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from command_cases import done, refused

FEW = ("n=30", "repeats=2", "classifier_steps=4")


def test_a_labelled_set_and_its_worth(diffusion: Path) -> None:
    said = done("augment", f"ckpt={diffusion}", *FEW, "out=out")
    assert {path.name for path in Path("out").iterdir()} == {
        "samples.npz", "grid.png", "results.json", "results.csv", "augment.json"
    }  # fmt: skip
    found = np.load("out/samples.npz")
    assert found["x"].shape == (30, 8, 8, 1)
    assert abs(np.bincount(found["y"]) - 3).max() <= 1  # about in the shares of the training data
    rows = json.loads(Path("out/results.json").read_text())["results"]
    assert [row["trained_on"] for row in rows] == ["real", "real and drawn", "drawn", "real, moved"]
    assert rows[0]["gain"] == 0.0
    assert rows[1]["gain_lo"] <= rows[1]["gain"] <= rows[1]["gain_hi"]
    assert "gain over real" in said


def test_labels_that_nobody_confirms(diffusion: Path) -> None:
    said = refused(3, "augment", f"ckpt={diffusion}", *FEW, "filter=1")
    assert "filter=1" in said
    assert "lower it" in said


def test_a_model_without_labels_is_refused(vae: Path, flow: Path) -> None:
    assert "unconditional" in refused(2, "augment", f"ckpt={flow}", *FEW)
    assert "classifier_steps" in refused(2, "augment", f"ckpt={vae}", "classifier_steps=0")
