"""A folder of pictures from training to scores, and what happens when it changes meanwhile."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from command_cases import arguments, done, genkit
from PIL import Image

QUICK_EVAL = ("metric=fid", "n=8", "floor_repeats=1", "bootstrap=0", "features=raw")


@pytest.fixture
def pictures(work: Path) -> Path:
    """24 bitmaps, all of one size and date, in two class folders."""
    values = np.random.default_rng(0).integers(0, 256, (24, 6, 8, 3), dtype=np.uint8)
    for i, value in enumerate(values):
        path = work / "pictures" / "ab"[i % 2] / f"{i}.bmp"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(value).save(path)
        os.utime(path, (10**9, 10**9))
    return work / "pictures"


def test_pictures_train_sample_and_score_until_they_change(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = "".join(f"{i}.bmp,{'xy'[i % 2]}\n" for i in range(24))
    Path("of a, and b.csv").write_text(f"file,class\n{rows}")
    labels = "data.labels=of a, and b.csv"
    answer = genkit(
        *arguments("vae", "data=images", "data.root=pictures", labels, "trainer.max_steps=2", "run_dir=run")
    )
    assert (answer.code, "24 images, 2 classes, 8x6 RGB -> 8x6 RGB" in answer.err) == (0, True), answer.err
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")  # what was named from another folder is found again
    done("sample", "ckpt=../run", "n=5", "out=../samples")
    assert np.load("../samples/samples.npz")["x"].shape == (5, 6, 8, 3)
    assert "trained on other data" not in done("eval", "ckpt=../run", *QUICK_EVAL)

    changed = pictures / "a" / "0.bmp"
    Image.fromarray(np.zeros((6, 8, 3), dtype=np.uint8)).save(changed)
    os.utime(changed, (10**9, 10**9))
    assert "run was trained on other data than is there now" in done("eval", "ckpt=../run", *QUICK_EVAL)
    answer = genkit("train", "resume=../run", "trainer.max_steps=4")
    assert (answer.code, "the training data is not the data of this run" in answer.err) == (4, True), answer.err


def test_settings_of_pictures_are_checked_before_anything_is_prepared(pictures: Path) -> None:
    for word, reason in (
        ("data.size=0", "data.size"),
        ("data.size=[1,2,3]", "data.size"),
        ("data.crop=middle", "data.crop"),
        ("data.channels=2", "data.channels"),
        ("data.max_bad=-1", "data.max_bad"),
        ("data.labels=nowhere.csv", "nowhere.csv"),
        ("data.sise=3", "data.sise"),
    ):
        answer = genkit(*arguments("vae", "data=images", f"data.root={pictures}", word))
        assert (answer.code, reason in answer.err) in ((2, True), (3, True)), (word, answer.err)
        assert answer.err.count("\n") == 1, answer.err


def as_parquet(files: list[Path]) -> None:
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    Path("rows").mkdir()
    images = [{"bytes": file.read_bytes(), "path": None} for file in files]
    parquet.write_table(
        pa.table({"image": images, "label": [file.parent.name for file in files]}), "rows/train.parquet"
    )


@pytest.mark.slow
def test_the_same_pictures_in_any_container_are_the_same_run(pictures: Path) -> None:
    """One data set as a folder, an archive, an array and rows: weights, samples and scores are equal."""
    files = sorted(pictures.rglob("*.bmp"))
    with zipfile.ZipFile("images.zip", "w") as archive:
        for file in files:
            archive.write(file, file.relative_to(pictures))
    values = np.stack([np.asarray(Image.open(file)) for file in files])
    np.savez("images.npz", x=values, y=np.array([file.parent.name for file in files]))
    as_parquet(files)
    found = []
    for source, root in (("images", "pictures"), ("images", "images.zip"), ("arrays", "images.npz"), ("hub", "rows")):
        run = f"run-{len(found)}"
        done(*arguments("diffusion", f"data={source}", f"data.root={root}", "trainer.max_steps=2", f"run_dir={run}"))
        done("sample", f"ckpt={run}", "n=3", f"out={run}/samples")
        done("eval", f"ckpt={run}", *QUICK_EVAL, f"out={run}/scores")
        score = json.loads(Path(run, "scores", "results.json").read_text())["results"]
        found.append((np.load(f"{run}/samples/samples.npz")["x"].tolist(), [row["value"] for row in score]))
    assert all(other == found[0] for other in found[1:])
