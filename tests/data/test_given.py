"""A user's own examples become the model's data, or one line says why not."""

import numpy as np
import pytest
import torch
from PIL import Image

from genkit.data.given import read_given
from genkit.data.spec import DataSpec
from genkit.errors import DataError

GREY = DataSpec((1, 8, 8), "image", (-1.0, 1.0), 17)
COLOUR = DataSpec((3, 6, 8), "image", (-1.0, 1.0), 256)


@pytest.fixture
def gradient():
    return np.linspace(0, 255, 64).astype(np.uint8).reshape(8, 8)


def test_a_picture_of_the_right_size_is_read_as_it_is(tmp_path, gradient):
    Image.fromarray(gradient).save(tmp_path / "a.png")
    said = []
    given = read_given(tmp_path / "a.png", GREY, said.append)
    assert given.names == ("a.png",)
    assert not said
    assert torch.equal(
        given.split.take(torch.tensor([0])).x[0, 0], torch.from_numpy(gradient / 255 * 16).round().byte()
    )


@pytest.mark.parametrize("name", ["b.jpg", "b.bmp", "deep/er/b.webp"])
def test_pictures_of_any_form_are_framed(tmp_path, gradient, name):
    path = tmp_path / "folder" / name
    path.parent.mkdir(parents=True)
    Image.fromarray(gradient).resize((31, 40)).save(path)
    said = []
    given = read_given(tmp_path / "folder", COLOUR, said.append)
    assert given.split.shape == (3, 6, 8)
    assert given.names == (name,)
    assert said == [f"{tmp_path / 'folder'}: 31x40 -> 8x6, as the model has it, centre crop"]


def test_arrays_are_what_the_data_stores(tmp_path):
    x = np.arange(128, dtype=np.uint8).reshape(2, 8, 8) % 17
    np.savez(tmp_path / "a.npz", x=x, y=np.array([3, 4]))
    given = read_given(tmp_path / "a.npz", DataSpec((1, 8, 8), "image", (-1.0, 1.0), 17, num_classes=10))
    assert given.split.labels.tolist() == [3, 4]
    assert given.names == ("a.npz 0", "a.npz 1")


def write_nothing(folder):
    (folder / "notes.md").write_text("no picture")
    return folder


def write_damaged(folder):
    (folder / "a.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    return folder / "a.png"


def write_fake(folder):
    (folder / "a.png").write_text("text")
    return folder


@pytest.mark.parametrize(
    ("write", "spec", "reason"),
    [
        (write_nothing, GREY, "no pictures in this folder"),
        (write_damaged, GREY, "not a picture that can be read"),
        (write_fake, GREY, "a.png cannot be used (no image by its content)"),
        (write_damaged, DataSpec((2,), "vector"), "pictures, and the model's data is vector data"),
        (lambda folder: folder / "gone.npz", GREY, "no such file or folder"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(tmp_path, write, spec, reason):
    with pytest.raises(DataError) as raised:
        read_given(write(tmp_path), spec)
    assert reason in str(raised.value)
    assert "\n" not in str(raised.value)
