"""Pictures of sequences: a cell for each token, in the token's colour; lines for series of real numbers."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from genkit.data.kinds import Categorical
from genkit.data.spec import DataSpec
from genkit.report.picture import draw, draw_pairs, draw_rows, picture_name
from genkit.report.tokens import LARGEST, SMALLEST, WIDE, colour_of

KIND = Categorical(3, ("eos", "pad"), ("a", "b", "c"))
SPEC = DataSpec((7,), "sequence", kind=KIND)
X = torch.randint(KIND.count, (5, 7), generator=torch.Generator().manual_seed(0))


def read(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


def test_every_cell_has_its_tokens_colour_and_a_sign(tmp_path: Path) -> None:
    draw(tmp_path / picture_name(SPEC), X, SPEC)
    sheet = read(tmp_path / "tokens.png")
    assert sheet.shape == (5 * LARGEST, 7 * LARGEST, 3)
    for i, j in np.ndindex(5, 7):
        cell = sheet[i * LARGEST : (i + 1) * LARGEST, j * LARGEST : (j + 1) * LARGEST]
        token = int(X[i, j])
        assert tuple(cell[0, 0]) == colour_of(token, KIND)
        signed = bool((cell != cell[0, 0]).any())
        assert signed == (token < KIND.vocabulary)


def test_tokens_have_different_colours_and_long_sequences_narrow_cells(tmp_path: Path) -> None:
    assert len({colour_of(token, KIND) for token in range(KIND.count)}) == KIND.count
    long = DataSpec((2 * WIDE,), "sequence", levels=2)
    draw(tmp_path / "long.png", torch.zeros(3, 2 * WIDE, dtype=torch.int64), long)
    assert read(tmp_path / "long.png").shape == (3 * SMALLEST, 2 * WIDE * SMALLEST, 3)


def test_pairs_rows_and_titles_are_drawn_too(tmp_path: Path) -> None:
    draw_pairs(tmp_path / "pairs.png", X, X, SPEC)
    assert len(read(tmp_path / "pairs.png")) == 2 * 5 * LARGEST
    draw_rows(tmp_path / "rows.png", X[:, None], SPEC, title="bigrams, step 1")
    assert len(read(tmp_path / "rows.png")) > 5 * LARGEST


def test_a_series_of_real_numbers_is_drawn_as_lines(tmp_path: Path) -> None:
    series = DataSpec((20,), "sequence")
    draw(tmp_path / picture_name(series), torch.randn(4, 20), series, real=torch.randn(3, 20), title="$5 a$")
    assert read(tmp_path / "series.png").std() > 0
