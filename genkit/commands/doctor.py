"""`genkit doctor`: what is broken in this installation, and how to repair it.

Nothing that may be broken is imported here: the heavy packages and Hydra's plugins are imported by a process of their
own, which says how far it came. Only the standard library is needed to begin with.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from genkit import __version__
from genkit.errors import GenkitError
from genkit.printing import shown
from genkit.storage.disk import free_bytes

USAGE = "genkit doctor"
DISTRIBUTION = "genkit-toolkit"
SECONDS = 300  # for one import
LITTLE = 2**30  # bytes of free disk that are worth a note
HEAVY = ("numpy", "torch", "torchvision", "torchmetrics", "lightning.pytorch", "hydra", "sklearn", "matplotlib")
DISTRIBUTIONS = {"hydra": "hydra-core", "sklearn": "scikit-learn"}  # where pip knows a package by another name
COMPOSE = ("train", "--cfg", "job")

# Imports what it is told to, in that order, and prints a JSON line for each: what is missing, or how it failed.
PROBE = r"""
import importlib, json, pkgutil, sys
from importlib.util import find_spec
names = json.loads(sys.argv[1])
try:
    import hydra_plugins
    found = pkgutil.walk_packages(hydra_plugins.__path__, "hydra_plugins.", onerror=lambda name: None)
    names += [module.name for module in found] if "hydra" in names else []
except ImportError:
    pass
for name in names:
    print(json.dumps({"name": name, "state": "begun"}), flush=True)
    try:
        if find_spec(name.partition(".")[0]) is None:
            state = {"state": "missing"}
        else:
            module = importlib.import_module(name)
            state = {"state": "ok", "version": getattr(module, "__version__", "")}
            if name == "torch":
                state["gpu"] = module.cuda.get_device_name(0) if module.cuda.is_available() else ""
    except BaseException as error:
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        state = {"state": "broken", "said": f"{type(error).__name__}: {said}"}
    print(json.dumps({"name": name, **state}), flush=True)
"""


@dataclass(frozen=True)
class Finding:
    """One line of the report; `repair` says what to do about it."""

    state: Literal["ok", "note", "broken"]
    line: str
    repair: str = ""

    def show(self) -> str:
        return f"{self.state:<7} {self.line}" + (f"\n        repair: {self.repair}" if self.repair else "")


def run(argv: list[str]) -> int:
    """Prints what was looked at; raises GenkitError (1) where something is broken."""
    if {"-h", "--help"} & set(argv):
        print(f"usage: {USAGE}")
        return 0
    broken = 0
    for look in (versions, requirements, imports, composing, folders, data):
        for finding in look():
            print(finding.show(), flush=True)
            broken += finding.state == "broken"
    if broken:
        raise GenkitError(f"{broken} {'thing is' if broken == 1 else 'things are'} broken: see the repairs above")
    return 0


def versions() -> Iterator[Finding]:
    found = ".".join(map(str, sys.version_info[:3]))
    right = sys.version_info >= (3, 11)
    yield Finding(
        "ok" if right else "broken",
        f"genkit {__version__}, Python {found} ({shown(sys.executable)})",
        "" if right else "install Python 3.11 or newer",
    )


def requirements() -> Iterator[Finding]:
    """Requirements in the package's metadata: required packages, and the extras that are not complete."""
    try:
        asked = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        yield Finding("note", f"{DISTRIBUTION} is not installed here: its requirements cannot be checked")
        return
    for line in asked:
        name = re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0]
        extra = re.search(r"extra == ['\"](\w+)['\"]", line)
        fault = _fault(name, line)
        if fault is None or (extra and extra[1] == "dev"):
            continue
        if extra:
            yield Finding("note", f"{fault}: extra {extra[1]}", f"pip install '{DISTRIBUTION}[{extra[1]}]'")
        else:
            yield Finding("broken", fault, f"pip install '{line.partition(';')[0].strip()}'")


def _fault(name: str, requirement: str) -> str | None:
    """Reason why an installed package cannot be used; None where it can."""
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return f"{name} is not installed"
    try:
        from packaging.requirements import Requirement
    except ImportError:
        return None
    asked = Requirement(requirement).specifier
    return None if asked.contains(version, prereleases=True) else f"{name} {version} is installed, {asked} is needed"


def imports(names: tuple[str, ...] = HEAVY) -> Iterator[Finding]:
    """Every heavy package and every Hydra plugin, imported by another process; one that dies is named too."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps(names)], capture_output=True, text=True, timeout=SECONDS * len(names)
    )
    records = {record["name"]: record for record in map(json.loads, done.stdout.splitlines())}
    for name, record in records.items():
        yield _finding(name, record, done.returncode, records)


def _finding(name: str, record: dict[str, str], code: int, records: dict[str, dict[str, str]]) -> Finding:
    match record["state"]:
        case "ok":
            gpu = f", {record['gpu']}" if record.get("gpu") else ", no GPU" if name == "torch" else ""
            return Finding("ok", f"{name} {record['version']}{gpu}".strip())
        case "missing" if name == "torchvision":
            return Finding("ok", "torchvision is not installed, and not needed")
        case "missing":
            return Finding("broken", f"{name} is not installed", f"pip install {_distribution(name)}")
        case "begun":
            repair = f"pip install --force-reinstall {_distribution(name)}"
            return Finding("broken", f"{name}: importing it ends the process ({code})", repair)
    torch = records.get("torch", {}).get("version", "")
    before = next(earlier for earlier, other in records.items() if other.get("said") == record["said"])
    if before != name:
        repair = f"it fails as {before} does: repair that first"
    elif name == "torchvision":
        repair = f"pip uninstall torchvision, or install the one made for torch {torch}: lightning imports it"
    elif name.startswith("hydra_plugins."):
        repair = f"every Hydra command imports it: pip uninstall {_owner(name)}"
    else:
        repair = f"pip install --force-reinstall {_distribution(name)}"
    return Finding("broken", f"{name}: {record['said']}", repair)


def _distribution(name: str) -> str:
    """The name of a package for pip."""
    package = name.partition(".")[0]
    return DISTRIBUTIONS.get(package, package)


def composing() -> Iterator[Finding]:
    """A plugin that can be imported may still break every command: one composes a configuration."""
    done = subprocess.run([sys.executable, "-m", "genkit", *COMPOSE], capture_output=True, text=True, timeout=SECONDS)
    what = f"genkit {' '.join(COMPOSE)}"
    if done.returncode == 0:
        yield Finding("ok", f"{what} composes a configuration")
        return
    said = (done.stderr.strip() or f"ends with {done.returncode}").splitlines()[-1].removeprefix("genkit: ")
    said = re.sub(r" \((`genkit doctor`|debug=true)[^()]*\)$", "", said)
    plugins = sorted({_owner(f"hydra_plugins.{name}") for name in _plugins()})
    otherwise = f"pip uninstall {' '.join(plugins)}" if plugins else "report this as a bug"
    repair = f"repair what is broken above; where nothing is, {otherwise}"
    yield Finding("broken", f"{what}: {said}", repair)


def _plugins() -> Iterator[str]:
    """The names of the installed packages of Hydra plugins."""
    for place in sys.path:
        folder = Path(place, "hydra_plugins")
        if folder.is_dir():
            yield from (entry.stem for entry in folder.iterdir() if not entry.name.startswith("_"))


def _owner(module: str) -> str:
    """The distribution that a plugin's module came with, else the module's name."""
    part = module.split(".")[1]
    for distribution in metadata.distributions():
        if any(path.parts[:2] == ("hydra_plugins", part) for path in distribution.files or []):
            return str(distribution.metadata["Name"])
    return f"the package with {module}"


def folders() -> Iterator[Finding]:
    """Folders that genkit and its libraries write to."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    own = Path(os.environ.get("GENKIT_CACHE") or caches / "genkit")
    config = Path(os.environ.get("MPLCONFIGDIR") or caches / "matplotlib")
    outputs = Path("outputs") if Path("outputs").is_dir() else Path(".")
    yield _folder("output folder", outputs.absolute(), "work in another folder, or give run_dir= and out=")
    yield _folder("temporary folder", Path(tempfile.gettempdir()), "set TMPDIR to a folder that you may write")
    yield _folder("genkit's cache", own, "set GENKIT_CACHE to a folder that you may write", needed=False)
    yield _folder("matplotlib's cache", config, "set MPLCONFIGDIR to a folder that you may write", needed=False)


def _folder(what: str, folder: Path, repair: str, needed: bool = True) -> Finding:
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    try:
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(b"x")
            file.flush()
    except OSError as error:
        state: Literal["broken", "note"] = "broken" if needed else "note"
        return Finding(state, f"{what} {shown(folder)}: cannot write ({error.strerror})", repair)
    free = free_bytes(there)
    short = free < LITTLE
    return Finding(
        "note" if short else "ok",
        f"{what} {shown(folder)}: writable, {free / 2**30:.1f} GiB free",
        "make room" if short else "",
    )


def data() -> Iterator[Finding]:
    root = os.environ.get("GENKIT_DATA")
    if root is None:
        yield Finding("ok", "GENKIT_DATA is not set: give data.root= for data that genkit does not include")
    elif Path(root).exists():
        yield Finding("ok", f"GENKIT_DATA {shown(root)}")
    else:
        yield Finding("broken", f"GENKIT_DATA {shown(root)}: does not exist", "set it to the folder of your data")
