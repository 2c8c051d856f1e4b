"""genkit's presets beside other people's tools: the same data, CPU seconds and evaluator.

For each match and each seed our preset trains through the command line; the CPU seconds that this took, of the whole
command, are what each peer is then given (`peer_recipes/`, each in an environment of its own below OUT/environments, so
that genkit depends on none of them). What is scored depends on the kind of match (`peer_matches/kinds.py`):

* images: n samples against the same held-out images, in two feature spaces: the shipped one, in which presets were
  chosen, and one of a classifier that is trained here from another seed and that nothing was chosen by; Fréchet
  distances as multiples of their floors;
* tables: as many rows as there are for training, by the scores of `metric=suite/table`;
* text and binary images: what the test split costs, in bits per byte and nats.

OUT/table.md holds the mean and the range over seeds, and the ratio of ours to the peer's; OUT/<match>.png our samples
beside theirs.

    python scripts/peers.py outputs/peers                     # everything, three seeds each: hours
    python scripts/peers.py outputs/peers digits_flow seeds=1 # one match
    python scripts/peers.py outputs/peers --list
    python scripts/peers.py outputs/peers --table             # of all that is finished

What is finished is not done again. One thread each; CPU seconds grow on a busy machine for both sides alike.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from peer_matches.commands import RECIPES, genkit, python_with, recipe, run
from peer_matches.kinds import KINDS
from peer_matches.match import Match, Result
from peer_matches.matches import MATCHES, PEERS
from peer_matches.table import tables

SCRIPTS = Path(__file__).resolve().parent


def folder_of(side: str) -> str:
    """The name of a side as a folder's."""
    return side.replace(" ", "-").replace(",", "").replace("'", "")


def ready(match: Match, out: Path) -> None:
    """Write the table that a match is about, where there is one."""
    file = out / f"{match.table}.csv"
    if match.table and not file.exists():
        words = [python_with(("statsmodels",), out), str(RECIPES / "statsmodels_table.py"), match.table, str(file)]
        subprocess.run(words, check=True)


def data_of(match: Match, folder: Path) -> Path:
    """The file that recipes read."""
    kind = KINDS[match.kind]
    file = folder / kind.given
    if not file.exists():
        kind.write(match, file)
    return file


def ours(match: Match, seed: int, folder: Path) -> float:
    """Train our preset and draw its samples; CPU seconds of the training."""
    words = (*match.ours, f"seed={seed}", f"run_dir={folder / 'run'}")
    seconds = genkit("train", *words, log=folder / "train.log")
    KINDS[match.kind].draw(match, folder)
    return seconds


def theirs(match: Match, side: str, seed: int, seconds: float, folder: Path, out: Path) -> float:
    """Train a peer for as long, and have it write what is scored; CPU seconds of its whole command."""
    made = folder / "samples" / KINDS[match.kind].made
    made.parent.mkdir(parents=True, exist_ok=True)
    words = [*recipe(PEERS[side], out), str(data_of(match, folder.parent.parent)), str(made)]
    words += ["--seconds", f"{seconds:.1f}", "--seed", str(seed), "--n", str(match.n), *["--labels"] * match.labels]
    run(words, folder / "train.log")
    said = (folder / "train.log").read_text().splitlines()[-1]
    return float(said.partition("seconds=")[2].partition(" ")[0])


def finished(folder: Path) -> Result | None:
    file = folder / "result.json"
    return Result(**json.loads(file.read_text())) if file.exists() else None


def kept(folder: Path, seconds: float, match: Match) -> Result:
    """Score a side, and keep it."""
    result = Result(seconds, KINDS[match.kind].scored(match, folder))
    (folder / "result.json").write_text(json.dumps(result.__dict__, indent=1))
    return result


def play(name: str, seeds: int, out: Path) -> None:
    """All sides of a match over the seeds, in turns."""
    match = MATCHES[name].at(out)
    ready(match, out)
    for seed in range(seeds):
        folder = out / name / str(seed)
        folder.mkdir(parents=True, exist_ok=True)
        (mine := folder / "genkit").mkdir(exist_ok=True)
        done = finished(mine) or kept(mine, ours(match, seed, mine), match)
        reached = {"genkit": done}
        for side in match.peers:
            place = folder / folder_of(side)
            there = finished(place)
            if there is None:
                there = kept(place, theirs(match, side, seed, done.seconds, place, out), match)
            reached[side] = there
        print(name, "seed", seed, {side: it.scores for side, it in reached.items()}, flush=True)
    if match.kind == "images":
        picture(name, out)


def standing(name: str, out: Path) -> dict[str, list[Result]]:
    """What each side has reached with the seeds that all sides have finished."""
    sides = ("genkit", *MATCHES[name].peers)
    folders = sorted((out / name).iterdir()) if (out / name).is_dir() else []
    seeds = [[finished(folder / folder_of(side)) for side in sides] for folder in folders]
    whole = [[done for done in seed if done is not None] for seed in seeds if None not in seed]
    return {side: [seed[i] for seed in whole] for i, side in enumerate(sides)}


def picture(name: str, out: Path) -> None:
    """The first samples of every side of the first seed, each under its name, ours first."""
    match = MATCHES[name]
    files = {side: out / name / "0" / folder_of(side) / "samples" / "samples.npz" for side in ("genkit", *match.peers)}
    words = [f"{side}={file}" for side, file in files.items()]
    layout = f"--data {match.data[0].removeprefix('data=')} --rows 4 --columns 16 --across 1".split()
    command = [sys.executable, str(SCRIPTS / "figures.py"), *words, *layout, "--out", str(out / f"{name}.png")]
    subprocess.run(command, check=True)


def results(out: Path) -> str:
    """The tables of every match of which all sides have finished a seed."""
    found = {name: standing(name, out) for name in MATCHES}
    return tables({name: each for name, each in found.items() if all(each.values())}, out)


def main() -> None:
    """The command line of this script."""
    words = sys.argv[1:]
    if not words or "--help" in words:
        sys.exit(__doc__)
    if "--list" in words:
        print("\n".join(f"{name}: {', '.join(match.peers)}" for name, match in MATCHES.items()))
        return
    out, seeds = Path(words[0]).resolve(), 3
    names = []
    for word in words[1:]:
        if word.startswith("seeds="):
            seeds = int(word.removeprefix("seeds="))
        elif word in MATCHES:
            names.append(word)
        elif word != "--table":
            sys.exit(f"{word} is no match: {', '.join(MATCHES)}")
    if "--table" not in words:
        for name in names or MATCHES:
            play(name, seeds, out)
    text = results(out)
    (out / "table.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
