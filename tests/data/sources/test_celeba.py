"""CelebA from a few pictures of its size and lists in its form."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from published_cases import Files, put, put_zip

from genkit.data.sources.celeba import CelebA
from genkit.errors import DataError

N, HEIGHT, WIDTH = 20, 218, 178
NAMES = [f"{i:06}.jpg" for i in range(1, N + 1)]
PART = [0] * 14 + [1] * 3 + [2] * 3
TRAITS = ["5_o_Clock_Shadow", "Smiling", "Young"]
SPLITS = ("train", "val", "test")
RNG = np.random.default_rng(0)
MARKS = RNG.integers(0, 256, (N, 3), dtype=np.uint8)  # the colour of the middle of each picture
SMILES = RNG.integers(0, 2, N)


def picture(i: int) -> bytes:
    """Black, with a middle of 148x148 in a colour of its own; PNG, whose bytes are told from JPEG by themselves."""
    values = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
    values[35 : 35 + 148, 15 : 15 + 148] = MARKS[i]
    file = io.BytesIO()
    Image.fromarray(values).save(file, "PNG")
    return file.getvalue()


IMAGES = {name: picture(i) for i, name in enumerate(NAMES)}
PARTITION = "".join(f"{name} {part}\n" for name, part in zip(NAMES, PART, strict=True))
ATTRIBUTES = f"{N}\n{' '.join(TRAITS)} \n" + "".join(
    f"{name} -1 {2 * smile - 1:2d}  1\n" for name, smile in zip(NAMES, SMILES.tolist(), strict=True)
)
TEXTS = {"list_eval_partition.txt": PARTITION.encode(), "list_attr_celeba.txt": ATTRIBUTES.encode()}
TABLES = {
    "list_eval_partition.csv": b"image_id,partition\n" + PARTITION.replace(" ", ",").encode(),
    "list_attr_celeba.csv": ("image_id," + ",".join(TRAITS) + "\n").encode()
    + b"".join(f"{name},-1,{2 * smile - 1},1\n".encode() for name, smile in zip(NAMES, SMILES.tolist(), strict=True)),
}


def inside(folder: str, files: Files) -> Files:
    return {f"{folder}/{name}": data for name, data in files.items()}


def official(at: Path) -> Path:
    put(at, {"Eval/list_eval_partition.txt": PARTITION.encode(), "Anno/list_attr_celeba.txt": ATTRIBUTES.encode()})
    (at / "Img").mkdir()
    put_zip(at / "Img" / "img_align_celeba.zip", IMAGES, "img_align_celeba/")
    return at


def zipped(at: Path) -> Path:
    put_zip(put(at, TEXTS) / "img_align_celeba.zip", IMAGES, "img_align_celeba/")
    return at


PLACES = {
    "folder": lambda at: put(at, inside("img_align_celeba", IMAGES) | TEXTS),
    "folder in a folder, CSV": lambda at: put(at, inside("img_align_celeba/img_align_celeba", IMAGES) | TABLES),
    "celeba below the root": lambda at: put(at, inside("celeba", inside("img_align_celeba", IMAGES) | TEXTS)),
    "the images themselves": lambda at: put(at, inside("x", IMAGES) | TEXTS) / "x",
    "zip": zipped,
    "the zip itself": lambda at: zipped(at) / "img_align_celeba.zip",
    "as on the disk of the authors": official,
}


@pytest.mark.parametrize("place", PLACES)
def test_splits_classes_and_middles(tmp_path: Path, place: str) -> None:
    data = CelebA(str(PLACES[place](tmp_path)), attribute="Smiling", size=8)
    assert (data.spec.shape, data.class_names) == ((3, 8, 8), ("not Smiling", "Smiling"))
    known = {tuple(mark): (PART[i], int(SMILES[i])) for i, mark in enumerate(MARKS.tolist())}
    found = {}
    for part, split in enumerate(SPLITS):
        examples = data.split(split).take(torch.arange(len(data.split(split))))
        for x, y in zip(examples.x, examples.y, strict=True):
            assert (x == x[:, :1, :1]).all()  # nothing of the black around
            found[tuple(x[:, 0, 0].tolist())] = (part, int(y))
    assert found == known


def test_without_lists_there_are_splits_by_content_and_no_labels(tmp_path: Path) -> None:
    data = CelebA(str(put(tmp_path, IMAGES)))
    assert data.spec.shape == (3, 64, 64)
    assert data.spec.num_classes is None
    assert [len(data.split(split)) for split in SPLITS] == [16, 2, 2]


def test_the_crop_is_a_choice(tmp_path: Path) -> None:
    root = str(put(tmp_path, IMAGES))
    whole = CelebA(root, crop=None, size=178).split("train").take(torch.arange(1)).x[0]
    assert (whole[:, :, :15] == 0).all()  # the largest square: all 178 columns
    middle = CelebA(root, crop=150, size=150).split("train").take(torch.arange(1)).x[0]
    assert (middle[:, 1:-1, 1:-1] == middle[:, 1:2, 1:2]).all()
    assert (middle[:, 0] == 0).all()


SPLIT_LIST, TRAIT_LIST = "list_eval_partition.txt", "list_attr_celeba.txt"
WRONG: dict[str, tuple[Files, str | None, str]] = {
    "an image without a row": ({SPLIT_LIST: PARTITION.split("\n", 1)[1].encode()}, None, "1 without a row"),
    "a row of no image": ({SPLIT_LIST: f"{PARTITION}x.jpg 0\n".encode()}, None, "1 not among the images"),
    "a split that is none": ({SPLIT_LIST: PARTITION.replace(" 2", " 3").encode()}, None, "cannot read the line"),
    "an empty list": ({SPLIT_LIST: b""}, None, "an empty file"),
    "a list of bytes": ({SPLIT_LIST: b"\xff\xfe\xfd"}, None, "no text"),
    "an unknown attribute": (TEXTS, "Happy", r"no attribute Happy: .* one of 5_o_Clock_Shadow, Smiling, Young"),
    "no list of attributes": ({}, "Smiling", r"needs list_attr_celeba\.txt"),
    "a line cut short": ({TRAIT_LIST: ATTRIBUTES[:-4].encode()}, "Young", r"the line of 000020\.jpg"),
    "nothing but a number": ({TRAIT_LIST: b"20\n"}, "Young", "no attributes in it"),
}


@pytest.mark.parametrize("name", WRONG)
def test_lists_that_do_not_fit_are_one_line(tmp_path: Path, name: str) -> None:
    files, attribute, reason = WRONG[name]
    root = put(tmp_path, inside("img_align_celeba", IMAGES) | files)
    with pytest.raises(DataError, match=reason) as refusal:
        CelebA(str(root), attribute=attribute, size=8)
    assert "\n" not in str(refusal.value)


def test_a_list_that_changes_is_noticed(tmp_path: Path) -> None:
    root = zipped(tmp_path)
    before = [len(CelebA(str(root), size=8).split(split)) for split in SPLITS]
    (root / "list_eval_partition.txt").write_text(PARTITION.replace(" 1\n", " 2\n"))
    after = CelebA(str(root), size=8)
    assert before == [14, 3, 3]
    assert len(after.split("test")) == 6


def test_nothing_of_it_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENKIT_DATA", str(put(tmp_path, {"other.png": IMAGES[NAMES[0]]})))
    with pytest.raises(DataError, match=r"nothing of it in .*img_align_celeba"):
        CelebA()
