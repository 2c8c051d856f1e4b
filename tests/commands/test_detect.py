"""`genkit detect`: scores of examples, how well they separate, and what is refused."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from command_cases import done, refused

SOME = ("n=60", "bootstrap=20")


def results(folder: str) -> dict[tuple[str, str], dict[str, object]]:
    rows = json.loads((Path(folder) / "results.json").read_text())["results"]
    return {(row["against"], row["score"]): row for row in rows}


def lines(folder: str) -> list[dict[str, str]]:
    with (Path(folder) / "scores.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_vae_tells_shuffled_digits_from_digits_and_is_fooled_by_blank_ones(vae: Path) -> None:
    said = done("detect", f"ckpt={vae}", *SOME, "against=[shuffled_pixels,blank]", "out=out")
    found = results("out")
    scores = {"nll", "typicality", "complexity", "reconstruction", "nearest", "size"}
    assert {score for _, score in found} == scores
    shuffled, blank = found["shuffled_pixels", "nearest"], found["blank", "size"]
    assert shuffled["value"] > 0.95
    assert shuffled["ci95"][0] <= shuffled["value"] <= shuffled["ci95"][1]
    assert shuffled["baseline"]
    assert blank["value"] == 0.0  # the simplest image there is
    table = lines("out")
    assert [row["set"] for row in table] == ["normal"] * 60 + ["shuffled_pixels"] * 60 + ["blank"] * 60
    assert table[0].keys() == {"example", "set", *scores}
    assert {path.name for path in Path("out").iterdir()} == {
        "detect.json", "results.json", "results.csv", "scores.csv", "extremes.png"
    }  # fmt: skip
    assert "AUROC" in said
    assert "average precision" in said


def test_own_examples_are_held_against_held_out_ones(vae: Path) -> None:
    done("sample", f"ckpt={vae}", "n=20", "out=drawn")
    done("detect", f"ckpt={vae}", "input=drawn", "bootstrap=0", "scores=[nll,nearest]", "out=out")
    assert {against for against, _ in results("out")} == {"drawn"}
    table = lines("out")
    assert len(table) == 20
    assert all(0 <= float(row["rarer_nll"]) <= 1 for row in table)
    assert {row["set"] for row in table} == {"suspected"}
    assert results("out")["drawn", "nll"]["ci95"] is None


def test_a_discriminator_a_denoiser_and_points_have_their_scores(gan: Path, diffusion: Path, flow: Path) -> None:
    done("detect", f"ckpt={gan}", *SOME, "against=noise", "out=gan")
    assert {score for _, score in results("gan")} == {"discriminator", "nearest", "size"}
    done("detect", f"ckpt={diffusion}", *SOME, "against=class_3", "out=diffusion")
    assert {score for _, score in results("diffusion")} == {"denoising", "nearest", "size"}  # its likelihood is costly
    done("detect", f"ckpt={flow}", *SOME, "out=flow")
    assert {against for against, _ in results("flow")} == {"shuffled_columns", "noise", "averages"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["against=blnk"], "did you mean blank"),
        (["against=class_17"], "labels 0 … 9"),
        (["against=mnist.npz"], "no outliers, dataset or file"),
        (["against=toy"], "shape"),
        (["scores=discriminator"], "VAE has none"),
        (["scores=likelihood"], "choose of nll"),
        (["y=3"], "unconditional"),
    ],
)
def test_odd_words_are_refused(vae: Path, words: list[str], says: str) -> None:
    assert says in refused(2, "detect", f"ckpt={vae}", *SOME, *words, "out=out")
