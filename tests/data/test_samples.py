"""Files of samples: what is written is what is read, and everything that is no stored value is refused in one line."""

import io
import os
import struct
import weakref
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from genkit.data.samples import read_samples, spec_of, stream_samples_to, write_samples
from genkit.data.spec import DataSpec
from genkit.errors import DataError

DIGITS = DataSpec((1, 8, 8), "image", (-1.0, 1.0), 17, 10)
COLOUR = DataSpec((3, 4, 5), "image", (-1.0, 1.0), 256)
PLANE = DataSpec((2,), "vector")


def stored(spec: DataSpec, n: int = 6) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    if spec.levels is None:
        return torch.randn(n, *spec.shape, generator=generator)
    return torch.randint(spec.levels, (n, *spec.shape), generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize("spec", [DIGITS, COLOUR, PLANE], ids=lambda spec: str(spec.shape))
@pytest.mark.parametrize("labelled", [True, False])
def test_what_is_written_is_read(spec: DataSpec, labelled: bool, tmp_path: Path) -> None:
    x, y = stored(spec), torch.arange(6) if labelled else None
    write_samples(tmp_path / "samples.npz", spec, x, y)
    back = read_samples(tmp_path / "samples.npz", spec)
    assert back.x.dtype == x.dtype
    assert torch.equal(back.x, x)
    assert (back.y is None) if y is None else torch.equal(back.y, y)
    assert [path.name for path in tmp_path.iterdir()] == ["samples.npz"]


def test_one_batch_at_a_time_is_held(tmp_path: Path) -> None:
    """So a million samples need the memory of ten thousand."""
    held: list[weakref.ref[torch.Tensor]] = []

    def batches() -> Iterator[tuple[torch.Tensor, None]]:
        for _ in range(20):
            batch = torch.zeros(5, 2)
            held.append(weakref.ref(batch))
            yield batch, None
            del batch
            assert sum(ref() is not None for ref in held) <= 1  # what the writer has not let go yet

    stream_samples_to(tmp_path / "samples.npz", PLANE, 100, batches())
    assert len(read_samples(tmp_path / "samples.npz", PLANE)) == 100


def test_images_are_stored_channels_last(tmp_path: Path) -> None:
    x = stored(COLOUR)
    write_samples(tmp_path / "a.npz", COLOUR, x)
    with np.load(tmp_path / "a.npz") as file:
        assert file["x"].shape == (6, 4, 5, 3)
        assert (file["x"][2, 1, 3] == x[2, :, 1, 3].numpy()).all()


def test_other_forms_are_read(tmp_path: Path) -> None:
    x = stored(COLOUR)
    last = x.movedim(1, -1).numpy()
    np.savez(tmp_path / "adm.npz", last)  # the key becomes arr_0
    np.save(tmp_path / "plain.npy", last.astype(np.int64))
    (tmp_path / "folder").mkdir()
    for i, image in enumerate(last):
        Image.fromarray(image).save(tmp_path / "folder" / f"{i:03d}.png")
    for name in ("adm.npz", "plain.npy", "folder"):
        assert torch.equal(read_samples(tmp_path / name, COLOUR).x, x), name
        assert torch.equal(read_samples(str(tmp_path / name)).x, x), name


def test_grey_images_have_one_channel(tmp_path: Path) -> None:
    x = stored(DIGITS)
    for i, image in enumerate(x[:, 0].numpy()):
        Image.fromarray(image).save(tmp_path / f"{i}.png")
    assert torch.equal(read_samples(tmp_path, DIGITS).x, x)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int32])
def test_vectors_keep_their_precision(dtype: type, tmp_path: Path) -> None:
    values = np.arange(8, dtype=dtype).reshape(4, 2) + (dtype(0.5) if np.issubdtype(dtype, np.floating) else 0)
    np.savez(tmp_path / "v.npz", x=values)
    samples = read_samples(tmp_path / "v.npz")
    assert samples.x.dtype == (torch.float32 if dtype in (np.float16, np.float32) else torch.float64)
    assert (samples.x.numpy() == values).all()
    assert spec_of(samples) == PLANE


def test_a_file_without_a_spec_says_what_it_is(tmp_path: Path) -> None:
    np.savez(tmp_path / "c.npz", x=stored(COLOUR).movedim(1, -1).numpy())
    assert spec_of(read_samples(tmp_path / "c.npz")) == COLOUR


ones = np.ones((3, 8, 8, 1))
WRONG = {
    "level": (DIGITS, {"x": (17 * ones).astype(np.uint8)}, "a value of 17; store integers v in 0 … 16"),
    "negative": (DIGITS, {"x": (-ones).astype(np.int16)}, "a value of -1; store integers v in 0 … 16"),
    "unit range": (DIGITS, {"x": 0.5 * ones}, r"real values in \[0.5, 0.5\], perhaps scaled; store integers v"),
    "binary reals": (DIGITS, {"x": ones}, "perhaps scaled; store integers"),
    "symmetric range": (DIGITS, {"x": -0.5 * ones}, "perhaps scaled; store integers"),
    "fractions": (DIGITS, {"x": 3.3 * ones}, "perhaps scaled; store integers"),
    "no channel": (DIGITS, {"x": ones[..., 0]}, r"shape \(3, 8, 8\); this data is stored as \(n, 8, 8, 1\)"),
    "size": (DIGITS, {"x": np.ones((3, 7, 7, 1), np.uint8)}, r"this data is stored as \(n, 8, 8, 1\)"),
    "channels first": (COLOUR, {"x": np.ones((3, 3, 4, 5), np.uint8)}, r"stored as \(n, 4, 5, 3\)"),
    "dimension": (PLANE, {"x": np.ones((3, 4))}, r"stored as \(n, 2\)"),
    "empty": (PLANE, {"x": np.ones((0, 2))}, "n ≥ 1"),
    "not finite": (PLANE, {"x": np.array([[1.0, 2.0], [3.0, np.nan]])}, "sample 1 has a value that is not finite"),
    "beyond float32": (PLANE, {"x": np.array([[1.0, 2.0], [3.0, -1e39]])}, r"sample 1 .* 1e\+39; store values within"),
    "complex": (PLANE, {"x": np.ones((3, 2), complex)}, "type complex128"),
    "objects": (PLANE, {"x": np.array([[1, 2]], dtype=object)}, "without pickled objects"),
    "key": (PLANE, {"samples": np.ones((3, 2))}, "it has the arrays samples; the samples must be called x"),
    "label count": (DIGITS, {"x": ones.astype(np.uint8), "y": np.arange(2)}, r"store \(3,\) integers"),
    "label range": (DIGITS, {"x": ones.astype(np.uint8), "y": np.array([1, 2, 10])}, "labels from 1 to 10; .* 0 … 9"),
    "rank": (None, {"x": np.ones((3, 4, 5))}, r"samples are \(n, H, W, C\) for images or \(n, D\)"),
    "scaled images": (None, {"x": np.full((3, 4, 5, 3), 0.25)}, "perhaps scaled; store integers v in 0 … 255"),
}


@pytest.mark.parametrize(("spec", "arrays", "message"), WRONG.values(), ids=WRONG.keys())
def test_what_is_no_stored_value_is_refused(spec: DataSpec | None, arrays: dict, message: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(DataError, match=message) as caught:
        read_samples(tmp_path / "bad.npz", spec)
    assert "bad.npz" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("no array")
    (tmp_path / "cut.npz").write_bytes(b"PK\x03\x04 cut off")
    (tmp_path / "empty").mkdir()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "0.png").write_text("no image")
    (tmp_path / "lossy").mkdir()
    (tmp_path / "lossy" / "0.JPG").write_text("any")
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside" / "0.png").write_bytes(picture("L"))
    (tmp_path / "beside" / "1.jpeg").write_bytes(picture("L", "JPEG"))
    (tmp_path / "another").mkdir()
    (tmp_path / "another" / "0.png").write_bytes(picture("L"))
    (tmp_path / "another" / "1.bmp").write_bytes(picture("L", "BMP"))
    (tmp_path / "single.png").write_bytes(picture("L"))
    (tmp_path / "single.jpg").write_bytes(picture("L", "JPEG"))
    for name, message in {
        "absent.npz": "no such file",
        "text.npz": "not a readable",
        "cut.npz": "not a readable",
        "empty": "no .png files",
        "lossy": "0.JPG is JPEG, which changes pixels: write PNG",
        "beside": "1.jpeg is JPEG, which changes pixels: write PNG",
        "another": "1.bmp is no PNG: write PNG",
        "single.png": "one image; give a folder",
        "single.jpg": "one image; give a folder",
        "folder": "0.png: not a readable PNG",
    }.items():
        with pytest.raises(DataError, match=message):
            read_samples(tmp_path / name, PLANE)


def test_the_case_of_a_suffix_plays_no_part(tmp_path: Path) -> None:
    for name in ("0.png", "1.PNG"):
        (tmp_path / name).write_bytes(picture("L"))
    assert len(read_samples(tmp_path)) == 2


def test_images_of_one_folder_have_one_size(tmp_path: Path) -> None:
    for i in (4, 5):
        Image.fromarray(np.zeros((i, i), np.uint8)).save(tmp_path / f"{i}.png")
    with pytest.raises(DataError, match=r"5\.png: its shape differs from that of 4\.png"):
        read_samples(tmp_path)


def png(width: int, height: int) -> bytes:
    """A PNG that says how large it is, and nothing else."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = (struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in (header, b"IDAT", b"IEND"))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def picture(mode: str, form: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.new(mode, (4, 4)).save(file, form)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a readable PNG"),
        (png(4, 4), "not a readable PNG"),
        (picture("L")[:-30], "not a readable PNG"),
        (picture("L", "JPEG"), "not a readable PNG"),
        (picture("CMYK", "TIFF"), "not a readable PNG"),
        (png(30_000, 30_000), "more than 89,478,485 pixels"),
        (png(12_000, 12_000), "more than 89,478,485 pixels"),
        *((picture(mode), f"a PNG of mode {mode}") for mode in ("P", "1", "LA", "RGBA", "I;16")),
        (os.mkfifo, "no regular file"),
        (os.mkdir, "no regular file"),
        (lambda path: os.symlink("nowhere", path), "no regular file"),
        (lambda path: os.symlink(path, path), "no regular file"),
    ],
)
def test_odd_images_are_refused_by_name(
    content: bytes | Callable[[Path], None], message: str, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    path = tmp_path / "odd\n.png"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        content(path)
    with pytest.raises(DataError, match=rf"^[^\n]*odd\\n\.png[^\n]*{message}[^\n]*$"):
        read_samples(tmp_path)
    assert not len(recwarn)


def test_hidden_files_are_no_samples(tmp_path: Path) -> None:
    for name in ("a.png", "._a.png"):
        (tmp_path / name).write_bytes(picture("L"))
    assert len(read_samples(tmp_path)) == 1


def test_an_array_that_is_declared_too_large_is_the_fault_of_its_file(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive, archive.open("x.npy", "w") as entry:
        description = {"descr": "|u1", "fortran_order": False, "shape": (2**40, 64, 64, 1)}
        np.lib.format.write_array_header_1_0(entry, description)
    with pytest.raises(DataError, match=r"a\.npz: declares an array that the memory cannot hold"):
        read_samples(tmp_path / "a.npz")
