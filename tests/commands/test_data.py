"""The verbs of `genkit data`, from one end to the other."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from command_cases import done, genkit
from PIL import Image


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """48 small pictures of two kinds, one of them twice, and a file that is none."""
    root, dice = tmp_path / "photos", np.random.default_rng(0)
    for i in range(48):
        folder = root / ("cat" if i % 2 else "dog")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(dice.integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(folder / f"{i:02}.png")
    (root / "cat" / "copy.png").write_bytes((root / "cat" / "01.png").read_bytes())
    (root / "cat" / "empty.png").touch()
    return root


def test_data_is_prepared_once_and_described(photos, work):
    words = ["data=images", f"data.root={photos}", "data.max_bad=1"]
    first, second = genkit("data", "prepare", *words), genkit("data", "prepare", *words)
    assert first.code == second.code == 0
    assert "49 examples" in first.out
    assert f"genkit train data=images data.root={photos} data.max_bad=1" in first.out
    assert "preparing" in first.err
    assert "preparing" not in second.err
    out = done("data", "show", *words, "out=described")
    for part in ("cat", "dog", "1 within", "empty.png: an empty file", "mean "):
        assert part in out
    with Image.open(work / "described" / "contact_sheet.png") as sheet:
        assert sheet.width > 8
    facts = json.loads((work / "described" / "data.json").read_text())
    assert sum(split["n"] for split in facts["splits"].values()) == 49
    assert facts["bad"] == [{"name": "cat/empty.png", "reason": "an empty file"}]
    assert {name: sum(counts) for name, counts in facts["classes"].items()} == {"cat": 25, "dog": 24}
    assert Path(facts["prepared"]).is_dir()


@pytest.mark.parametrize("data", ["digits", "toy"])
def test_what_does_not_apply_is_left_out(data, work):
    out = done("data", "show", f"data={data}", "out=described")
    assert "prepared" not in out
    assert "left out" not in out
    assert ("similar" in out) == (data == "digits")
    assert done("data", "prepare", f"data={data}") == f"{data}: nothing to prepare: it is read at each start\n"


def test_shards_of_any_source_train_like_it(photos, work):
    """Written whole or not at all, then read by offset: the same images, trained on and scored."""
    assert genkit("data", "shard", "data=images", f"data.root={photos}").err.count("out= is missing") == 1
    bad = genkit("data", "shard", "data=images", f"data.root={photos}", "out=shards")
    assert (bad.code, (work / "shards").exists()) == (3, False)
    out = done("data", "shard", "data=images", f"data.root={photos}", "data.max_bad=1", "out=shards")
    assert "written: 49 images" in out
    assert "1 left out" in out
    assert "genkit train data=shards data.root=" in out
    assert genkit("data", "shard", "data=images", f"data.root={photos}", "data.max_bad=1", "out=shards").code == 2
    words = ["data=shards", "data.root=shards"]
    assert "49 images in 1 shard, 2 classes, 8x8 RGB" in genkit("data", "prepare", *words).err
    facts = done("data", "show", *words, "out=described")
    assert "1 within" in facts
    few = ["trainer.max_steps=4", "trainer.val_every_n_steps=2", "data.batch_size=8", "samples.n=4"]
    few += ["trainer.log_every_n_steps=1", "checkpoint.every_n_steps=2"]
    done("train", "model=vae", *words, *few, "run_dir=run", "data.workers=1", "data.window=11")
    assert "bit-identical: steps 3 to 4" in done("verify", "ckpt=run", "replay=2")
    score = ["eval", "ckpt=run", "n=4", "metric=fid", "bootstrap=0", "floor_repeats=0", "baselines=false"]
    assert "other data" not in done(*score)
    assert "17 levels" in genkit("data", "shard", "data=digits", "out=x").err
    (photos / "cat" / "01.png").write_bytes((photos / "cat" / "03.png").read_bytes())
    shutil.rmtree(work / "shards")
    done("data", "shard", "data=images", f"data.root={photos}", "data.max_bad=1", "out=shards")
    assert "trained on other data than is there now" in done(*score)
    refused = genkit("train", "resume=run", "trainer.max_steps=5")
    assert (refused.code, "not the data of this run" in refused.err) == (4, True)
