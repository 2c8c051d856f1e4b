"""Pictures of a training as a GIF."""

from pathlib import Path

from PIL import Image

from genkit.report.animation import LAST, MOST, save_pictures


def test_pictures_become_frames_of_one_size(tmp_path: Path) -> None:
    pictures = []
    for i in range(50):
        pictures.append(tmp_path / f"{i:02d}.png")
        Image.new("RGB", (700 if i == 3 else 40, 30), (i, 0, 0)).save(pictures[-1])
    save_pictures(tmp_path / "all.gif", pictures)
    with Image.open(tmp_path / "all.gif") as film:
        assert film.n_frames == MOST
        assert film.size == (40, 30)
        assert film.info["loop"] == 0
        film.seek(MOST - 1)
        assert film.info["duration"] == LAST
        assert film.convert("RGB").getpixel((0, 0)) == (49, 0, 0)
