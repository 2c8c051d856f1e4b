"""`genkit eval`: what is scored against what, what is written, and what cannot be scored."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_cases import TOY, arguments, digest, done, refused
from PIL import Image
from scipy.linalg import sqrtm

from genkit.data.samples import write_samples
from genkit.data.sources.digits import Digits
from genkit.data.split import InMemory

SMALL = ("n=70", "bootstrap=3", "floor_repeats=2")


def scores(out: str, *argv: str | Path) -> list[dict[str, Any]]:
    """The records that a command line writes into `out`, read strictly."""
    done("eval", *argv, f"out={out}")
    written = sorted(path.name for path in Path(out).iterdir())
    assert written in (["results.csv", "results.json"], ["neighbours.png", "results.csv", "results.json"])
    text = (Path(out) / "results.json").read_text()
    node = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert node["schema"] == "genkit.eval/1"
    assert node["meta"]["command"].startswith("genkit eval ")
    rows = list(csv.DictReader((Path(out) / "results.csv").open()))
    assert len(rows) == len(node["results"])
    records: list[dict[str, Any]] = node["results"]
    return records


def by_name(records: list[dict[str, Any]], source: str) -> dict[str, dict[str, Any]]:
    return {record["name"]: record for record in records if record["source"] == source}


def test_one_metric_of_one_checkpoint_with_baselines(vae: Path) -> None:
    records = scores("out", f"ckpt={vae}", "metric=fid", *SMALL)
    assert [record["source"] for record in records] == ["vae", "pixel Gaussian", "real data"]
    record = records[0]
    assert record["name"] == "fid[digits]"
    assert (record["n_fake"], record["n_ref"], record["reference"]["split"]) == (70, 899, "test")
    assert record["ci95"][0] <= record["value"] <= record["ci95"][1]
    assert record["floor"]["repeats"] == 2
    assert record["ratio_to_floor"] == pytest.approx(record["value"] / record["floor"]["mean"])
    assert record["model"]["ckpt"] == str(vae / "checkpoints" / "step-00000006")
    assert record["model"]["weights"] == "ema"


def test_the_default_suite_of_images_says_what_does_not_apply(diffusion: Path) -> None:
    records = by_name(scores("out", f"ckpt={diffusion}", "baselines=false", *SMALL), "diffusion")
    assert records["bits_per_dim"]["status"].startswith("n/a: ")
    assert records["bits_per_dim"]["value"] is None
    assert records["mse"]["status"].startswith("n/a: ")
    assert records["coverage[digits]"]["value"] is not None


def test_a_suite_by_name_is_that_suite(vae: Path) -> None:
    """Named as a whole it may hold what does not apply; named one by one it may not."""
    options = (f"ckpt={vae}", "baselines=false", "n=70", "bootstrap=0", "floor_repeats=0")
    named, default = scores("a", *options, "metric=suite/image"), scores("b", *options)
    assert [(a["name"], a["value"]) for a in named] == [(b["name"], b["value"]) for b in default]
    mixed = by_name(scores("c", *options, "metric=[suite/image,mmd]"), "vae")
    assert mixed["mmd"]["status"].startswith("n/a: ")


def test_a_likelihood_says_what_it_is(flow: Path, vae: Path) -> None:
    options = ("baselines=false", "bootstrap=0", "floor_repeats=0")
    exact, lower = (scores(out, f"ckpt={run}", "metric=nll", *options)[0] for out, run in (("a", flow), ("b", vae)))
    assert (exact["kind"], exact["n_ref"], exact["n_fake"]) == ("exact", 10_000, None)
    assert (lower["kind"], lower["n_ref"], lower["n_fake"]) == ("lower", 899, None)


def test_several_checkpoints_make_one_table(vae: Path, diffusion: Path) -> None:
    first = vae / "checkpoints" / "step-00000004"
    paths = f"ckpt=[{vae},{first},{diffusion}]"
    records = scores("out", paths, "metric=[fid,kid]", "baselines=false", *SMALL)
    sources = ("vae vae", "vae step-00000004", "diffusion diffusion")
    expected = [(source, metric) for source in sources for metric in ("fid", "kid")]
    assert [(record["source"], record["metric"]) for record in records] == expected
    assert len({record["value"] for record in records}) == 6


def test_a_model_and_the_file_of_its_samples_have_the_same_score(vae: Path) -> None:
    done("sample", f"ckpt={vae}", "n=70", "out=samples")
    options = ("metric=[fid,coverage]", "baselines=false", *SMALL)
    model = scores("a", f"ckpt={vae}", *options)
    file = scores("b", "samples=samples/samples.npz", "data=digits", *options)
    assert [record["value"] for record in model] == pytest.approx([record["value"] for record in file], rel=1e-9)
    assert file[0]["source"] == "samples"
    assert file[0]["model"] is None


def test_raw_weights_have_another_score(vae: Path) -> None:
    options = (f"ckpt={vae}", "metric=mse", "baselines=false")
    ema, raw = scores("a", *options), scores("b", *options, "weights=raw")
    assert ema[0]["value"] != raw[0]["value"]
    assert raw[0]["model"]["weights"] == "raw"


def test_two_files_in_float64(work: Path) -> None:
    """A mean of 10⁸ is exact to 8 digits in float32: the distance of 0.1 would drown."""
    rng = np.random.default_rng(0)
    a, b = (1e8 + rng.standard_normal((400, 3)) @ rng.standard_normal((3, 3)) + shift for shift in (0.0, 0.1))
    np.savez(work / "a.npz", x=a)
    np.save(work / "b.npy", b)
    files = ("samples=a.npz", "reference=b.npy", "metric=fid", "features=raw", "features.normalize=none")
    records = scores("out", *files, "bootstrap=0", "floor_repeats=1")
    cov_a, cov_b = (np.cov(x - 1e8, rowvar=False) for x in (a, b))
    expected = ((a - 1e8).mean(0) - (b - 1e8).mean(0)) @ ((a - 1e8).mean(0) - (b - 1e8).mean(0))
    expected += np.trace(cov_a + cov_b - 2 * sqrtm(cov_a @ cov_b).real)
    assert records[0]["value"] == pytest.approx(expected, rel=1e-6)
    assert records[0]["name"] == "fid[raw]"
    assert not any("the same" in warning for warning in records[0]["warnings"])
    assert (records[0]["n_fake"], records[0]["n_ref"]) == (400, 400)
    assert records[0]["reference"]["name"] == "b.npy"


def test_some_of_a_sorted_file_are_drawn_from_all_of_it(work: Path) -> None:
    """The first 400 of digits sorted by class are zeros to fours alone: a Fréchet distance of 19."""
    data = Digits()
    everything = InMemory(data.intensities, data.labels)
    real, others = everything[torch.arange(0, 1797, 2)], everything[torch.arange(1, 1797, 2)]
    for name, split in (("mixed", others), ("sorted", others[others.y.argsort(stable=True)])):
        write_samples(work / f"{name}.npz", data.spec, split.x, split.y)
    write_samples(work / "real.npz", data.spec, real.x)
    few = ("data=digits", "reference=real.npz", "metric=fid", "n=400", "floor_repeats=0", "bootstrap=5")
    found = [scores(name, f"samples={name}.npz", *few, "features=digits")[0] for name in ("mixed", "sorted")]
    assert found[0]["value"] == found[1]["value"] < 1.0
    assert found[0]["ci95"] == found[1]["ci95"]
    assert found[1]["drawn"] == {"of": 898, "seed": 0}
    assert found[1]["n_fake"] == 400
    other = scores("seeded", "samples=sorted.npz", *few, "seed=1")[0]
    assert other["value"] != found[1]["value"]
    assert other["value"] < 1.0


def test_several_files_make_one_table(work: Path) -> None:
    for i, name in enumerate(("a", "b")):
        np.savez(work / f"{name}.npz", x=np.random.default_rng(i).integers(0, 17, (40, 8, 8)).astype(np.uint8))
    records = scores(
        "out", "samples=[a.npz,b.npz]", "data=digits", "metric=precision", "baselines=false", "floor_repeats=0"
    )
    assert [record["source"] for record in records] == ["a", "b"]
    assert [record["drawn"] for record in records] == [None, None]


def test_constant_samples_have_a_score_or_a_reason(work: Path) -> None:
    np.savez("constant.npz", x=np.full((50, 8, 8, 1), 7, np.uint8))
    records = scores("out", "samples=constant.npz", "data=digits", "bootstrap=3", "floor_repeats=2", "baselines=false")
    assert len({record["metric"] for record in records}) >= 6
    for record in records:
        assert (record["value"] is None) == record["status"].startswith("n/a: "), record
    assert any("all samples are the same" in str(record) for record in records)


def test_models_of_different_data_are_not_put_in_one_table(flow: Path, work: Path) -> None:
    toys = ("data.name=two_moons", "trainer.max_steps=1", "run_dir=moons")
    done(*arguments("flow", *TOY, *toys))
    line = refused(2, "eval", f"ckpt=[{flow},moons]", "metric=nll", *SMALL)
    assert "different data" in line
    both = scores("out", f"ckpt=[{flow},moons]", "data=toy", "metric=nll", "baselines=false", *SMALL)
    assert len({record["reference"]["hash"] for record in both}) == 1
    done(*arguments("flow", *TOY, "data.batch_size=16", "trainer.max_steps=1", "run_dir=again"))
    scores("same", f"ckpt=[{flow},again]", "metric=nll", "baselines=false", *SMALL)  # the same points, other batches


IMPOSSIBLE = {
    "no density": ("autoencoder", "metric=nll", "Autoencoder gives no log prob"),
    "points only": ("vae", "metric=mmd", "vector data"),
    "unknown truth": ("vae", "metric=log_likelihood_gap", "exact density"),
    "other features": ("vae", "metric=fid features=mnist", "mnist"),
}


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_a_named_metric_that_cannot_apply_is_refused(case: str, request: pytest.FixtureRequest) -> None:
    family, words, reason = IMPOSSIBLE[case]
    line = refused(2, "eval", f"ckpt={request.getfixturevalue(family)}", *words.split(), *SMALL, "out=out")
    assert reason in line
    assert words.split()[0] in line


def test_scoring_leaves_the_run_alone(vae: Path) -> None:
    before = digest(vae)
    scores("out", f"ckpt={vae}", "metric=mse")
    assert digest(vae) == before


def test_without_out_it_goes_into_a_stamped_folder(vae: Path, work: Path) -> None:
    done("eval", f"ckpt={vae}", "metric=mse")
    (folder,) = (work / "outputs" / "eval").iterdir()
    assert folder.name.endswith("-vae-digits")


def test_where_copies_are_looked_for_samples_stand_beside_training_images(vae: Path, work: Path) -> None:
    options = ("baselines=false", "bootstrap=0", "floor_repeats=0", "n=70")
    done("eval", f"ckpt={vae}", "metric=authenticity", *options, "out=one")
    assert sorted(path.name for path in Path("one").iterdir()) == ["neighbours.png", "results.csv", "results.json"]
    with Image.open("one/neighbours.png") as picture:  # 16 rows of a sample and its neighbours, with labels and a title
        width, height = picture.size
        assert 2 * width < height < 4 * width
    done("eval", f"ckpt=[{vae},{vae / 'checkpoints/step-00000004'}]", "metric=mse", "neighbours=2", *options, "out=two")
    pictures = [path.name for path in sorted(Path("two").glob("*.png"))]
    assert pictures == ["neighbours-1-vae_vae.png", "neighbours-2-vae_step-00000004.png"]
    scores("none", f"ckpt={vae}", "metric=authenticity", "neighbours=0", *options)
