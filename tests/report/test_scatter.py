"""Scatter plots: axes fixed by the real data, points that are counted, no global state."""

from pathlib import Path

import pytest
import torch
from matplotlib import pyplot
from matplotlib.figure import Figure
from PIL import Image

from genkit.data.sources.toy import Toy
from genkit.data.spec import DataSpec
from genkit.errors import DataError
from genkit.report import paths, scatter
from genkit.report.picture import draw, draw_pairs, draw_rows, picture_name

PLANE = DataSpec((2,), "vector")


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that are saved, in order; the files are written all the same."""
    saved: list[Figure] = []
    save = scatter.save_figure

    def remember(path: str | Path, figure: Figure) -> None:
        saved.append(figure)
        save(path, figure)

    monkeypatch.setattr(scatter, "save_figure", remember)
    return saved


def points(n: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(seed))


def test_axes_are_those_of_the_real_data_whatever_the_samples(tmp_path: Path, figures: list[Figure]) -> None:
    real = points(200)
    for i, x in enumerate((points(50, 1), 100 * points(50, 2), 0.01 * points(50, 3))):
        draw(tmp_path / f"{i}.png", x, PLANE, real=real)
    limits = {(*figure.axes[0].get_xlim(), *figure.axes[0].get_ylim()) for figure in figures}
    assert limits == {scatter.limits_of(real.double())}
    left, right, bottom, top = limits.pop()
    assert right - left == pytest.approx(top - bottom)
    assert left < real[:, 0].min() < real[:, 0].max() < right
    assert bottom < real[:, 1].min() < real[:, 1].max() < top


def test_samples_outside_the_picture_are_counted(tmp_path: Path, figures: list[Figure]) -> None:
    x = torch.cat([points(7) * 0.1, torch.tensor([[1e3, 0.0], [float("nan"), 0.0]])])
    scatter.save_scatter(tmp_path / "a.png", x, real=points(100))
    (legend,) = figures[0].legends
    assert [text.get_text() for text in legend.get_texts()] == ["real (100)", "samples (9, 2 outside the picture)"]


def test_points_drawn_are_the_points_given(tmp_path: Path, figures: list[Figure]) -> None:
    x, real = points(5), points(6, 1)
    scatter.save_scatter(tmp_path / "a.png", x, real=real, title="eight")
    behind, front = figures[0].axes[0].collections
    torch.testing.assert_close(torch.tensor(behind.get_offsets().tolist()), real)
    torch.testing.assert_close(torch.tensor(front.get_offsets().tolist()), x)
    assert figures[0].get_suptitle() == "eight"


def test_other_dimensions_show_the_first_two(tmp_path: Path, figures: list[Figure]) -> None:
    x = torch.arange(12.0).view(4, 3)
    draw(tmp_path / "a.png", x, DataSpec((3,), "vector"))
    shown = torch.tensor(figures[0].axes[0].collections[0].get_offsets().tolist())
    assert torch.equal(shown, x[:, :2])


def test_numbers_alone_are_shares_of_bins_that_the_real_ones_fix(tmp_path: Path, figures: list[Figure]) -> None:
    real, x = torch.linspace(0, 1, 50)[:, None], torch.tensor([[0.5], [0.5], [0.5], [9.0]])
    draw(tmp_path / "a.png", x, DataSpec((1,), "vector"), real=real)
    behind, front = (patch.get_data() for patch in figures[0].axes[0].patches)
    assert behind.values.sum() == pytest.approx(1.0)
    assert (front.values.max(), front.values.sum()) == (0.75, 0.75)
    assert (front.edges == behind.edges).all()
    assert "1 outside the picture" in figures[0].legends[0].get_texts()[1].get_text()


def test_a_path_that_leaves_the_data_far_behind_does_not_shrink_the_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[Figure] = []
    monkeypatch.setattr(paths, "save_figure", lambda path, figure: saved.append(figure))
    rows = torch.tensor([[[0.0, 0.0], [1.0, 3.0]], [[0.0, 0.0], [1e13, 0.0]]])
    draw_rows(tmp_path / "a.png", rows, PLANE, points(100), "flow on points", ("a", "b"))
    (axes,) = saved[0].axes
    assert axes.get_xlim()[1] < 20
    assert axes.get_ylim()[1] > 3
    assert [text.get_text() for text in saved[0].legends[0].get_texts()] == ["real (100)", "a", "b"]


@pytest.mark.parametrize(
    ("dim", "labels", "title"),
    [(1, ("x₁", "share in a bin"), "flow on points, step 7"), (2, ("x₁", "x₂"), "flow on points, step 7"),
     (5, ("x₁", "x₂"), "flow on points, step 7\nfirst 2 of 5 dimensions")],
)  # fmt: skip
def test_axes_have_names_and_the_title_says_what_is_not_shown(
    tmp_path: Path, figures: list[Figure], dim: int, labels: tuple[str, str], title: str
) -> None:
    draw(tmp_path / "a.png", torch.randn(9, dim), DataSpec((dim,), "vector"), title="flow on points, step 7")
    (axes,) = figures[0].axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == labels
    assert figures[0].get_suptitle() == title


def test_the_columns_of_a_table_name_the_axes(tmp_path: Path, figures: list[Figure]) -> None:
    table = DataSpec((3,), "vector", names=("age", "cost_$_a_$", "sex"))
    draw(tmp_path / picture_name(table), torch.randn(20, 3), table, real=torch.randn(30, 3))
    axes = figures[-1].axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("age", r"cost_\$_a_\$")  # no mathematics


def test_reconstructions_are_drawn_over_their_originals(tmp_path: Path, figures: list[Figure]) -> None:
    draw_pairs(tmp_path / "a.png", points(30), points(30) + 0.1, PLANE)
    assert len(figures[0].axes[0].collections) == 2


def test_a_toy_makes_a_picture_and_no_global_figure(tmp_path: Path) -> None:
    toy = Toy("pinwheel", n_train=100)
    path = tmp_path / picture_name(toy.spec)
    draw(path, toy.split("train").x, toy.spec, real=toy.split("val").x, title="pinwheel")
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        assert picture.size == (600, 600)
        assert len(picture.convert("RGB").getcolors(maxcolors=1 << 20) or []) > 50
    assert pyplot.get_fignums() == []
    assert [entry.name for entry in tmp_path.iterdir()] == ["scatter.png"]


def test_no_finite_point_still_makes_a_picture(tmp_path: Path) -> None:
    scatter.save_scatter(tmp_path / "a.png", torch.full((3, 2), float("nan")))
    assert (tmp_path / "a.png").exists()


def test_wrong_shape_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"\(n, D\)"):
        scatter.save_scatter(tmp_path / "a.png", torch.zeros(3, 1, 8, 8))
