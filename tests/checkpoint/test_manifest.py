"""Damage of every kind is refused with one line: never another exception, never silence."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from checkpoint_cases import save

from genkit.checkpoint.manifest import CONFIG, MANIFEST, MODEL, TRAINING, Entry, Manifest, parse_manifest
from genkit.checkpoint.read import open_checkpoint
from genkit.checkpoint.verify import is_complete, verify_checkpoint
from genkit.errors import CheckpointError

ONE_LINE = r"^[^\n]{20,600}$"
Damage = Callable[[Path], object]


def edits_of(name: str) -> Iterator[tuple[str, Damage]]:
    """Damage of one file: its content cut, flipped, emptied, lengthened, replaced by something else."""

    def rewrite(change: Callable[[bytes], bytes]) -> Damage:
        return lambda folder: (folder / name).write_bytes(change((folder / name).read_bytes()))

    def cut(tenth: int) -> Damage:
        return rewrite(lambda data: data[: len(data) * tenth // 10])

    def flip(tenth: int, bit: int) -> Damage:
        def change(data: bytes) -> bytes:
            place = (len(data) - 1) * tenth // 10
            return data[:place] + bytes([data[place] ^ (1 << bit)]) + data[place + 1 :]

        return rewrite(change)

    def link(folder: Path) -> None:
        outside = folder.parent / "outside"
        (folder / name).rename(outside)
        (folder / name).symlink_to(outside)

    def pipe(folder: Path) -> None:
        (folder / name).unlink()
        os.mkfifo(folder / name)

    def directory(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).mkdir()

    yield from ((f"{name}: cut at {tenth}/10", cut(tenth)) for tenth in range(10))
    yield from ((f"{name}: bit {bit} at {tenth}/10", flip(tenth, bit)) for tenth in range(11) for bit in (0, 2, 6))
    yield f"{name}: zeros", rewrite(lambda data: bytes(len(data)))
    yield f"{name}: longer", rewrite(lambda data: data + b"\n")
    yield f"{name}: text", rewrite(lambda data: b"hello")
    yield f"{name}: deep", rewrite(lambda data: b"[" * 100_000)
    yield f"{name}: missing", lambda folder: (folder / name).unlink()
    yield f"{name}: link", link
    yield f"{name}: pipe", pipe
    yield f"{name}: folder", directory


def swap(one: str, other: str) -> Damage:
    def change(folder: Path) -> None:
        first, second = (folder / one).read_bytes(), (folder / other).read_bytes()
        (folder / one).write_bytes(second)
        (folder / other).write_bytes(first)

    return change


def test_every_damaged_variant_is_refused(run: Path, tmp_path: Path) -> None:
    whole = save(run, 100)
    names = sorted(entry.name for entry in whole.iterdir())
    damages = [damage for name in names for damage in edits_of(name)]
    damages += [(f"{a} for {b}", swap(a, b)) for a in names for b in names if a < b]
    assert len(damages) > 200
    for number, (title, damage) in enumerate(damages):
        folder = tmp_path / str(number) / "step"
        shutil.copytree(whole, folder)
        damage(folder)
        with pytest.raises(CheckpointError, match=ONE_LINE) as refusal:
            open_checkpoint(folder)
        assert str(folder) in str(refusal.value), title
        shutil.rmtree(folder.parent)
    assert open_checkpoint(whole).step == 100


def test_any_edit_of_the_manifest_is_noticed(run: Path) -> None:
    path = save(run, 7) / MANIFEST
    whole = json.loads(path.read_bytes())
    edits = [
        whole | {key: value} for key in whole for value in (None, 3, "x", [], {}, {"a": "b"}) if whole[key] != value
    ]
    edits += [{key: item for key, item in whole.items() if key != gone} for gone in whole]
    edits += [whole | {"more": 1}, whole | {"format_version": True}, whole | {"format_version": 0}, [whole], None, 3]
    texts = [json.dumps(edit, sort_keys=True, indent=1).encode() + b"\n" for edit in edits]
    texts += [json.dumps(whole).encode(), path.read_bytes() + b" ", path.read_bytes().replace(b"\n", b"\r\n")]
    for text in texts:
        with pytest.raises(CheckpointError, match=ONE_LINE):
            parse_manifest(text, path)
    assert parse_manifest(path.read_bytes(), path).step == 7


@pytest.mark.parametrize(
    "name",
    [
        "../secret",
        "/etc/passwd",
        "a/b",
        "",
        ".",
        "..",
        "config.json\0",
        "CONFIG.JSON",
        "weights.bin",
        "manifest.json",
        "ü",
    ],
)
def test_a_manifest_cannot_name_other_files(run: Path, name: str) -> None:
    folder = save(run, 1)
    (run / "checkpoints" / "secret").write_bytes(b"secret")
    manifest = verify_checkpoint(folder)
    entry = Entry(6, hashlib.sha256(b"secret").hexdigest())
    (folder / MANIFEST).write_bytes(replace(manifest, files=manifest.files | {name: entry}).render())
    with pytest.raises(CheckpointError, match="edited or damaged"):
        verify_checkpoint(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"files": {}},
        {"files": {CONFIG: Entry(0, "0" * 64)}},
        {"files": {CONFIG: Entry(-1, "0" * 64), MODEL: Entry(0, "0" * 64)}},
        {"files": {CONFIG: Entry(0, "0" * 63), MODEL: Entry(0, "0" * 64)}},
        {"kind": "export"},  # an export has no training state
        {"kind": "other"},
        {"step": -1},
        {"genkit": "1\x1b[31m"},
        {"aliases": {CONFIG: {}}},
        {"aliases": {MODEL: {"a": 1}}},
        {"aliases": {MODEL: "a"}},
    ],
)
def test_a_well_signed_manifest_must_still_make_sense(run: Path, change: dict[str, object]) -> None:
    folder = save(run, 1)
    (folder / MANIFEST).write_bytes(replace(verify_checkpoint(folder), **change).render())
    with pytest.raises(CheckpointError, match="edited or damaged"):
        verify_checkpoint(folder)


@pytest.mark.parametrize(
    ("writer", "said"), [("9.1.0", "genkit >= 9.1.0"), ("\x1b[31m", "a newer genkit"), (None, "a newer")]
)
def test_a_newer_format_says_what_it_needs(run: Path, writer: str | None, said: str) -> None:
    path = save(run, 1) / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format_version": 999, "genkit": writer}))
    with pytest.raises(CheckpointError, match=rf"^[^\n\x1b]*needs {said}[^\n\x1b]*$"):
        verify_checkpoint(path.parent)


@pytest.mark.parametrize("kind", ["missing", "file", "empty", "foreign", "loop", "null\0name", "long" * 100])
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / kind
    if kind == "file":
        path.write_text("hello")
    elif kind in ("empty", "foreign"):
        path.mkdir()
    elif kind == "loop":
        path.symlink_to(path)
    if kind == "foreign":
        (path / MANIFEST).write_text('{"name": "a web page", "icons": []}')
    with pytest.raises(CheckpointError, match=ONE_LINE):
        open_checkpoint(path)


def test_exit_code_of_a_damaged_checkpoint_is_4() -> None:
    assert CheckpointError.exit_code == 4


def test_a_note_beside_the_files_damages_nothing(run: Path) -> None:
    folder = save(run, 1)
    (folder / "NOTES.txt").write_text("the good one")
    assert open_checkpoint(folder).step == 1


def test_a_checkpoint_may_be_named_through_a_link_but_its_files_may_not(run: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(save(run, 1))
    assert open_checkpoint(tmp_path / "link").step == 1


def test_equal_content_gives_equal_files(run: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    one, other = save(run, 3), save(tmp_path / "other", 3)
    assert {f.name: f.read_bytes() for f in one.iterdir()} == {f.name: f.read_bytes() for f in other.iterdir()}


def test_complete_means_all_files_of_the_right_size(run: Path) -> None:
    folder = save(run, 1)
    assert is_complete(folder)
    whole = (folder / TRAINING).read_bytes()
    for other in (whole[:-1], whole + b" "):
        (folder / TRAINING).write_bytes(other)
        assert not is_complete(folder)
    assert not is_complete(folder / "nowhere")


def test_a_manifest_says_which_genkit_wrote_it() -> None:
    assert json.loads(Manifest("export", 0, {}).render())["genkit"] == Manifest("export", 0, {}).genkit
