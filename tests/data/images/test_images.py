"""Images of the user's: equal arrays from any container, bad files by name and reason, found again by content."""

from __future__ import annotations

import os
import shutil
import tarfile
import zipfile

import numpy as np
import pytest
import torch
from image_cases import (
    BAD,
    CLASSES,
    SIDE,
    class_files,
    encoded,
    messy_folder,
    noise,
    write_folder,
    write_tar,
    write_zip,
)

from genkit.data.counter_stream import ViewStream
from genkit.data.sources.images import Images
from genkit.errors import DataError

FILES = class_files()
NAMES = ("train", "val", "test")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GENKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def fingerprints(data: Images) -> list[str]:
    return [data.split(name).fingerprint for name in NAMES]


def reshuffled(files: dict[str, bytes]) -> dict[str, bytes]:
    return dict(sorted(files.items(), key=lambda item: item[0][::-1], reverse=True))


def inside(files: dict[str, bytes], folder: str) -> dict[str, bytes]:
    return {f"{folder}/{name}": data for name, data in files.items()}


CONTAINERS = {
    "folder": lambda at: write_folder(at / "folder", FILES),
    "stored zip": lambda at: write_zip(at / "a.zip", FILES),
    "deflated zip under another name": lambda at: write_zip(at / "a.dat", reshuffled(FILES), zipfile.ZIP_DEFLATED),
    "zip with one folder around": lambda at: write_zip(at / "b.zip", inside(FILES, "pictures")),
    "tar": lambda at: write_tar(at / "a.tar", inside(FILES, ".")),
    "tar.gz": lambda at: write_tar(at / "a.tar.gz", reshuffled(FILES), "w:gz"),
}


def test_the_same_images_give_the_same_arrays(tmp_path):
    found = {name: fingerprints(Images(str(make(tmp_path)))) for name, make in CONTAINERS.items()}
    assert len({tuple(prints) for prints in found.values()}) == 1, found


def test_arrays_hold_the_pixels_and_the_classes(tmp_path):
    data = Images(str(write_folder(tmp_path / "x", FILES)))
    assert (data.spec.shape, data.spec.levels, data.class_names) == ((3, SIDE, SIDE), 256, CLASSES)
    assert [len(data.split(name)) for name in NAMES] == [16, 2, 2]
    known = {noise(SIDE, SIDE, i).tobytes(): i % 2 for i in range(20)}
    found = [example for name in NAMES for example in data.split(name).chunks(1)]
    assert {chunk.x[0].permute(1, 2, 0).numpy().tobytes(): int(chunk.y[0]) for chunk in found} == known


def test_copies_fall_on_one_side(tmp_path):
    files = {f"{copy}/{name}": data for name, data in FILES.items() for copy in ("a", "b", "c")}
    data = Images(str(write_folder(tmp_path / "x", files)), labels="none")
    sides = [{x.numpy().tobytes() for chunk in data.split(name).chunks(9) for x in chunk.x} for name in NAMES]
    assert [len(side) for side in sides] == [16, 2, 2]
    assert len(sides[0] | sides[1] | sides[2]) == 20
    assert data.prepared.about["duplicates"] == {"within": 40, "between": 0}


def test_split_folders_are_splits(tmp_path):
    parts = {
        "train": class_files(12),
        "test": {f"{CLASSES[i % 2]}/t{i}.png": encoded(noise(SIDE, SIDE, 90 + i)) for i in range(6)},
    }
    files = {f"{part}/{name}": data for part, found in parts.items() for name, data in found.items()}
    data = Images(str(write_folder(tmp_path / "x", files)))
    assert [len(data.split(name)) for name in NAMES] == [11, 1, 6]
    assert data.class_names == CLASSES


def test_classes_that_are_numbers_stand_in_their_order(tmp_path):
    files = {f"{i % 11}/{i}.png": encoded(noise(8, 8, i)) for i in range(22)}
    assert Images(str(write_folder(tmp_path / "x", files))).class_names == tuple(map(str, range(11)))


LABELS = {  # name -> (what the file says, part of the refusal or None)
    "paths": ("file,class\n" + "".join(f"{name},{name[:3]}\n" for name in FILES), None),
    "last parts, quoted": ("file,class\n" + "".join(f'"{name[4:]}", {name[:3]}\n' for name in FILES), None),
    "unknown": ("f,c\n" + "".join(f"{name},{name[:3]}\n" for name in FILES) + "x.png,cat\n", "not among the images"),
    "missing": ("f,c\n" + "".join(f"{name},{name[:3]}\n" for name in list(FILES)[1:]), "1 without a row"),
    "one class": ("f,c\n" + "".join(f"{name},cat\n" for name in FILES), "one class only"),
    "twice": ("f,c\n" + "".join(f"{name},{c}\n" for name in FILES for c in "ab"), "has the labels"),
    "one column": ("file\ncat/000.png\n", "one column"),
    "semicolons": ("file;class\ncat/000.png;cat\n", "one column: .* a comma"),
    "no header": ("".join(f"{name},{name[:3]}\n" for name in FILES), "no header, its first row is of cat/000.png"),
    "no class": (
        "f,c\n" + "".join(f"{name},{name[:3] if i else ' '}\n" for i, name in enumerate(FILES)),
        "no class for",
    ),
    "no text": ("\udcff\udcfe", "no CSV in UTF-8"),
}


@pytest.mark.parametrize("name", LABELS)
def test_labels_from_a_file(tmp_path, name):
    text, refusal = LABELS[name]
    file = tmp_path / "labels.csv"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    root = write_folder(tmp_path / "x", FILES)
    if refusal is None:
        assert fingerprints(Images(str(root), labels=str(file))) == fingerprints(Images(str(root)))
    else:
        with pytest.raises(DataError, match=refusal):
            Images(str(root), labels=str(file))


@pytest.mark.parametrize("spoken_of", [False, True])
def test_a_file_of_labels_may_speak_of_an_image_that_was_left_out(tmp_path, spoken_of):
    (tmp_path / "labels.csv").write_text(LABELS["paths"][0] + "cat/zero.png,cat\n" * spoken_of)
    root = write_folder(tmp_path / "x", {**FILES, "cat/zero.png": b""})
    data = Images(str(root), labels=str(tmp_path / "labels.csv"), max_bad=1)
    assert sum(len(data.split(name)) for name in NAMES) == 20


def test_wrong_labels_are_refused_before_anything_is_decoded(tmp_path, monkeypatch):
    (tmp_path / "labels.csv").write_text(LABELS["missing"][0])
    monkeypatch.setattr("genkit.data.images.collection.decode", None)
    with pytest.raises(DataError, match="1 without a row"):
        Images(str(write_folder(tmp_path / "x", FILES)), labels=str(tmp_path / "labels.csv"))


def test_a_messy_folder_names_each_bad_file_once(tmp_path, capsys):
    bad = messy_folder(tmp_path / "x")
    with pytest.raises(DataError, match=rf"{len(bad)} of 38 images cannot be used .*data\.max_bad={len(bad)}"):
        Images(str(tmp_path / "x"))
    named = [line.split(": ")[1] for line in capsys.readouterr().err.splitlines() if "preparing" not in line]
    assert sorted(named) == sorted(bad)
    data = Images(str(tmp_path / "x"), max_bad=len(bad))
    assert sum(len(data.split(name)) for name in NAMES) == 30
    assert f"{len(bad)} left out" in capsys.readouterr().err.splitlines()[-1]


def link(name: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, "/etc/passwd"
    return info


def tar_with(at, member: tarfile.TarInfo):
    path = write_tar(at / "x.tar", FILES)
    with tarfile.open(path, "a") as archive:
        archive.addfile(member)
    return path


def linked_zip(at):
    path = write_zip(at / "x.zip", FILES)
    info = zipfile.ZipInfo("link.png")
    info.create_system, info.external_attr = 3, 0o120777 << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(info, "/etc/passwd")
    return path


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


DANGEROUS = {
    "zip with ..": lambda at: write_zip(at / "x.zip", {**FILES, "../x.png": b"x"}),
    "zip with an absolute name": lambda at: write_zip(at / "x.zip", {**FILES, "/x.png": b"x"}),
    "zip with a drive": lambda at: write_zip(at / "x.zip", {**FILES, "C:\\x.png": b"x"}),
    "zip with a link": linked_zip,
    "zip that grows": lambda at: write_zip(at / "x.zip", {**FILES, "x.bmp": bytes(2**22)}, zipfile.ZIP_DEFLATED),
    "tar with ..": lambda at: write_tar(at / "x.tar", {**FILES, "a/../../x.png": b"x"}),
    "tar with a symbolic link": lambda at: tar_with(at, link("x.png")),
    "tar with a hard link": lambda at: tar_with(at, link("x.png", tarfile.LNKTYPE)),
    "tar with a device": lambda at: tar_with(at, link("x.png", tarfile.CHRTYPE)),
    "tar with a pipe": lambda at: tar_with(at, link("x.png", tarfile.FIFOTYPE)),
    "tar.gz that grows": lambda at: write_tar(at / "x.tar.gz", {"x.bmp": bytes(2**24), **FILES}, "w:gz"),
}


@pytest.mark.parametrize("name", DANGEROUS)
def test_dangerous_archives_are_refused_whole(tmp_path, name):
    with pytest.raises(DataError, match=r"the member .* (such archives are not read)"):
        Images(str(DANGEROUS[name](tmp_path)))


EMPTY = {
    "no folder": (lambda at: at / "nowhere", "does not exist"),
    "an empty folder": (lambda at: write_folder(at / "x", {".hidden": b""}), "no images in it"),
    "other files": (lambda at: write_folder(at / "x", {"a.txt": b"1", "b.csv": b"2"}), "2 other files"),
    "no archive": (lambda at: write_folder(at, {"x.bin": b"nothing"}) / "x.bin", "neither a folder nor"),
    "half a zip": (lambda at: cut(write_zip(at / "x.zip", FILES)), "damaged"),
    "half a tar.gz": (lambda at: cut(write_tar(at / "x.tgz", FILES, "w:gz")), "damaged"),
    "too few": (lambda at: write_folder(at / "x", class_files(2)), "2 different examples"),
    "one image many times": (
        lambda at: write_folder(at / "x", {f"{i}.png": FILES["cat/000.png"] for i in range(9)}),
        "1 different examples",
    ),
}


@pytest.mark.parametrize("name", EMPTY)
def test_too_little_is_one_line(tmp_path, cache, name):
    make, reason = EMPTY[name]
    with pytest.raises(DataError, match=reason):
        Images(str(make(tmp_path)))
    assert not list((cache / "data").glob("*"))  # nothing half-written stays


ONE_CLASS = {  # name -> (files, what is wrong with them as classes)
    "one folder": ({f"cat/{i}.png": data for i, data in enumerate(FILES.values())}, "one class only, cat"),
    "one folder in each split": (
        {f"{'train' if i else 'test'}/cat/{i}.png": data for i, data in enumerate(FILES.values())},
        "one class only, cat",
    ),
    "no folders": ({f"{i}.png": data for i, data in enumerate(FILES.values())}, "no class folders"),
}


@pytest.mark.parametrize("name", ONE_CLASS)
def test_one_class_is_none(tmp_path, name):
    files, reason = ONE_CLASS[name]
    root = str(write_folder(tmp_path / "x", files))
    assert Images(root).spec.num_classes is None
    with pytest.raises(DataError, match=f"{reason}: put the images of each class into a folder of its own"):
        Images(root, labels="folder")


OTHERS = {  # file -> the source that its refusal names
    "x.npz": "arrays",
    "x.csv": "table",
    "x/train.parquet": "hub",
    "x/y/a.npy": "arrays",
}


@pytest.mark.parametrize("file", OTHERS)
def test_what_another_source_reads_is_said(tmp_path, file):
    data = write_zip(tmp_path / "zip", {"x.npy": b"1"}).read_bytes() if file.endswith("npz") else b"a,b"
    write_folder(tmp_path, {file: data})
    with pytest.raises(DataError, match=f"; data={OTHERS[file]} reads "):
        Images(str(tmp_path / file.split("/")[0]))


def test_class_folders_that_were_asked_for_must_be_there(tmp_path):
    root = write_folder(tmp_path / "x", {**FILES, "loose.png": FILES["cat/000.png"]})
    assert Images(str(root)).spec.num_classes is None
    with pytest.raises(DataError, match="1 images lie outside of class folders"):
        Images(str(root), labels="folder")


def test_sizes_are_chosen_from_the_images_and_said(tmp_path, capsys):
    files = {f"{h}x{w}.png": encoded(noise(h, w, h)) for h, w in ((48, 64), (90, 70), (100, 100), (256, 256), (70, 80))}
    data = Images(str(write_folder(tmp_path / "x", files)))
    assert data.spec.shape == (3, 64, 64)
    assert "5 images, no labels, 64x48 to 256x256 RGB -> 64x64 RGB, centre crop" in capsys.readouterr().err
    wide = {f"{i}.png": encoded(noise(20, 30, i, channels=1)) for i in range(5)}
    assert Images(str(write_folder(tmp_path / "y", wide))).spec.shape == (1, 20, 30)
    assert Images(str(tmp_path / "y"), channels=3, size=(8, 16), crop="none").spec.shape == (3, 8, 16)


def coloured(*modes: str) -> dict[str, bytes]:
    """Six images of these modes by turns."""
    return {f"{i}.png": encoded(noise(SIDE, SIDE + 4, i).convert(modes[i % len(modes)])) for i in range(6)}


FOLDERS = {  # modes of the images -> the shape of what a model sees
    ("L",): (1, SIDE, SIDE + 4),
    ("LA", "L"): (1, SIDE, SIDE + 4),
    ("RGBA",): (3, SIDE, SIDE + 4),
    ("L", "RGB"): (3, SIDE, SIDE + 4),
    ("P", "1", "I;16"): (3, SIDE, SIDE + 4),
}


@pytest.mark.parametrize("modes", FOLDERS, ids="+".join)
def test_a_folder_of_one_kind_or_of_several_has_one_shape(tmp_path, modes):
    data = Images(str(write_folder(tmp_path / "x", coloured(*modes))))
    assert data.spec.shape == data.split("train").take(torch.arange(1)).x[0].shape == FOLDERS[modes]


def test_random_windows_of_a_frame(tmp_path):
    files = {f"{i}.png": encoded(noise(40, 40, i)) for i in range(12)}
    data = Images(str(write_folder(tmp_path / "x", files)), size=16, crop="random", flip=True)
    assert data.random_views
    assert data.spec.shape == data.split("train").shape == (3, 16, 16)
    index = torch.arange(len(data.view_source))
    frames = data.view_source.take(index).x
    assert frames.shape[1:] == (3, 18, 18)
    assert (data.split("train").take(index).x == frames[:, :, 1:17, 1:17]).all()
    views = [data.view(frames, index, ViewStream(0, epoch)) for epoch in range(8)]
    windows = [
        {
            frame[:, top : top + 16, left : left + 16].flip(axes).numpy().tobytes(): (top, left, axes)
            for top in range(3)
            for left in range(3)
            for axes in ((), (2,))
        }
        for frame in frames
    ]
    places = {found[x.numpy().tobytes()] for view in views for x, found in zip(view, windows, strict=True)}
    assert len(places) == 18  # every window, both ways round


def test_prepared_data_is_found_again(tmp_path, capsys):
    root = write_folder(tmp_path / "x", FILES)
    Images(str(root))
    assert "preparing" in capsys.readouterr().err
    Images(str(root))
    shutil.copytree(root, tmp_path / "y")
    Images(str(tmp_path / "y"))
    assert "preparing" not in capsys.readouterr().err


def test_other_bytes_of_the_same_size_and_date_are_noticed(tmp_path):
    root = write_folder(tmp_path / "x", {name: encoded(noise(SIDE, SIDE, i), "BMP") for i, name in enumerate(FILES)})
    old = 10**9
    for name in FILES:
        os.utime(root / name, (old, old))
    before = fingerprints(Images(str(root)))
    assert fingerprints(Images(str(root))) == before
    changed = root / "cat/000.png"
    changed.write_bytes(encoded(noise(SIDE, SIDE, 77), "BMP"))
    os.utime(changed, (old, old))
    assert fingerprints(Images(str(root))) != before


DAMAGES = {
    "a value": lambda folder: flip_byte(folder / "train" / "x.npy"),
    "a label": lambda folder: flip_byte(folder / "test" / "y.npy"),
    "the description": lambda folder: flip_byte(folder / "description.json"),
    "a split is gone": lambda folder: shutil.rmtree(folder / "val"),
    "the splits are exchanged": lambda folder: exchange(folder / "val", folder / "test"),
}


def flip_byte(path):
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)


def exchange(one, other):
    one.rename(one.with_name("tmp"))
    other.rename(one)
    one.with_name("tmp").rename(other)


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_data_is_prepared_again_aloud(tmp_path, cache, capsys, name):
    root = write_folder(tmp_path / "x", FILES)
    before = fingerprints(Images(str(root)))
    (folder,) = (cache / "data").iterdir()
    DAMAGES[name](folder)
    assert fingerprints(Images(str(root))) == before
    assert "it is prepared again" in capsys.readouterr().err


def test_values_do_not_depend_on_what_was_bad(tmp_path):
    """A bad file that is left out changes nothing else."""
    write_folder(tmp_path / "x", FILES)
    write_folder(tmp_path / "y", {**FILES, "cat/zero.png": BAD["zero.png"][0]})
    assert fingerprints(Images(str(tmp_path / "x"))) == fingerprints(Images(str(tmp_path / "y"), max_bad=1))


def test_the_order_is_that_of_contents(tmp_path):
    data = Images(str(write_folder(tmp_path / "x", FILES)))
    names = data.prepared.source_names()
    assert sorted(name for found in names.values() for name in found) == sorted(FILES)
    for split, found in names.items():
        wanted = np.stack([np.asarray(noise(SIDE, SIDE, int(name[4:7]))).transpose(2, 0, 1) for name in found])
        assert (data.split(split).take(torch.arange(len(found))).x.numpy() == wanted).all()
