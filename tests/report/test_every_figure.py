"""Laws of all pictures: a title, names of axes, words inside the picture, colours of one list, no empty places."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image
from stored_scores import record as stored
from stored_scores import written

from genkit.data.sources.table import Table
from genkit.data.spec import DataSpec
from genkit.evaluation.record import Record
from genkit.report.comparison import compare
from genkit.report.completions import save_completions
from genkit.report.curve import save_loss_curves
from genkit.report.forest import save_forest
from genkit.report.grid import GAP, columns_for, save_grid, scale_for
from genkit.report.loss_by_context import save_loss_by_context
from genkit.report.palette import COLOURS, REAL
from genkit.report.pareto import ScoredCost, save_pareto
from genkit.report.picture import draw, draw_pairs, draw_rows
from genkit.report.playground_frame import save_frame
from genkit.report.sampling_curve import Curve, save_curve
from genkit.report.sweep_curve import save_sweep
from genkit.report.sweep_panels import Point

TITLE = "vae on toy checkerboard, step 1,500"
LONG = f"{TITLE}: {'a very long word about what is shown here, ' * 4}$x_1$ and the_rest"


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def vectors(dim: int, n: int = 40) -> Callable[[Path, str], None]:
    return lambda path, title: draw(path, noise(n, dim), DataSpec((dim,), "vector"), noise(60, dim), title)


def series(path: Path, title: str) -> None:
    draw(path, noise(4, 20), DataSpec((20,), "sequence"), noise(3, 20), title)


def table(path: Path, title: str) -> None:
    cells = [f"{i * 0.37},{'ab'[i % 2]},{i % 5},2024-01-{i % 28 + 1:02d},{i * i}" for i in range(40)]
    rows = path.with_suffix(".csv")
    rows.write_text("\n".join(["size,$kind_,count,day,a column with a very long name that says much", *cells]) + "\n")
    spec = Table(root=str(rows)).spec
    draw(path, noise(30, spec.dim), spec, title=title)


def paths(path: Path, title: str) -> None:
    draw_rows(path, noise(3, 5, 2), DataSpec((2,), "vector"), noise(50, 2), title, ("one", "two", "three"))


def losses(names: tuple[str, ...], steps: int) -> Callable[[Path, str], None]:
    def write(path: Path, title: str) -> None:
        rows = [{"step": i + 1, **{f"train/{name}": float(i + 1) for name in names}} for i in range(steps)]
        metrics = path.with_suffix(".jsonl")
        metrics.write_text("".join(json.dumps(row) + "\n" for row in [*rows, {"step": steps, "val/loss": 1.5}]))
        assert save_loss_curves(path, metrics, title)

    return write


def record(name: str, value: float) -> Record:
    return Record(name, name, "vae", "min", "", True, {}, 0, value=value, ci95=(value, value + 1), seconds_per_1000=1.0)


def sampling(path: Path, title: str) -> None:
    save_curve(path, Curve("sampler.steps", [(n, record("fid", 1 / n)) for n in (2, 4, 8)]), title)


def sweep(keys: int) -> Callable[[Path, str], None]:
    jobs = [Point({f"key{k}": str(i >> k & 1) for k in range(keys)}, float(i)) for i in range(2**keys)]
    return lambda path, title: save_sweep(path, jobs, "val/loss", "min", title)


def pareto(path: Path, title: str) -> None:
    points = [ScoredCost(i, float(i), float(abs(3 - i)), i < 4) for i in range(6)]
    save_pareto(path, points, "parameters", "val/loss", "min", title)


def context(path: Path, title: str) -> None:
    save_loss_by_context(path, {"gpt": noise(9, 8).abs()}, title)


def forest(path: Path, title: str) -> None:
    files = [written(path.parent / name, stored(name * 9, 1.0)) for name in ("vae", "a_long_$name_")]
    save_forest(path, compare(files), title)


def frame(path: Path, title: str) -> None:
    density = noise(8, 8).abs()
    history = [{"step": 0, "kl": 2.0, "kl_se": 0.1, "reverse_kl": 1.0}, {"step": 9, "kl": 1.0, "kl_se": 0.1}]
    save_frame(path, title, (-1, 1, -1, 1), (density, "exact"), (density, "exact"), noise(20, 2), history, 9, None)


FIGURES = {
    "scatter": vectors(2),
    "one point": vectors(2, 1),
    "histogram": vectors(1),
    "first dimensions": vectors(5),
    "series": series,
    "table": table,
    "paths": paths,
    "losses": losses(("loss", "kl", "a_term_of_a_very_long_name_that_nobody_would_choose"), 9),
    "losses of one step": losses(("loss",), 1),
    "sampling": sampling,
    "sweep": sweep(1),
    "sweep of keys": sweep(3),
    "pareto": pareto,
    "context": context,
    "forest": forest,
    "playground": frame,
}


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_says_what_it_shows(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: saved.append(figure))
    FIGURES[name](tmp_path / "a.png", LONG)
    (figure,) = saved
    assert TITLE in figure.get_suptitle().replace("\n", " ")
    figure.draw_without_rendering()
    page = figure.bbox
    words = [figure._suptitle, *(text for legend in figure.legends for text in legend.get_texts())]
    for axes in figure.axes:
        assert axes.has_data() or not axes.axison, "an empty place"
        words += [axes.xaxis.label, axes.yaxis.label, axes.title]
        if axes.axison and len(axes.get_xticks()):
            assert axes.get_xlabel() or axes.get_title()
            named = axes.get_ylabel() or axes.get_shared_y_axes() or figure.get_supylabel()
            assert named or not len(axes.get_yticks()) or any(label.get_text() for label in axes.get_yticklabels())
        for line in axes.get_lines():
            colour = to_hex(line.get_color())
            grey = colour[1:3] == colour[3:5] == colour[5:7]
            assert colour in (*COLOURS, REAL) or grey or name == "sweep of keys", "a colour of its own"
    for text in filter(lambda text: text.get_text(), words):
        box = text.get_window_extent()
        assert box.x0 >= page.x0 - 1, text.get_text()
        assert box.x1 <= page.x1 + 1, text.get_text()
        assert box.y1 <= page.y1 + 1, text.get_text()


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 12, 48), (3, 64, 16), (3, 32, 32)])
def test_no_sheet_has_an_empty_row_or_a_tiny_tile(shape: tuple[int, int, int], tmp_path: Path) -> None:
    spec = DataSpec(shape, "image", (-1.0, 1.0))
    for n in (1, 2, 3, 7, 65):
        save_grid(tmp_path / "grid.png", torch.ones(n, *shape), spec, title=TITLE)
        with Image.open(tmp_path / "grid.png") as picture:
            pixels = np.asarray(picture.convert("L"))
        columns = columns_for(n, shape[2] / shape[1])
        scale = scale_for(*shape[1:], columns)
        assert shape[1] * shape[2] * scale**2 >= 40**2, "a tile that nobody can read"
        rows = math.ceil(n / columns)
        assert rows * columns - n < columns, "an empty row"
        assert pixels.shape[0] >= rows * (shape[1] * scale + GAP)
        assert pixels.shape[1] < 2400, "wider than a screen"


def test_words_never_make_the_paper_much_wider_than_its_pictures(tmp_path: Path) -> None:
    spec, x = DataSpec((1, 12, 48), "image", (-1.0, 1.0)), torch.zeros(3, 1, 12, 48)
    save_grid(tmp_path / "grid.png", x, spec, title=LONG)
    draw_pairs(tmp_path / "pairs.png", x, x, spec, LONG)
    heads = ("truth", "given", "a head of many words", "sd, 0 to 0.25")
    save_completions(tmp_path / "completions.png", spec, [(head, x) for head in heads], LONG)
    for name in ("grid", "pairs", "completions"):
        with Image.open(tmp_path / f"{name}.png") as picture:
            assert picture.width < 1100, name
