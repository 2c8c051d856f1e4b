"""The picture of a table: a panel for each column, colours that the legend names, any text in a name."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from genkit.data.sources.table import Table
from genkit.data.spec import DataSpec
from genkit.errors import DataError
from genkit.report.columns import save_columns
from genkit.report.contact_sheet import save_contact_sheet
from genkit.report.palette import MODEL, REAL


def colours_below(path: Path) -> set[str]:
    """Those of the last lines of a picture, where its legend stands."""
    with Image.open(path) as image:
        rows = np.asarray(image.convert("RGB"))[-45:].reshape(-1, 3)
    return {f"#{r:02x}{g:02x}{b:02x}" for r, g, b in np.unique(rows, axis=0)}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    path = tmp_path_factory.mktemp("table") / "odd.csv"
    lines = [
        f"{i},{'北京' if i % 3 else 'a$b$'},2024-01-{i % 28 + 1:02d},{'' if i % 5 else i * 0.5}" for i in range(90)
    ]
    path.write_text("\n".join(["n,$c_{1,date,half empty", *lines]).replace("n,$c_{1", 'n,"$c_{1"') + "\n")
    return Table(root=str(path))


def test_the_legend_has_the_colours_of_the_panels(table, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save_columns(tmp_path / "columns.png", torch.randn(50, table.spec.dim), table.spec, title="$a")
        save_contact_sheet(tmp_path / "sheet.png", table, 0, "table")
    for name in ("columns.png", "sheet.png"):
        assert {REAL.lower(), MODEL.lower()} <= colours_below(tmp_path / name)


def test_other_data_has_no_columns(table, tmp_path):
    with pytest.raises(DataError):
        save_columns(tmp_path / "columns.png", torch.zeros(3, 2), DataSpec((2,), "vector"))
    with pytest.raises(DataError):
        save_columns(tmp_path / "columns.png", torch.zeros(3, table.spec.dim + 1), table.spec)
    assert not any(tmp_path.iterdir())
