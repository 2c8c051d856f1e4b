"""Shards that are Parquet files: the images of `data=hub`, read by row groups of which a window holds few."""

import io
import json
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from image_cases import class_files, write_zip
from PIL import Image

from genkit.data.content_split import NAMES
from genkit.data.loader import TrainLoader
from genkit.data.shards import parquet_shard
from genkit.data.sources.hub import Hub
from genkit.data.sources.shards import Shards
from genkit.errors import ConfigError, DataError

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

N = 60
FEATURES = {"image": {"_type": "Image"}, "label": {"names": ["cow", "ant", "bee", "none"], "_type": "ClassLabel"}}


def png(seed: int) -> bytes:
    file = io.BytesIO()
    values = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    Image.fromarray(values).save(file, "png")
    return file.getvalue()


def table(low: int, high: int, empty: int | None = None) -> Any:
    images = [{"bytes": None if i == empty else png(i), "path": None} for i in range(low, high)]
    found = pa.table({"image": images, "label": [i % 3 for i in range(low, high)]})
    return found.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": FEATURES}})})


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GENKIT_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "rows"
    folder.mkdir()
    for k in range(3):
        path = folder / f"train-{k:05}-of-00003.parquet"
        pq.write_table(table(20 * k, 20 * (k + 1)), path, row_group_size=7, compression="snappy")
    return folder


def images(data: Any) -> set[tuple[bytes, int]]:
    found = set()
    for name in NAMES:
        split = data.split(name)
        x = split.between(0, len(split)).x
        found |= {(values.numpy().tobytes(), int(y)) for values, y in zip(x, split.labels, strict=True)}
    return found


def test_the_images_are_those_of_the_hub(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shards, hub = Shards(str(root)), Hub(str(root))
    assert "60 images in 3 shards, 4 classes" in capsys.readouterr().err
    assert shards.class_names == hub.class_names == ("cow", "ant", "bee", "none")
    assert images(shards) == images(hub)
    assert len(images(shards)) == N
    assert shards.provenance.names()["test"][0].startswith("train-0000")


@pytest.mark.parametrize("workers", [2, 3])
def test_batches_depend_on_nothing_but_their_number(root: Path, workers: int) -> None:
    options: dict[str, Any] = {"batch_size": 8, "window": 16}
    straight = list(islice(TrainLoader(Shards(str(root), workers=1, **options), seed=1), 14))
    resumed = TrainLoader(Shards(str(root), workers=workers, **options), seed=1, start=5)
    for batch, other in zip(straight[5:], resumed, strict=False):
        assert torch.equal(batch["x"], other["x"])
        assert torch.equal(batch["y"], other["y"])


def test_a_row_group_is_read_about_once_in_an_epoch(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though all of them together are more than is held: windows are as small as that asks for."""
    size = sum(len(png(i)) for i in range(7))
    monkeypatch.setattr(parquet_shard, "HELD", 4 * size)
    monkeypatch.setattr(parquet_shard, "LARGEST", 2 * size)
    read: list[int] = []
    group = parquet_shard.ParquetRows.group

    def counted(rows: Any, number: int, column: str) -> Any:
        read.append(number)
        return group(rows, number, column)

    data = Shards(str(root), batch_size=8, workers=1)
    assert data.images.splits["train"].window <= 14
    monkeypatch.setattr(parquet_shard.ParquetRows, "group", counted)
    loader = TrainLoader(data, seed=0)
    for m in range(loader.per_epoch):  # iterated, the loader would read on into the next epoch meanwhile
        assert len(loader.batch(m)["x"]) == 8
    assert 7 <= len(read) <= 12  # nine groups
    assert sum(values.nbytes for values, _ in data.images.store._groups._kept.values()) <= 4 * size


def test_refusals(root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(parquet_shard, "LARGEST", 100)
        with pytest.raises(DataError, match=r"a row group of .* bytes, the limit is 100: write shards"):
            Shards(str(root))
    pq.write_table(table(60, 70, empty=63), root / "train-more.parquet")
    with pytest.raises(DataError, match="1 of 70 images"):
        Shards(str(root))
    assert "train-more.parquet/row 3: no bytes in its row" in capsys.readouterr().err
    assert len(images(Shards(str(root), max_bad=1))) == 69
    (root / "train-more.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match="not a readable"):
        Shards(str(root))
    monkeypatch.setattr(parquet_shard, "pa", None)
    with pytest.raises(ConfigError, match="need pyarrow"):
        Shards(str(root))


def test_zips_may_lie_beside_them(root: Path) -> None:
    write_zip(root / "train-zip.zip", class_files(12, 6))
    data = Shards(str(root), labels="none")
    assert sum(len(data.split(name)) for name in NAMES) == N + 12
    assert set(Shards(str(root)).class_names) == {"ant", "bee", "cow", "none", "cat", "dog"}
