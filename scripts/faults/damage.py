"""Damaged checkpoints: truncated, flipped, emptied, swapped, linked files, edited manifests. None may pass unnoticed.

    python scripts/faults/damage.py --n 300

Each damage is put to `genkit verify`, to `genkit.load`, and to the run that it stands in, which must fall back to the
checkpoint before, aloud; every tenth time all checkpoints are damaged, and the run must be refused.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from faults import Tally, options, run_genkit, train, workplace

import genkit
from genkit.checkpoint.read import find_checkpoint
from genkit.checkpoint.retention import step_folders
from genkit.errors import CheckpointError

Damage = Callable[[Path, Path, random.Random], str]
FILES = ("config.json", "model.safetensors", "training.safetensors", "training.json", "manifest.json")


def _file(folder: Path, dice: random.Random) -> Path:
    return folder / dice.choice(FILES)


def truncated(folder: Path, other: Path, dice: random.Random) -> str:
    file = _file(folder, dice)
    size = file.stat().st_size
    os.truncate(file, dice.randrange(size))
    return f"{file.name} cut"


def flipped(folder: Path, other: Path, dice: random.Random) -> str:
    file = _file(folder, dice)
    data = bytearray(file.read_bytes())
    at, bit = dice.randrange(len(data)), dice.randrange(8)
    data[at] ^= 1 << bit
    file.write_bytes(data)
    return f"{file.name} bit {bit} of byte {at} flipped"


def replaced(folder: Path, other: Path, dice: random.Random) -> str:
    file = _file(folder, dice)
    content = dice.choice([b"", b"\0" * file.stat().st_size, b"text\n", dice.randbytes(100), b"{}\n", b"PK\x03\x04"])
    file.write_bytes(content)
    return f"{file.name} replaced by {content[:8]!r}…"


def longer(folder: Path, other: Path, dice: random.Random) -> str:
    file = _file(folder, dice)
    with file.open("ab") as end:
        end.write(dice.choice([b"\0", b" ", b"\n", dice.randbytes(9)]))
    return f"{file.name} longer"


def missing(folder: Path, other: Path, dice: random.Random) -> str:
    file = _file(folder, dice)
    file.unlink()
    return f"{file.name} missing"


def swapped(folder: Path, other: Path, dice: random.Random) -> str:
    """The same file of another checkpoint of the run (not its configuration, which is the same)."""
    name = dice.choice(["model.safetensors", "training.safetensors", "training.json", "manifest.json"])
    shutil.copyfile(other / name, folder / name)
    return f"{name} of another checkpoint"


def exchanged(folder: Path, other: Path, dice: random.Random) -> str:
    """Two files of the folder under each other's name."""
    first, second = dice.sample(FILES, 2)
    os.rename(folder / first, folder / "x")
    os.rename(folder / second, folder / first)
    os.rename(folder / "x", folder / second)
    return f"{first} and {second} exchanged"


def odd(folder: Path, other: Path, dice: random.Random) -> str:
    """A link, a folder, or a pipe in place of a file."""
    file = _file(folder, dice)
    kept = folder.parent / f"kept-{file.name}"
    os.rename(file, kept)
    kind = dice.choice(["link", "folder", "pipe", "dangling"])
    match kind:
        case "link":
            file.symlink_to(kept)
        case "folder":
            file.mkdir()
        case "pipe":
            os.mkfifo(file)
        case "dangling":
            file.symlink_to("/nowhere")
    return f"{file.name} is a {kind}"


def edited(folder: Path, other: Path, dice: random.Random) -> str:
    """The manifest changed by hand, in a way that leaves it JSON."""
    file = folder / "manifest.json"
    manifest = json.loads(file.read_text())
    name = dice.choice(list(manifest["files"]))
    entry = manifest["files"][name]
    edits: dict[str, Callable[[], object]] = {
        "a hash": lambda: entry.update(sha256="0" * 64),
        "a size": lambda: entry.update(bytes=entry["bytes"] + dice.choice([-1, 1, 2**70])),
        "a file left out": lambda: manifest["files"].pop(name),
        "a foreign file": lambda: manifest["files"].update({"../../etc/passwd": entry}),
        "an alias": lambda: manifest["aliases"].update({"model.safetensors": {"a": "b"}}),
        "the step": lambda: manifest.update(step=manifest["step"] + 1),
        "the kind": lambda: manifest.update(kind="export"),
        "a newer format": lambda: manifest.update(format_version=999),
        "another format": lambda: manifest.update(format="other"),
        "a type": lambda: manifest.update(step="4"),
        "a key too many": lambda: manifest.update(note="mine"),
        "a key too few": lambda: manifest.pop(dice.choice(list(manifest))),
        "the version": lambda: manifest.update(genkit="99.0"),
        "its own hash": lambda: manifest.update(sha256="f" * 64),
        "nothing but spaces": lambda: None,
    }
    what = dice.choice(list(edits))
    edits[what]()
    indent = dice.choice([None, 2, 4]) if what == "nothing but spaces" else 1
    file.write_text(json.dumps(manifest, sort_keys=True, indent=indent) + "\n")
    return f"manifest: {what}"


DAMAGES: tuple[Damage, ...] = (truncated, flipped, replaced, longer, missing, swapped, exchanged, odd, edited)


def make_run(work: Path) -> Path:
    plan = ("trainer.max_steps=6", "checkpoint.every_n_steps=2", "checkpoint.keep=3", "samples.every_n_steps=0")
    code, said = run_genkit(*train("vae", *plan, "checkpoint.monitor=null", f"run_dir={work / 'run'}"))
    assert code == 0, said
    return work / "run"


def trial(number: int, run: Path, work: Path, tally: Tally, dice: random.Random) -> None:
    copy = work / f"copy-{number}"
    shutil.copytree(run, copy)
    newest, *older = step_folders(copy)
    damage = DAMAGES[number % len(DAMAGES)]
    what = f"{number}: {damage.__name__}: {damage(newest, older[0], dice)}"
    tally.add(f"damaged: {damage.__name__}")
    for argv in [("verify", f"ckpt={newest}"), *([("sample", f"ckpt={newest}", "n=2")] if number % 20 == 0 else [])]:
        code, said = run_genkit(*argv)
        tally.expect(code == 4, "silently accepted", f"{what}: {argv[0]} exit {code}")
        tally.expect("Traceback" not in said and said.count("\n") == 1, "not one line", f"{what}: {said[-300:]}")
    try:
        genkit.load(newest)
        tally.expect(False, "silently accepted", f"{what}: load")
    except CheckpointError:
        pass
    found = find_checkpoint(copy)
    aloud = found.notice is not None and found.path == older[0]
    tally.expect(aloud, "no fallback, or a silent one", what)
    if number % 10 == 0:
        for folder in older:
            flipped(folder, newest, dice)
        code, said = run_genkit("train", f"resume={copy}")
        refused = code == 4 and "every checkpoint of this run is damaged" in said
        tally.add("runs with damaged checkpoints only")
        tally.expect(refused, "runs that start again in silence", f"{what}: exit {code}: {said[-200:]}")
    shutil.rmtree(copy)


def main() -> int:
    arguments = options(__doc__, 300)
    tally, dice = Tally(), random.Random(arguments.seed)
    with workplace(arguments.folder) as work:
        run = make_run(work)
        for number in range(arguments.n):
            trial(number, run, work, tally, dice)
        code, said = run_genkit("verify", f"ckpt={run}")
        tally.expect(code == 0, "the original is damaged", said)
    return tally.conclude("damaged checkpoints")


if __name__ == "__main__":
    sys.exit(main())
