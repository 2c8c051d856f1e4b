"""`genkit compress` and `decompress`: byte for byte, in a new process, with whatever batch; other files are refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from command_cases import QUICK, done, refused

from genkit.coding.container import Container
from genkit.data.samples import read_samples
from genkit.data.sources.digits import Digits

SOME = ("n=30",)


@pytest.fixture(scope="session")
def made(runs: Path) -> Path:
    """30 steps of a masked perceptron on digits."""
    run = runs / "made-compressed"
    small = ("model=made", "model.network.features=32", "model.network.depth=1", "trainer.max_steps=30")
    done("train", *small, "data=digits", *QUICK, "trainer.val_every_n_steps=30", f"run_dir={run}")
    return run


@pytest.fixture(scope="session")
def made_file(made: Path) -> Path:
    """30 digits."""
    path = made.parent / "digits.genkit"
    done("compress", f"ckpt={made}", f"out={path}", *SOME)
    return path


def values(folder: Path) -> np.ndarray:
    with np.load(folder / "samples.npz") as file:
        return file["x"]


def test_digits_come_back_in_a_new_process(made: Path) -> None:
    test = Digits().split("test").take(torch.arange(400)).x
    np.savez("digits.npz", x=test.movedim(1, -1).numpy())
    said = done("compress", f"ckpt={made}", "n=300", "input=digits.npz", "out=all.genkit")
    lines = {line.split()[0]: line.split() for line in said.split("examples:")[0].splitlines() if line.startswith("  ")}
    sizes = {name: int(lines[name][1].replace(",", "")) for name in ("file", "values", "png")}
    assert sizes["file"] == Path("all.genkit").stat().st_size
    own = next(line for line in said.splitlines() if "the model's own" in line).split()
    assert abs(sizes["values"] / int(own[3].replace(",", "")) - 1) < 1e-3
    argv = [sys.executable, "-m", "genkit", "decompress", "all.genkit", f"ckpt={made}", "out=back"]
    subprocess.run(argv, check=True, capture_output=True)
    assert sizes["file"] < sizes["png"]
    assert np.array_equal(values(Path("back")), test[:300].movedim(1, -1).numpy())


def test_the_batch_changes_nothing_that_is_read(made: Path) -> None:
    for size in (7, 30):
        done("compress", f"ckpt={made}", *SOME, f"batch_size={size}", f"out={size}.genkit")
        done("decompress", f"{size}.genkit", f"ckpt={made}", f"out=back{size}")
    assert np.array_equal(values(Path("back7")), values(Path("back30")))
    sizes = [Path(f"{size}.genkit").stat().st_size for size in (7, 30)]
    assert abs(sizes[0] - sizes[1]) <= 3


def test_bits_back_of_a_vae_with_labels(vae: Path) -> None:
    said = done("compress", f"ckpt={vae}", *SOME, "labels=true", "out=v.genkit")
    assert "net of initial bits" in said
    done("decompress", "v.genkit", f"ckpt={vae}", "out=back")
    back = read_samples(Path("back/samples.npz"), Digits.spec)
    test, labels = Digits().split("test"), {}
    for i in range(len(test)):
        one = test.take(torch.tensor([i]))
        labels[one.x.numpy().tobytes()] = int(one.y[0])  # type: ignore[index]
    assert back.y is not None
    assert [labels[x.numpy().tobytes()] for x in back.x] == back.y.tolist()


def test_own_examples_and_an_export(made: Path, made_file: Path) -> None:
    """An export has the same weights, so it reads what its run wrote."""
    done("export", f"ckpt={made}", "out=export")
    done("decompress", made_file, "ckpt=export", "out=back")
    done("compress", "ckpt=export", "input=back/samples.npz")
    (file,) = Path("outputs/compress").glob("*/examples.genkit")
    assert {path.name for path in file.parent.iterdir()} == {file.name, "compress.json", "results.json", "results.csv"}
    done("decompress", file, f"ckpt={made}", "out=again")
    assert np.array_equal(values(Path("again")), values(Path("back")))


def test_a_damaged_foreign_or_missing_file_is_refused(made: Path, made_file: Path) -> None:
    data = made_file.read_bytes()
    for name, damaged in {
        "changed": data[:200] + bytes([data[200] ^ 4]) + data[201:],
        "cut": data[:-50],
        "foreign": b"\x89PNG\r\n" + data,
        "empty": b"",
    }.items():
        Path(name).write_bytes(damaged)
        assert name in refused(3, "decompress", f"input={name}", f"ckpt={made}", "out=back")
    assert "nowhere" in refused(3, "decompress", "input=nowhere", f"ckpt={made}", "out=back")
    assert "which file?" in refused(2, "decompress", f"ckpt={made}", "out=back")
    assert not Path("back").exists()


def test_another_model_is_refused(made: Path, made_file: Path, vae: Path) -> None:
    assert "another model" in refused(2, "decompress", made_file, f"ckpt={vae}")
    more = ("model=made", "model.network.features=32", "model.network.depth=1", "data=digits", *QUICK)
    done("train", *more, f"start={made}", "trainer.max_steps=1", "run_dir=further")  # the same network, other weights
    assert "another model" in refused(2, "decompress", made_file, "ckpt=further")


def test_a_family_that_cannot_names_those_that_can(gan: Path, flow: Path) -> None:
    for run in (gan, flow):
        said = refused(2, "compress", f"ckpt={run}", *SOME)
        assert "autoregressive" in said
        assert "vae" in said
    assert not Path("outputs").exists()


def test_odd_words_are_refused_before_anything_is_written(made: Path) -> None:
    Path("there").write_bytes(b"")
    assert "there is such a file" in refused(2, "compress", f"ckpt={made}", "out=there")
    assert "a folder" in refused(2, "compress", f"ckpt={made}", "out=.")
    assert "unconditional" in refused(2, "compress", f"ckpt={made}", "y=3")
    assert "did you mean" in refused(2, "compress", f"ckpt={made}", "lables=true")
    assert "input" in refused(2, "compress", f"ckpt={made}", "data=digits", "input=there")


@pytest.mark.parametrize(
    "change",
    [
        {"model": "vae"},
        {"data": None},
        {"model": {"weights": "best", "sha256": "0"}},
        {"n": 10**12},
        {"coder": "zip"},
        {"block": 0},
    ],
)
def test_a_header_that_genkit_does_not_write_is_refused(made: Path, made_file: Path, change: dict[str, object]) -> None:
    """Its checksum is right, so somebody made it."""
    found = Container.of_bytes(made_file.read_bytes(), "file")
    Path("odd").write_bytes(Container({**found.header, **change}, found.sections).to_bytes())
    assert "odd" in refused(3, "decompress", "odd", f"ckpt={made}")


@pytest.mark.slow
def test_a_trained_model_beats_every_compressor_by_a_quarter() -> None:
    done("train", "experiment=digits_pixel_cnn", "run_dir=run")
    done("compress", "ckpt=run")
    (table,) = Path("outputs/compress").glob("*/results.json")
    sizes = {row["score"]: row["bytes"] for row in json.loads(table.read_text())["results"]}
    assert sizes["values"] == pytest.approx(sizes["the model's own"], rel=1e-3)
    assert sizes["file"] < 0.75 * min(sizes[name] for name in ("zlib", "bz2", "lzma", "png"))
