"""Files of samples: what is written is what is read, and everything that is no stored value is refused in one line."""

import io
import os
import struct
import tracemalloc
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


def test_int64_without_a_spec_are_tokens_as_many_as_all_files_have(tmp_path: Path) -> None:
    tokens = np.array([[0, 3, 1], [2, 2, 0]])
    np.savez(tmp_path / "a.npz", x=tokens)
    np.savez(tmp_path / "b.npz", x=np.array([[6, 0, 0]]))
    samples = read_samples(tmp_path / "a.npz")
    assert samples.x.dtype == torch.int64
    assert (samples.x.numpy() == tokens).all()
    assert spec_of(samples) == DataSpec((3,), "sequence", levels=4)
    assert spec_of(samples, [tmp_path / "b.npz"]) == DataSpec((3,), "sequence", levels=7)
    np.savez(tmp_path / "c.npz", x=tokens - 1)  # a negative number is no token: these are points
    assert spec_of(read_samples(tmp_path / "c.npz")) == DataSpec((3,), "vector")


def test_tokens_are_written_as_int64_and_read_again(tmp_path: Path) -> None:
    spec, x = DataSpec((5,), "sequence", levels=300), torch.randint(300, (7, 5))
    write_samples(tmp_path / "x.npz", spec, x)
    assert np.load(tmp_path / "x.npz")["x"].dtype == np.int64
    assert torch.equal(read_samples(tmp_path / "x.npz", spec).x, x)
    with pytest.raises(DataError, match="store integers v in 0 … 99"):
        read_samples(tmp_path / "x.npz", DataSpec((5,), "sequence", levels=100))


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
    "flat": (DIGITS, {"x": np.ones((3, 64), np.uint8)}, r"stored as .* n ≥ 1; reshape it to \(n, 8, 8, 1\)"),
    "size": (DIGITS, {"x": np.ones((3, 7, 7, 1), np.uint8)}, r"this data is stored as \(n, 8, 8, 1\)"),
    "rows for columns": (COLOUR, {"x": np.ones((3, 5, 4, 3), np.uint8)}, r"stored as \(n, 4, 5, 3\)"),
    "statistics": (DIGITS, {"mu": np.ones(3), "sigma": np.ones((3, 3))}, "no samples, which are not supported"),
    "no arrays": (DIGITS, {}, "it has no arrays"),
    "halves for labels": (DIGITS, {"x": ones.astype(np.uint8), "y": np.array([0.5, 1, 2])}, r"store \(3,\) integers"),
    "one-hot labels": (DIGITS, {"x": ones.astype(np.uint8), "y": np.eye(3)}, r"labels y of shape \(3, 3\)"),
    "dimension": (PLANE, {"x": np.ones((3, 4))}, r"stored as \(n, 2\)"),
    "empty": (PLANE, {"x": np.ones((0, 2))}, "n ≥ 1"),
    "not finite": (PLANE, {"x": np.array([[1.0, 2.0], [3.0, np.nan]])}, "sample 1 has a value that is not finite"),
    "beyond float32": (PLANE, {"x": np.array([[1.0, 2.0], [3.0, -1e39]])}, r"sample 1 .* 1e\+39; store values within"),
    "complex": (PLANE, {"x": np.ones((3, 2), complex)}, "type complex128"),
    "objects": (PLANE, {"x": np.array([[1, 2]], dtype=object)}, "without pickled objects"),
    "key": (PLANE, {"samples": np.ones((3, 2))}, "it has the arrays samples; the samples must be called x"),
    "label count": (DIGITS, {"x": ones.astype(np.uint8), "y": np.arange(2)}, r"store \(3,\) integers"),
    "label range": (DIGITS, {"x": ones.astype(np.uint8), "y": np.array([1, 2, 10])}, "labels from 1 to 10; .* 0 … 9"),
    "infinite label": (PLANE, {"x": np.ones((2, 2)), "y": np.array([0, np.inf])}, "labels from 0 to inf"),
    "real label beyond int64": (PLANE, {"x": np.ones((2, 2)), "y": np.array([0, 1e30])}, r"labels from 0 to 1e\+30"),
    "label beyond int64": (PLANE, {"x": np.ones((1, 2)), "y": np.array([2**63], np.uint64)}, "give labels in 0 … 922"),
    "rank": (None, {"x": np.ones((3, 4, 5, 1, 1))}, r"samples are \(n, H, W, C\) for images or \(n, D\)"),
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


LABELS = torch.tensor([3, 1, 2, 0, 9, 1])
FORMS = {
    "channels first": {"x": stored(DIGITS).numpy()},
    "no channels": {"x": stored(DIGITS)[:, 0].numpy()},
    "column of labels": {"x": stored(DIGITS).movedim(1, -1).numpy(), "y": LABELS[:, None].numpy()},
    "float labels": {"x": stored(DIGITS).movedim(1, -1).numpy(), "y": LABELS.double().numpy()},
    "adm": {"arr_0": stored(DIGITS).movedim(1, -1).numpy(), "arr_1": LABELS.numpy()},
    "adm with statistics": {"arr_0": stored(DIGITS).movedim(1, -1).numpy(), "mu": np.ones(3), "sigma": np.eye(3)},
    "columns first": {"x": np.asfortranarray(stored(DIGITS).movedim(1, -1).numpy())},
}


@pytest.mark.parametrize("arrays", FORMS.values(), ids=FORMS.keys())
def test_what_leaves_no_doubt_is_taken(arrays: dict[str, np.ndarray], tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    samples = read_samples(tmp_path / "a.npz", DIGITS)
    assert torch.equal(samples.x, stored(DIGITS))
    assert (samples.y is None) == (not {"y", "arr_1"} & set(arrays))
    assert samples.y is None or torch.equal(samples.y, LABELS)
    alone = read_samples(tmp_path / "a.npz")
    assert torch.equal(alone.x, stored(DIGITS))


def test_channels_first_and_vectors_of_one_number_without_a_spec(tmp_path: Path) -> None:
    np.save(tmp_path / "c.npy", stored(COLOUR).numpy())
    assert spec_of(read_samples(tmp_path / "c.npy")) == COLOUR
    np.save(tmp_path / "v.npy", np.arange(5.0))
    assert read_samples(tmp_path / "v.npy").x.shape == (5, 1)


def test_what_genkit_sample_wrote_is_taken_and_a_run_is_not(tmp_path: Path) -> None:
    write_samples(tmp_path / "samples.npz", DIGITS, stored(DIGITS), LABELS)
    (tmp_path / "grid.png").write_bytes(picture("L"))
    with pytest.raises(DataError, match=r"a folder with samples\.npz in it: name .*/samples\.npz itself"):
        read_samples(tmp_path, DIGITS)
    (tmp_path / "samples.json").write_text("{}")
    assert torch.equal(read_samples(tmp_path, DIGITS).x, stored(DIGITS))
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(DataError, match=r"a run, which holds no samples: score it as ckpt="):
        read_samples(tmp_path, DIGITS)


@pytest.mark.parametrize(
    ("places", "message"),
    [
        (["0.png", "more/1.png"], "1 images here and more in the subfolder more: put all of them into one folder"),
        (["0.png", "a/1.JPG", "b/c/2.bmp"], "1 images here and more in the subfolders a, b:"),
        (["0/0.png", "1/0.png", "2/0.png", "3/0.png"], r"the images are in 4 subfolders \(0, 1, 2, …\): "),
    ],
)
def test_images_in_subfolders_are_not_left_out_in_silence(places: list[str], message: str, tmp_path: Path) -> None:
    for place in places:
        (tmp_path / place).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / place).write_bytes(picture("L"))
    with pytest.raises(DataError, match=message):
        read_samples(tmp_path)


def test_subfolders_without_images_do_no_harm(tmp_path: Path) -> None:
    for place in ("0.png", "notes/a.txt", "notes/.thumbs/0.png", ".cache/0.png"):
        (tmp_path / place).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / place).write_bytes(picture("L"))
    assert len(read_samples(tmp_path)) == 1


def header(shape: tuple[int, ...], descr: str = "|u1", version: int = 1) -> bytes:
    file = io.BytesIO()
    write = np.lib.format.write_array_header_1_0 if version == 1 else np.lib.format.write_array_header_2_0
    write(file, {"descr": descr, "fortran_order": False, "shape": shape})
    return file.getvalue()


def archive(content: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytearray:
    """An `.npz` with one member x."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as made:
        made.writestr("x.npy", content)
    return bytearray(file.getvalue())


def changed(content: bytearray, **places: int) -> bytearray:
    """A field of both headers of the one member: 2 bytes at a place after the signature and the versions."""
    for start, shift in ((content.find(b"PK\x03\x04"), 0), (content.find(b"PK\x01\x02"), 2)):
        for name, value in places.items():
            at = start + {"flags": 6, "method": 8}[name] + shift
            content[at : at + 2] = value.to_bytes(2, "little")
    return content


def flipped(content: bytearray) -> bytearray:
    content[content.find(b"x.npy") + 30] ^= 0x55
    return content


GOOD = header((3, 8, 8, 1)) + bytes(i % 16 for i in range(192))
HOSTILE: dict[str, bytes | bytearray] = {
    "encrypted": changed(archive(GOOD), flags=1),
    "unknown method": changed(archive(GOOD), method=99),
    "bzip2": archive(GOOD, zipfile.ZIP_BZIP2),
    "flipped in the stream": flipped(archive(GOOD)),
    "flipped in stored values": flipped(archive(GOOD, zipfile.ZIP_STORED)),
    "empty member": archive(b""),
    "text": archive(b"no array"),
    "fewer values": archive(GOOD[:-1]),
    "more values": archive(GOOD + b"0"),
    "a hole in the shape": archive(header((3, -8, -8, 1)) + bytes(192)),
    "large header": archive(header((3, 8, 8, 1), version=2) + bytes(192)),
    "odd header": archive(b"\x93NUMPY\x01\x00\x06\x00{[(]}\n" + bytes(192)),
    "deep header": archive(b"\x93NUMPY\x01\x00\x10\x27" + b"(" * 10_000),
    "cut": archive(GOOD)[:-30],
    "no archive": b"PK\x03\x04 cut off",
    "an array that is cut": GOOD[:-1],
    "nothing": b"",
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE.keys())
def test_damaged_and_odd_files_are_one_line(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "bad.npz").write_bytes(content)
    with pytest.raises(
        DataError, match=r"bad\.npz: (not a readable|declares|an array of shape|it has no arrays)"
    ) as caught:
        read_samples(tmp_path / "bad.npz", DIGITS)
    assert "\n" not in str(caught.value)


def test_a_giant_of_another_shape_is_refused_unread(tmp_path: Path) -> None:
    """3 GiB of zeros in 3 MB: no more than the header is unpacked."""
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as made, made.open("x.npy", "w") as entry:
        entry.write(header((2**20, 3072)))
        entry.write(bytes(2**20))
    content = (tmp_path / "a.npz").read_bytes()
    tracemalloc.start()
    with pytest.raises(DataError, match=r"declares 3,221,225,472 bytes and has 1,048,576"):
        read_samples(tmp_path / "a.npz", DIGITS)
    sizes = struct.pack("<L", 3 * 2**30 + len(header((2**20, 3072))))
    at = content.find(b"PK\x01\x02") + 24  # the uncompressed size, as the directory has it
    (tmp_path / "a.npz").write_bytes(content[:at] + sizes + content[at + 4 :])
    with pytest.raises(DataError, match=r"cannot decompress to 3,221,225"):
        read_samples(tmp_path / "a.npz", DIGITS)
    np.savez_compressed(tmp_path / "b.npz", x=np.zeros((2**12, 3072), np.uint8))
    with pytest.raises(DataError, match=r"shape \(4096, 3072\); this data is stored as \(n, 8, 8, 1\)"):
        read_samples(tmp_path / "b.npz", DIGITS)
    tracemalloc.reset_peak()
    with pytest.raises(DataError):
        read_samples(tmp_path / "b.npz", DIGITS)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


@pytest.mark.parametrize("name", ["pipe.npz", "pipe.npy"])
def test_a_pipe_is_not_waited_for(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(DataError, match="not a regular file but a pipe"):
        read_samples(tmp_path / name)
    with pytest.raises(DataError, match="no such file"):
        read_samples(tmp_path / ("n" * 300))
