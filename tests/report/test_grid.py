"""Grids: every pixel where it belongs, at the right brightness, in a file that is whole or absent."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from genkit.data.spec import DataSpec
from genkit.errors import DataError, StorageError
from genkit.noise import generator_of
from genkit.report.grid import GAP, columns_for, save_grid, save_pairs
from genkit.report.picture import draw, draw_pairs, picture_name

DIGITS = DataSpec((1, 8, 8), "image", (-1.0, 1.0), levels=17)
COLOUR = DataSpec((3, 4, 6), "image", (-1.0, 1.0), levels=256)
FLOATS = DataSpec((1, 4, 4), "image", (0.0, 1.0))


def stored(spec: DataSpec, n: int) -> torch.Tensor:
    assert spec.levels is not None
    return torch.randint(spec.levels, (n, *spec.shape), generator=generator_of(0, "grid"))


def read(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        return np.asarray(picture)


def tile(sheet: np.ndarray, row: int, column: int, height: int, width: int, scale: int) -> np.ndarray:
    """The tile at (row, column) with one pixel taken per enlarged one."""
    top, left = GAP + row * (height * scale + GAP), GAP + column * (width * scale + GAP)
    large = sheet[top : top + height * scale, left : left + width * scale]
    assert (large == large[::scale, ::scale].repeat(scale, 0).repeat(scale, 1)).all()  # nearest neighbour, no blur
    return large[::scale, ::scale]


@pytest.mark.parametrize(("spec", "columns", "scale"), [(DIGITS, 3, 4), (DIGITS, 1, 1), (COLOUR, 4, 2)])
def test_every_image_lies_in_its_tile(tmp_path: Path, spec: DataSpec, columns: int, scale: int) -> None:
    v = stored(spec, 7)
    save_grid(tmp_path / "grid.png", spec.scale(v), spec, columns=columns, scale=scale)
    sheet = read(tmp_path / "grid.png")
    channels, height, width = spec.shape
    assert sheet.shape[:2] == (
        -(-7 // columns) * (height * scale + GAP) + GAP,
        columns * (width * scale + GAP) + GAP,
    )
    assert spec.levels is not None
    for i in range(7):
        shown = tile(sheet, i // columns, i % columns, height, width, scale)
        expected = np.round(v[i].numpy() * 255 / (spec.levels - 1)).astype(np.uint8)
        assert (shown == (expected[0] if channels == 1 else np.moveaxis(expected, 0, -1))).all()


def test_defaults_make_a_square_of_readable_tiles(tmp_path: Path) -> None:
    save_grid(tmp_path / "grid.png", DIGITS.scale(stored(DIGITS, 64)), DIGITS)
    assert read(tmp_path / "grid.png").shape == (8 * (56 + GAP) + GAP,) * 2


def test_whole_range_is_used_and_the_rest_clipped(tmp_path: Path) -> None:
    x = torch.tensor([0.0, 1.0, 0.5, -3.0, 9.0, float("nan"), float("inf"), -float("inf")]).view(1, 1, 2, 4)
    save_grid(tmp_path / "grid.png", x, FLOATS, scale=1)
    shown = tile(read(tmp_path / "grid.png"), 0, 0, 2, 4, 1)
    assert shown.flatten().tolist() == [0, 255, 128, 0, 255, 0, 0, 0]


@pytest.mark.parametrize("n", [5, 8, 11])
def test_pairs_stand_one_above_the_other(tmp_path: Path, n: int) -> None:
    v, w = stored(DIGITS, n), 16 - stored(DIGITS, n)
    save_pairs(tmp_path / "pairs.png", DIGITS.scale(v), DIGITS.scale(w), DIGITS, columns=4)
    sheet = read(tmp_path / "pairs.png")
    for i in range(n):
        for below, images in enumerate((v, w)):
            shown = tile(sheet, 2 * (i // 4) + below, i % 4, 8, 8, 14)
            assert (shown == np.round(images[i, 0].numpy() * 255 / 16).astype(np.uint8)).all()


def test_draw_takes_images_and_says_what_it_cannot_draw(tmp_path: Path) -> None:
    x = DIGITS.scale(stored(DIGITS, 4))
    draw(tmp_path / picture_name(DIGITS), x, DIGITS)
    save_grid(tmp_path / "same.png", x, DIGITS)
    assert (read(tmp_path / "grid.png") == read(tmp_path / "same.png")).all()
    draw_pairs(tmp_path / "pairs.png", x, x, DIGITS)
    assert read(tmp_path / "pairs.png").shape == (2 * (112 + GAP) + GAP, 4 * (112 + GAP) + GAP)
    text = DataSpec((12,), "sequence", levels=64)
    with pytest.raises(DataError, match="tokens 0 … 63, not float32"):
        draw(tmp_path / picture_name(text), torch.zeros(2, 12), text)
    assert not (tmp_path / "tokens.png").exists()


def test_words_stand_outside_the_images(tmp_path: Path) -> None:
    """Below the title and right of the labels every pixel is that of the picture without words."""
    x, y = DIGITS.scale(stored(DIGITS, 12)), DIGITS.scale(16 - stored(DIGITS, 12))
    for name, title in (("bare", ""), ("titled", "vae on digits, step 1,500"), ("wide", "vae on digits, " * 20)):
        draw(tmp_path / f"{name}.png", x, DIGITS, title=title)
        draw_pairs(tmp_path / f"{name}-pairs.png", x, y, DIGITS, title=title)
    for kind in ("", "-pairs"):
        bare = read(tmp_path / f"bare{kind}.png")
        for name in ("titled", "wide"):
            sheet = read(tmp_path / f"{name}{kind}.png")
            top, left = sheet.shape[0] - bare.shape[0], 0
            while kind and (sheet[top:, left : left + bare.shape[1]] != bare).any():
                left += 1
            assert (sheet[top:, left : left + bare.shape[1]] == bare).all()
            assert top > 0
            assert (left > 0) == bool(kind)
            assert len(np.unique(sheet[:top])) > 2  # letters
            assert (sheet[top:, left + bare.shape[1] :] == 255).all()


def test_a_sheet_has_few_empty_places() -> None:
    assert [columns_for(n) for n in (1, 4, 5, 7, 9, 10, 12, 24, 64)] == [1, 2, 3, 4, 3, 5, 4, 6, 8]
    for n in range(2, 200):
        columns = columns_for(n)
        assert -n % columns <= max(n // 5, 1)
        assert columns <= 1.5 * n**0.5 + 2


def test_wrong_shapes_are_refused(tmp_path: Path) -> None:
    for x in (torch.zeros(4, 2), torch.zeros(0, 1, 8, 8)):
        with pytest.raises(DataError):
            save_grid(tmp_path / "grid.png", x, DIGITS)
    assert list(tmp_path.iterdir()) == []


def test_write_makes_folders_replaces_whole_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "grid.png"
    for n in (1, 4):
        save_grid(path, DIGITS.scale(stored(DIGITS, n)), DIGITS)
    assert read(path).shape == (2 * (168 + GAP) + GAP,) * 2
    assert [entry.name for entry in path.parent.iterdir()] == ["grid.png"]


def test_refused_write_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="cannot write") as caught:
        save_grid(tmp_path / "file" / "grid.png", DIGITS.scale(stored(DIGITS, 1)), DIGITS)
    assert "\n" not in str(caught.value)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
