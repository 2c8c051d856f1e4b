"""`genkit doctor`: broken packages, plugins and folders are found by name, each with its repair."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_cases import genkit

from genkit.commands import doctor
from genkit.storage import disk

ROOT = Path(doctor.__file__).parents[2]
TORCHVISION = "raise RuntimeError('operator torchvision::nms does not exist\\nand more')\n"


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of packages that the probing process finds first."""
    folder = tmp_path / "packages"
    folder.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return folder


def package(folder: Path, name: str, text: str) -> None:
    path = folder.joinpath(*name.split(".")).with_suffix(".py")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_broken_torchvision_and_a_package_that_is_not_there(outside: Path) -> None:
    package(outside, "torchvision", TORCHVISION)
    vision, missing = doctor.imports(("torchvision", "nothing_of_that_name"))
    assert vision.state == missing.state == "broken"
    assert vision.line == "torchvision: RuntimeError: operator torchvision::nms does not exist"
    assert "pip uninstall torchvision" in vision.repair
    assert missing.repair == "pip install nothing_of_that_name"
    assert {doctor._distribution(name) for name in doctor.HEAVY} == {
        "numpy", "torch", "torchvision", "torchmetrics", "lightning", "hydra-core", "scikit-learn", "matplotlib",
    }  # fmt: skip
    assert [finding.state for finding in doctor.imports(("torchvisio",))] == ["broken"]


def test_what_fails_because_another_package_does_is_told_so(outside: Path) -> None:
    package(outside, "torchvision", TORCHVISION)
    package(outside, "torchmetrics", "import torchvision")
    vision, metrics = doctor.imports(("torchvision", "torchmetrics"))
    assert "pip uninstall torchvision" in vision.repair
    assert metrics.repair == "it fails as torchvision does: repair that first"


BREAKS_LATER = """
from hydra.plugins.search_path_plugin import SearchPathPlugin

class Breaks(SearchPathPlugin):
    def manipulate_search_path(self, search_path):
        raise RuntimeError("no path for you")
"""


def test_a_hydra_plugin_that_breaks_when_it_is_used(outside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(outside), str(ROOT))))
    (finding,) = doctor.composing()
    assert finding.state == "ok"
    package(outside, "hydra_plugins.breaks", BREAKS_LATER)
    monkeypatch.setattr(sys, "path", [*sys.path, str(outside)])
    (finding,) = doctor.composing()
    assert (finding.state, "no path for you" in finding.line) == ("broken", True)
    assert finding.repair.endswith("pip uninstall the package with hydra_plugins.breaks")


def test_a_command_points_to_the_doctor_where_an_import_fails(outside: Path) -> None:
    """In a fresh process: this one has imported everything."""
    package(outside, "torch", TORCHVISION)
    command = [sys.executable, "-m", "genkit", "export", "ckpt=nowhere", "out=x"]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert ended.returncode == 1
    assert "torchvision::nms does not exist" in ended.stderr
    assert "`genkit doctor` looks for what is broken here" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_an_import_that_ends_the_process_is_named_and_hides_nothing_before_it(outside: Path) -> None:
    package(outside, "deadly", "import os; os.abort()")
    package(outside, "fine", "__version__ = '1.2'")
    fine, deadly = doctor.imports(("fine", "deadly"))
    assert (fine.state, fine.line) == ("ok", "fine 1.2")
    assert deadly.state == "broken"
    assert "deadly: importing it ends the process (-6)" in deadly.line


def test_a_hydra_plugin_that_breaks_every_command(outside: Path) -> None:
    package(outside, "hydra", "__version__ = '1.3.8'")
    package(outside, "hydra_plugins.good", "")
    package(outside, "hydra_plugins.bad", "import nothing_of_that_name")
    hydra, *plugins = doctor.imports(("hydra",))
    assert hydra.state == "ok"
    bad = {finding.state: finding for finding in plugins}["broken"]
    assert "hydra_plugins.bad: ModuleNotFoundError" in bad.line
    assert "every Hydra command imports it" in bad.repair


@pytest.mark.parametrize(
    ("installed", "said"),
    [
        (None, "thing is not installed"),
        ("1.9", "thing 1.9 is installed, >=2.0 is needed"),
        ("2.1", None),
    ],
)
def test_a_requirement_that_is_not_met(
    monkeypatch: pytest.MonkeyPatch, installed: str | None, said: str | None
) -> None:
    def version(name: str) -> str:
        if installed is None:
            raise doctor.metadata.PackageNotFoundError
        return installed

    monkeypatch.setattr(doctor.metadata, "version", version)
    for line, state in (("thing>=2.0", "broken"), ("thing>=2.0; extra == 'more'", "note")):
        monkeypatch.setattr(doctor.metadata, "requires", lambda name, line=line: [line])
        found = list(doctor.requirements())
        assert [finding.state for finding in found] == ([] if said is None else [state])
        assert said is None or said in found[0].line
        assert said is None or "pip install '" in found[0].repair


def test_folders_that_cannot_be_written_and_full_ones(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(dir: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setenv("GENKIT_CACHE", str(work / "cache"))
    assert {finding.state for finding in doctor.folders()} == {"ok"}
    assert not any(work.iterdir())
    with monkeypatch.context() as patch:
        patch.setattr(doctor, "free_bytes", lambda path: 1000)
        assert {finding.state for finding in doctor.folders()} == {"note"}
    monkeypatch.setattr(doctor.tempfile, "TemporaryFile", refuse)
    found = list(doctor.folders())
    assert [finding.state for finding in found] == ["broken", "broken", "note", "note"]
    assert all("cannot write (Permission denied)" in finding.line and finding.repair for finding in found)


def test_data_that_is_not_where_it_is_said_to_be(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (finding,) = doctor.data()
    assert finding.state == "ok"
    monkeypatch.setenv("GENKIT_DATA", str(work / "nowhere"))
    (finding,) = doctor.data()
    assert (finding.state, "nowhere: does not exist" in finding.line) == ("broken", True)


def test_the_exit_code_says_whether_anything_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = doctor.Finding("broken", "this", "that")
    for name in ("requirements", "imports", "composing", "folders", "data"):
        monkeypatch.setattr(doctor, name, lambda: iter(()))
    assert genkit("doctor").code == 0
    monkeypatch.setattr(doctor, "data", lambda: iter([broken]))
    answer = genkit("doctor")
    assert (answer.code, answer.err) == (1, "genkit: error: 1 thing is broken: see the repairs above\n")
    assert "broken  this\n        repair: that\n" in answer.out


def test_it_imports_nothing_that_may_be_broken() -> None:
    code = "import sys, genkit.commands.doctor; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {name.partition(".")[0] for name in doctor.HEAVY} & set(loaded)
    assert disk.__name__.partition(".")[0] in loaded
