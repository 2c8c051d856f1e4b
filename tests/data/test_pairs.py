"""Pairs of images: derived from single ones, in folders, in a file of arrays; moved alike in training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from genkit.data.derived_pairs import PAIRS, blurred, edges, inverted, low_resolution
from genkit.data.loader import TrainLoader, ValLoader
from genkit.data.sources.digits import Digits
from genkit.data.sources.pairs import Pairs
from genkit.errors import ConfigError, DataError


@pytest.fixture
def digits() -> torch.Tensor:
    return Digits().split("train").x[:20]


def test_what_is_derived(digits: torch.Tensor) -> None:
    flat = torch.full((2, 1, 8, 8), 7, dtype=torch.uint8)
    for derive in (blurred, low_resolution):
        assert torch.equal(derive(flat, 17), flat)
        assert (derive(digits, 17).double().mean() - digits.double().mean()).abs() < 0.3
    assert edges(flat, 17).max() == 0
    assert (edges(digits, 17).flatten(1).amax(1) == 16).all()
    assert torch.equal(inverted(inverted(digits, 17), 17), digits)
    blocks = low_resolution(digits, 17)
    assert torch.equal(blocks[..., ::2, ::2], blocks[..., 1::2, 1::2])
    odd = torch.randint(0, 256, (2, 1, 29, 30), dtype=torch.uint8)
    assert all(derive is None or derive(odd, 256).shape == odd.shape for derive in PAIRS.values())


@pytest.mark.parametrize("pairs", ["blur", "inverted"])
def test_both_images_of_a_pair_are_moved_alike(pairs: str) -> None:
    data = Digits(pairs=pairs, flip=True, shift=1, batch_size=8)
    assert data.spec.condition == (1, 8, 8)
    loader = TrainLoader(data, seed=0)
    batch, plain = loader.batch(3), Digits(pairs=pairs, batch_size=8).split("train").take(loader.index(3))
    assert (batch["x"] != data.spec.scale(plain.x)).any()
    derived = data.spec.scale(PAIRS[pairs](data.spec.unscale(batch["x"]), 17))
    inside = (slice(None), slice(None), slice(2, 6), slice(2, 6))  # what a shift brings in is black in both
    assert (derived[inside] - batch["c"][inside]).abs().mean() < 0.02
    assert next(iter(ValLoader(data.split("val"), data.spec, 16)))["c"].shape == (16, 1, 8, 8)


def test_a_split_of_pairs_is_known_by_both() -> None:
    one, other = Digits(pairs="blur").split("test"), Digits(pairs="edges").split("test")
    assert one.fingerprint != other.fingerprint != Digits().split("test").fingerprint
    assert one[torch.tensor([3, 1])].c.shape == (2, 1, 8, 8)


def test_binary_digits_have_no_pairs() -> None:
    with pytest.raises(ConfigError, match="grey images"):
        Digits(pairs="blur", binarize="threshold")


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Twelve colour images and grey ones of the same names, one level darker each."""
    for folder in ("made", "given"):
        (tmp_path / folder).mkdir()
    for i in range(12):
        pixels = np.random.default_rng(i).integers(0, 256, (10, 12, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "made" / f"{i}.png")
        Image.fromarray(pixels[..., 0]).save(tmp_path / "given" / f"{i}.bmp")
    return tmp_path


def test_folders_are_joined_by_name(folders: Path) -> None:
    data = Pairs(str(folders / "made"), str(folders / "given"))
    assert (data.spec.shape, data.spec.condition) == ((3, 10, 12), (1, 10, 12))
    assert [len(data.split(name)) for name in ("train", "val", "test")] == [10, 1, 1]
    for name in ("train", "val", "test"):
        split = data.split(name)
        assert torch.equal(split.x[:, :1], split.c)
    assert Pairs(str(folders / "made"), str(folders / "given"), size=8, channels=1).spec.shape == (1, 8, 8)


def test_an_npz_holds_both(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 256, (20, 6, 6), dtype=np.uint8)
    np.savez(tmp_path / "a.npz", x=x, c=255 - x)
    split = Pairs(str(tmp_path / "a.npz")).split("train")
    assert torch.equal(split.x, 255 - split.c)


def test_bad_pairs_are_one_line(folders: Path, tmp_path: Path) -> None:
    made, given = str(folders / "made"), str(folders / "given")
    (folders / "given" / "3.bmp").unlink()
    np.savez(tmp_path / "few.npz", x=np.zeros((3, 4, 4), np.uint8), c=np.zeros((3, 4, 4), np.uint8))
    np.savez(tmp_path / "other.npz", x=np.zeros((12, 4, 4), np.uint8), c=np.zeros((11, 4, 4), np.uint8))
    np.savez(tmp_path / "float.npz", x=np.zeros((12, 4, 4)), c=np.zeros((12, 4, 4), np.uint8))
    np.savez(tmp_path / "half.npz", x=np.zeros((12, 4, 4), np.uint8))
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04 no zip")
    cases = {
        (made, given): "has no pair",
        (made, None): "where are the images",
        (made, made + "-not"): "no folder",
        (str(tmp_path / "few.npz"), None): "ten or more",
        (str(tmp_path / "other.npz"), None): "as many of each",
        (str(tmp_path / "float.npz"), None): "not uint8",
        (str(tmp_path / "half.npz"), None): "lacks an array",
        (str(tmp_path / "broken.npz"), None): "cannot be read",
        (str(tmp_path / "nowhere"), None): "does not exist",
    }
    for (root, pairs), said in cases.items():
        with pytest.raises(DataError, match=said) as raised:
            Pairs(root, pairs)
        assert "\n" not in str(raised.value)


def test_pairs_taken_apart_share_no_image(folders: Path) -> None:
    whole, apart = Digits(pairs="inverted"), Digits(pairs="inverted", unpaired=True)
    train, given = apart.split("train"), inverted(apart.split("train").c, 17)
    assert len(train) == len(whole.split("train")) // 2
    near = (train.x.flatten(1)[:, None] != given.flatten(1)[None]).any(2)
    assert near.double().mean() > 0.999  # two digits may be equal by chance
    assert torch.equal(apart.split("test").c, whole.split("test").c)
    with pytest.raises(ConfigError, match="which pairs"):
        Digits(unpaired=True)
    (folders / "given" / "0.bmp").rename(folders / "given" / "other.bmp")
    (folders / "given" / "1.bmp").unlink()
    data = Pairs(str(folders / "made"), str(folders / "given"), unpaired=True)
    assert sum(len(data.split(name)) for name in ("train", "val", "test")) == 11
    assert (whole.pairs_known, data.pairs_known) == (True, False)
