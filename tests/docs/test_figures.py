"""scripts/figures.py: the picture shows the very samples of the files, in their order, nothing chosen."""

import numpy as np
import pytest
import torch
from PIL import Image
from script import script_named

from genkit.data.samples import write_samples
from genkit.data.sources.digits import Digits


@pytest.fixture(scope="module")
def figures():
    return script_named("figures")


def test_blocks_hold_the_first_samples_of_each_file(figures, tmp_path):
    dark, bright = torch.zeros(6, 1, 8, 8, dtype=torch.uint8), torch.full((6, 1, 8, 8), 16, dtype=torch.uint8)
    bright[4:] = 0  # beyond the block of 2 x 2
    for name, x in (("dark", dark), ("bright", bright)):
        write_samples(tmp_path / f"{name}.npz", Digits.spec, x)
    words = [f"{name}={tmp_path / name}.npz" for name in ("dark", "bright")]
    out = tmp_path / "new" / "picture.png"
    figures.main([*words, "--out", str(out), "--rows", "2", "--columns", "2"])
    picture = np.asarray(Image.open(out))
    left, right = np.split(picture[figures.TITLE :], [picture.shape[1] // 2], axis=1)
    assert picture.ndim == 2
    tiles = [(half.shape[1] - figures.MARGIN // 2, half) for half in (left, right)]
    grey = 72  # the gaps between the tiles
    assert set(np.unique(tiles[0][1][:, : tiles[0][0]])) == {0, grey}
    assert set(np.unique(tiles[1][1][:, figures.MARGIN // 2 :])) == {grey, 255}


def test_a_sheet_of_blocks_has_few_empty_places(figures):
    assert [figures.across_for(n) for n in (1, 5, 6, 7, 8, 9, 11, 12)] == [1, 5, 6, 4, 4, 3, 6, 6]
    assert all(-n % figures.across_for(n) <= 2 for n in range(1, 60))
