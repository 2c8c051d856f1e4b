"""Commands of both sides on one thread, their CPU seconds, and the environments of other people's tools."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

from peer_matches.match import Peer

RECIPES = Path(__file__).resolve().parents[1] / "peer_recipes"
TORCH = "torch==2.13.0"
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}


def run(words: list[str], log: Path) -> float:
    """CPU seconds of a command. Raises SystemExit where it fails."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with log.open("w") as file:
        code = subprocess.run(words, stdout=file, stderr=subprocess.STDOUT, env=ONE_THREAD).returncode
    if code:
        sys.exit(f"{' '.join(words)}\nended with {code}: {log}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def genkit(*words: str, log: Path) -> float:
    """A command line of genkit."""
    return run([sys.executable, "-m", "genkit", *words], log)


def python_with(packages: tuple[str, ...], out: Path) -> str:
    """The interpreter of an environment with these packages, which is made where it is not there yet."""
    place = out / "environments" / "-".join(packages)
    python = place / "bin" / "python"
    if not (place / "done").exists():
        shutil.rmtree(place, ignore_errors=True)
        place.parent.mkdir(parents=True, exist_ok=True)
        print(f"environment of {', '.join(packages)}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", TORCH, "numpy", *packages], check=True)
        (place / "done").touch()
    return str(python)


def source_of(peer: Peer, out: Path) -> list[str]:
    """The words that tell a recipe where the code of a tool is that is no package; it is cloned where it is not there.

    Raises SystemExit where it cannot be.
    """
    if not peer.source:
        return []
    place = out / "sources" / peer.source.rsplit("/", 1)[1]
    if not place.is_dir():
        place.parent.mkdir(parents=True, exist_ok=True)
        if subprocess.run(["git", "clone", "--quiet", "--depth", "1", peer.source, str(place)]).returncode:
            sys.exit(f"{peer.source} was not cloned: put its files into {place}")
    return ["--source", str(place)]


def recipe(peer: Peer, out: Path) -> list[str]:
    """The beginning of the command line of a peer's recipe."""
    return [python_with(peer.packages, out), str(RECIPES / peer.recipe), *peer.words, *source_of(peer, out)]
