"""Text that installed packages carry: read where it lies, nothing imported, refused in one line where it is missing."""

from __future__ import annotations

import gzip
import importlib
import itertools
from pathlib import Path

import pytest

from genkit.data.sources.peptides import Peptides
from genkit.data.sources.smiles import Smiles
from genkit.data.sources.tunes import Tunes
from genkit.errors import ConfigError, DataError

MOLECULES = ["C" * a + "O" * b for a, b in itertools.product(range(1, 7), repeat=2)]
TUNE = """X: {0}
% of an edition
T: The Tune {0}
M:6/8
Z:Somebody
S: "a book"
K: D
|:AB{1} d2e|f3 d3:|
:: A2
"""
FILES = {
    "moses/dataset/data/train.csv.gz": gzip.compress(("SMILES\n" + "\n".join(MOLECULES)).encode()),
    "modlamp/data/AMPvsUniProt.csv": b"36,1,UniProt,AMP\n"
    + "".join(f"{'GA' * a}{'K' * b}, {a % 2}\n" for a, b in itertools.product(range(1, 7), repeat=2)).encode(),
    "music21/corpus/oneills1850/1.abc": (
        "% a book\n\n" + "\n".join(TUNE.format(i, "c" * i) for i in range(9))
    ).encode(),
    "music21/corpus/airdsAirs/1.abc": "".join(TUNE.format(i, "e" * i) for i in range(9)).encode("latin-1"),
}
SOURCES = {"molsets": Smiles, "modlamp": Peptides, "music21": Tunes}
MODULES = {"molsets": "moses", "modlamp": "modlamp", "music21": "music21"}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which the three packages are installed, before any other; none of them can be imported."""
    monkeypatch.setenv("GENKIT_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "site"
    for name, content in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    for package, module in MODULES.items():
        (root / module / "__init__.py").write_text("raise AssertionError('imported')")
        info = root / f"{package}-1.2.3.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2.3\n")
    monkeypatch.syspath_prepend(str(root))
    importlib.invalidate_caches()
    return root


def texts_of(data: Smiles | Peptides | Tunes) -> set[bytes]:
    found = data.documents.values()
    return {data.kind.documents(part.document(i)[None])[0] for part in found for i in range(len(part))}


def test_molecules_are_the_first_ones_of_the_file(site: Path) -> None:
    assert texts_of(Smiles()) == {molecule.encode() for molecule in MOLECULES}
    assert texts_of(Smiles(molecules=12)) == {molecule.encode() for molecule in MOLECULES[:12]}


def test_peptides_are_those_of_a_label(site: Path) -> None:
    found = {name: texts_of(Peptides(name)) for name in ("antimicrobial", "other", "all")}  # type: ignore[arg-type]
    assert found["antimicrobial"] == {b"GA" * a + b"K" * b for a in (1, 3, 5) for b in range(1, 7)}
    assert found["antimicrobial"] | found["other"] == found["all"]
    assert len(found["all"]) == 36 == 2 * len(found["other"])


@pytest.mark.parametrize(("name", "letter"), [("oneill", "c"), ("aird", "e")])
def test_tunes_keep_what_belongs_to_the_music(site: Path, name: str, letter: str) -> None:
    expected = {f"T:The Tune {i}\nM:6/8\nK:D\n|:AB{letter * i} d2e|f3 d3:|\n:: A2".encode() for i in range(9)}
    assert texts_of(Tunes(name)) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize("package", SOURCES)
def test_what_is_not_installed_is_refused_with_the_command(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", [])
    importlib.invalidate_caches()
    with pytest.raises(ConfigError, match=rf"^data=\w+ reads .* not installed: pip install --no-deps {package}$"):
        SOURCES[package]()


def test_a_version_without_the_file_is_refused(site: Path) -> None:
    (site / "moses/dataset/data/train.csv.gz").unlink()
    with pytest.raises(
        DataError, match=r"^data=smiles: molsets 1\.2\.3 carries no moses/dataset/data/train\.csv\.gz: "
    ):
        Smiles()


def test_a_damaged_file_is_refused(site: Path) -> None:
    path = site / "moses/dataset/data/train.csv.gz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"train\.csv\.gz: .*(damaged|cannot be unpacked|install it again)"):
        Smiles()
