"""Image benchmarks from tiny files of every published form: the same splits and labels, or one line."""

from __future__ import annotations

import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import published_cases as cases
import pytest
import torch

from genkit.data.prepared_images import PreparedImages
from genkit.data.published.plain_pickle import plain_dictionary
from genkit.data.sources import cifar100, fashion_mnist, kmnist
from genkit.data.sources.cifar10 import CIFAR10, CLASSES
from genkit.data.sources.cifar100 import CIFAR100, COARSE, FINE
from genkit.data.sources.fashion_mnist import FashionMNIST
from genkit.data.sources.kmnist import KMNIST
from genkit.data.sources.svhn import SVHN
from genkit.errors import DataError

Make = Callable[[Path], PreparedImages]


def cifar10(at: Path, files: cases.Files) -> PreparedImages:
    return CIFAR10(str(cases.put(at, files)))


def no_root(make: Callable[[], PreparedImages], at: Path, files: cases.Files) -> PreparedImages:
    """Files that are found in $GENKIT_DATA."""
    cases.put(at, files)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENKIT_DATA", str(at))
        return make()


def below(folder: str, files: cases.Files) -> cases.Files:
    return {f"{folder}/{name}": data for name, data in files.items()}


BATCHES, PICKLES = cases.cifar10_binary(), cases.cifar10_python2()
CIFAR100_FILES, IDX, MATLAB = cases.cifar100_binary(), cases.idx_files(), cases.svhn_matlab()
CIFAR10_FORMS: dict[str, Make] = {
    "binary": lambda at: cifar10(at, BATCHES),
    "binary, one of the files": lambda at: CIFAR10(str(cases.put(at, BATCHES) / "data_batch_3.bin")),
    "binary, in its folder": lambda at: cifar10(at, below("cifar-10-batches-bin", BATCHES)),
    "binary, .tar.gz": lambda at: CIFAR10(
        str(cases.put_tar(at / "cifar-10-binary.tar.gz", BATCHES, "cifar-10-batches-bin/"))
    ),
    "binary, .zip": lambda at: CIFAR10(str(cases.put_zip(at / "x.zip", BATCHES))),
    "a .tar.gz in $GENKIT_DATA": lambda at: no_root(
        CIFAR10, at, {"cifar-10-python.tar.gz": cases.put_tar(at / "x", PICKLES, "cifar-10-batches-py/").read_bytes()}
    ),
    "Python 2": lambda at: cifar10(at, below("cifar-10-batches-py", PICKLES)),
    **{f"pickle {n}": lambda at, n=n: cifar10(at, cases.cifar10_pickled(n)) for n in (2, 4, 5)},
    "pickle 5, columns first": lambda at: cifar10(at, cases.cifar10_pickled(5, "F")),
    "pickle 4, columns first": lambda at: cifar10(at, cases.cifar10_pickled(4, "F")),
    "npz": lambda at: cifar10(at, cases.whole_npz("cifar10.npz", cases.CIFAR10)),
    "npz of another name": lambda at: CIFAR10(str(cases.put(at, cases.whole_npz("x.npz", cases.CIFAR10)) / "x.npz")),
    "pictures": lambda at: cifar10(at, cases.pictures(cases.CIFAR10, CLASSES.__getitem__)),
    "pictures by number": lambda at: cifar10(at, below("cifar10", cases.pictures(cases.CIFAR10, str))),
    "pictures, .zip": lambda at: CIFAR10(
        str(cases.put_zip(at / "x.zip", cases.pictures(cases.CIFAR10, CLASSES.__getitem__)))
    ),
}
CIFAR100_FORMS: dict[str, Make] = {
    "binary": lambda at: CIFAR100(str(cases.put(at, CIFAR100_FILES))),
    "binary, .tar.gz": lambda at: CIFAR100(str(cases.put_tar(at / "x.tgz", CIFAR100_FILES, "cifar-100-binary/"))),
    "Python 2": lambda at: no_root(CIFAR100, at, below("cifar-100-python", cases.cifar100_python2())),
    "pictures": lambda at: CIFAR100(str(cases.put(at, cases.pictures(cases.CIFAR100, FINE.__getitem__)))),
}
FASHION_FORMS: dict[str, Make] = {
    "idx.gz": lambda at: no_root(FashionMNIST, at, below("fashion_mnist", IDX)),
    "idx": lambda at: FashionMNIST(str(cases.put(at, cases.idx_files(packed=False)))),
    "dotted idx": lambda at: FashionMNIST(str(cases.put(at, cases.idx_files(packed=False, dot=".")))),
    "one of the files": lambda at: FashionMNIST(str(cases.put(at, IDX) / "t10k-labels-idx1-ubyte.gz")),
    "zip": lambda at: FashionMNIST(str(cases.put_zip(at / "x.zip", IDX, "archive/"))),
    "npz": lambda at: FashionMNIST(str(cases.put(at, cases.whole_npz("fashion_mnist.npz", cases.GREY)))),
    "pictures by number": lambda at: FashionMNIST(str(cases.put(at, cases.pictures(cases.GREY, str)))),
}
KMNIST_FORMS: dict[str, Make] = {
    "idx.gz": lambda at: KMNIST(str(cases.put(at, below("kmnist", IDX)))),
    "four npz": lambda at: KMNIST(str(cases.put(at, cases.kmnist_npz()))),
    "zip": lambda at: KMNIST(str(cases.put_zip(at / "x.zip", cases.kmnist_npz()))),
    "npz": lambda at: KMNIST(str(cases.put(at, cases.whole_npz("kmnist.npz", cases.GREY)))),
    "pictures": lambda at: KMNIST(str(cases.put(at, cases.pictures(cases.GREY, kmnist.CLASSES.__getitem__)))),
}
SVHN_FORMS: dict[str, Make] = {
    "matlab": lambda at: SVHN(str(cases.put(at, MATLAB))),
    "matlab, .zip": lambda at: SVHN(str(cases.put_zip(at / "x.zip", MATLAB))),
    "in $GENKIT_DATA": lambda at: no_root(SVHN, at, below("svhn", MATLAB)),
    "pictures": lambda at: SVHN(str(cases.put(at, cases.pictures(cases.SVHN, str)))),
}
SETS = {
    "cifar10": (CIFAR10_FORMS, cases.CIFAR10, CLASSES),
    "cifar100": (CIFAR100_FORMS, cases.CIFAR100, FINE),
    "fashion_mnist": (FASHION_FORMS, cases.GREY, fashion_mnist.CLASSES),
    "kmnist": (KMNIST_FORMS, cases.GREY, kmnist.CLASSES),
    "svhn": (SVHN_FORMS, cases.SVHN, tuple("0123456789")),
}


@pytest.mark.parametrize(("name", "form"), [(name, form) for name, (forms, _, _) in SETS.items() for form in forms])
def test_every_form_has_the_published_images_labels_and_test_split(tmp_path: Path, name: str, form: str) -> None:
    forms, known, classes = SETS[name]
    data = forms[form](tmp_path)
    height, width, channels = known.x.shape[1:]
    assert data.spec.shape == (channels, height, width)
    assert data.class_names == tuple(classes)
    assert data.spec.num_classes == len(classes)
    assert [len(data.split(split)) for split in ("train", "val", "test")] == [36, 4, 10]
    for published, splits in (("train", ("train", "val")), ("test", ("test",))):
        x, y, _ = known.split(published)
        wanted = {image.transpose(2, 0, 1).tobytes(): label for image, label in zip(x, y.tolist(), strict=True)}
        examples = [data.split(split).take(torch.arange(len(data.split(split)))) for split in splits]
        found = {
            image.numpy().tobytes(): int(label)
            for part in examples
            for image, label in zip(part.x, part.y, strict=True)
        }
        assert found == wanted


@pytest.mark.parametrize("files", [CIFAR100_FILES, cases.cifar100_python2()], ids=["binary", "Python 2"])
def test_coarse_labels_of_cifar100(tmp_path: Path, files: cases.Files) -> None:
    data = CIFAR100(str(cases.put(tmp_path, files)), "coarse")
    assert data.class_names == COARSE
    test = data.split("test").take(torch.arange(10))
    known = (x.transpose(2, 0, 1).tobytes() for x in cases.CIFAR100.x)
    wanted = dict(zip(known, cases.CIFAR100.coarse.tolist(), strict=True))
    assert [int(y) for y in test.y] == [wanted[x.numpy().tobytes()] for x in test.x]


def test_class_names_are_in_published_order() -> None:
    """Of CIFAR-100 that is the alphabet's, of both labels."""
    assert (len(FINE), FINE[0], FINE[-1]) == (100, "apple", "worm")
    assert (len(COARSE), COARSE[9]) == (20, "large_man-made_outdoor_things")
    assert [list(FINE), list(COARSE)] == [sorted(FINE), sorted(COARSE)]


class Attack:
    """Unpickled as usual, it would leave a mark."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, (str(self.mark),))


HOSTILE = {  # what a pickle may try, with {mark} a folder that it would make
    "a function of os": b"cposix\nmkdir\n(V{mark}\ntR.",
    "a builtin": b"cbuiltins\neval\n(V__import__('os').mkdir('{mark}')\ntR.",
    "a class as an instance": b"(V{mark}\niposix\nmkdir\n.",
    "numpy's loader": b"cnumpy\nload\n(V{mark}\ntR.",
    "a name inside of an allowed one": b"\x80\x04\x8c\x05numpy\x8c\x12ndarray.__reduce__\x93.",
    "an attribute of a stand-in": b"cnumpy\nndarray\n}(V__call__\nV{mark}\nu\x86b.",
    "a registered extension": b"\x82\x01.",
    "a reference outside": b"Pfile\n.",
    "an array of objects": b"cnumpy\ndtype\n(VO8\nI0\nI1\ntR.",
}


@pytest.mark.parametrize("attack", HOSTILE)
def test_a_pickle_is_never_run(tmp_path: Path, attack: str) -> None:
    mark = tmp_path / "mark"
    with pytest.raises(DataError, match="pickle") as refusal:
        plain_dictionary(HOSTILE[attack].replace(b"{mark}", str(mark).encode()), "data_batch_1")
    assert not mark.exists()
    assert "\n" not in str(refusal.value)


def test_a_hostile_file_among_the_others_is_one_line_and_nothing_is_run(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    with pytest.raises(DataError, match=r"data_batch_2: a pickle that holds or calls more .*posix\.mkdir"):
        cifar10(tmp_path / "x", PICKLES | {"data_batch_2": pickle.dumps({"data": Attack(mark)})})
    assert not mark.exists()
    pickle.loads(pickle.dumps(Attack(mark)))  # it would have left one
    assert mark.exists()


def test_a_few_bytes_cannot_ask_for_memory() -> None:
    """A memo of four billion entries, bytes that are not there, and one text encoded again and again."""
    text = b"X" + struct.pack("<i", 1000) + b"a" * 1000
    again = b"c_codecs\nencode\nq\0" + text + b"Vlatin1\n\x86q\1R(" + 9 * b"h\0h\1R" + b"t."
    for data in (b"\x80\x02Nr\xff\xff\xff\xff.", b"\x80\x05\x96" + b"\xff\xff\xff\xff\x0f\0\0\0.", again):
        with pytest.raises(DataError, match="pickle"):
            plain_dictionary(data, "x")


def changed(files: cases.Files, name: str, data: bytes | None) -> cases.Files:
    return {key: data if key == name else value for key, value in files.items() if key != name or data is not None}  # type: ignore[misc]


def cut(files: cases.Files, name: str) -> cases.Files:
    return changed(files, name, files[name][: len(files[name]) // 2 + 7])


def pickled(labels: list[int]) -> bytes:
    return cases.python2_pickle(cases.CIFAR10.x[:2], {"labels": labels})


PLAIN_IDX, NPZ = cases.idx_files(packed=False), cases.kmnist_npz()
LOOSE = {f"{i}.png": data for i, data in enumerate(cases.pictures(cases.CIFAR10, str).values())}
FINE_PICTURES = cases.pictures(cases.CIFAR100, FINE.__getitem__)
HALF = cases.idx(np.zeros((10, 9, 9)))
WRONG: dict[str, tuple[Callable[[str], PreparedImages], cases.Files, str]] = {
    "a batch is missing": (CIFAR10, changed(BATCHES, "data_batch_4.bin", None), r"lacks data_batch_4\.bin"),
    "a batch is cut": (CIFAR10, cut(BATCHES, "test_batch.bin"), r"test_batch\.bin: .* no records"),
    "a batch is empty": (CIFAR10, changed(BATCHES, "test_batch.bin", b""), "no records"),
    "a label too large": (
        CIFAR10,
        changed(BATCHES, "test_batch.bin", b"\x0a" + bytes(3072)),
        "labels from 10 to 10 for 10 classes",
    ),
    "a pickle is cut": (CIFAR10, cut(PICKLES, "data_batch_1"), "data_batch_1: a damaged pickle"),
    "a pickle of other labels": (CIFAR10, changed(PICKLES, "test_batch", pickled([1, 11])), "labels from 1 to 11"),
    "a pickle of few labels": (CIFAR10, changed(PICKLES, "test_batch", pickled([1])), "1 labels for 2 images"),
    "a pickle of a list": (CIFAR10, changed(PICKLES, "test_batch", pickle.dumps([1, 2])), "something else"),
    "an empty folder": (CIFAR10, {"notes.txt": b"1"}, r"nothing of it in .*cifar-10-binary\.tar\.gz"),
    "pictures in no folders": (CIFAR10, LOOSE, "in no class folders"),
    "damaged pictures": (
        CIFAR10,
        {f"train/{c}/1.png": b"x" for c in CLASSES},
        r"no images in it .* 10 that cannot be read",
    ),
    "cut idx": (FashionMNIST, cut(IDX, "train-images-idx3-ubyte.gz"), "cannot be read"),
    "idx of other sides": (KMNIST, changed(PLAIN_IDX, "t10k-images-idx3-ubyte", HALF), "not uint8"),
    "an idx file is missing": (KMNIST, changed(IDX, "t10k-images-idx3-ubyte.gz", None), "lacks t10k-images-idx3-ubyte"),
    "cut npz": (KMNIST, cut(NPZ, "kmnist-test-imgs.npz"), "not a readable"),
    "npz of other sides": (CIFAR10, cases.whole_npz("cifar10.npz", cases.GREY), r"not uint8 \(n, 32, 32, 3\)"),
    "cut matlab": (SVHN, cut(MATLAB, "train_32x32.mat"), "no readable MATLAB file"),
    "no matlab": (SVHN, changed(MATLAB, "test_32x32.mat", b"hello"), "no readable MATLAB file"),
    "coarse labels of pictures": (
        lambda root: CIFAR100(root, "coarse"),
        FINE_PICTURES,
        "not the classes of data.labels=coarse",
    ),
}
WRONG_FILES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "half an archive": (
        lambda at: cases.put(at, {"x.tgz": cases.put_tar(at / "y", BATCHES).read_bytes()[:9000]}) / "x.tgz",
        "damaged",
    ),
    "an archive of other things": (lambda at: cases.put_zip(at / "x.zip", {"a.txt": b"hello"}), "nothing of it"),
    "no archive": (lambda at: cases.put(at, {"x.bin": b"hello"}) / "x.bin", "neither a folder nor"),
}


def refused(make: Callable[[], object], at: Path, reason: str) -> None:
    with pytest.raises(DataError, match=reason) as refusal:
        make()
    assert "\n" not in str(refusal.value)
    assert not list((at / "cache" / "data").glob("*"))


@pytest.mark.parametrize("name", WRONG)
def test_wrong_files_are_one_line(tmp_path: Path, name: str) -> None:
    source, files, reason = WRONG[name]
    root = cases.put(tmp_path / "x", files)
    refused(lambda: source(str(root)), tmp_path, reason)


@pytest.mark.parametrize("name", WRONG_FILES)
def test_wrong_archives_are_one_line(tmp_path: Path, name: str) -> None:
    make, reason = WRONG_FILES[name]
    root = make(tmp_path)
    refused(lambda: CIFAR10(str(root)), tmp_path, reason)


def test_files_whose_names_say_nothing_need_a_folder_of_their_own(tmp_path: Path) -> None:
    """MNIST, Fashion-MNIST and KMNIST call their files the same."""
    refused(lambda: no_root(FashionMNIST, tmp_path, IDX), tmp_path, "nothing of it in .*a folder fashion_mnist")


def test_an_archive_that_was_prepared_is_not_opened_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = cases.put_tar(tmp_path / "x.tgz", CIFAR100_FILES)
    CIFAR100(str(archive))
    monkeypatch.setattr("genkit.data.published.benchmark.ArchivedFiles", None)
    assert CIFAR100(str(archive)).class_names == cifar100.FINE
