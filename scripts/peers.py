"""genkit's presets beside other people's tools: the same data, CPU seconds and evaluator.

For each match and each seed our preset trains through the command line; the CPU seconds that this took, of the whole
command, are what each peer is then given (`peer_recipes/`, each in an environment of its own below OUT/environments, so
that genkit depends on none of them). All are sampled n times and scored against the same held-out images in two feature
spaces: the shipped one, in which presets were chosen, and one of a classifier that is trained here from another seed
and that nothing was chosen by. OUT/table.md holds the mean and the range over seeds of each Fréchet distance, as a
multiple of its floor, and the ratio of ours to the peer's; OUT/<match>.png our samples beside theirs.

    python scripts/peers.py outputs/peers                     # everything, three seeds each: hours
    python scripts/peers.py outputs/peers digits_vae seeds=1  # one match
    python scripts/peers.py outputs/peers --list
    python scripts/peers.py outputs/peers --table             # of all that is finished

What is finished is not done again. One thread each; CPU seconds grow on a busy machine for both sides alike.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from genkit.config.build import build
from genkit.config.hydra.app import composed
from genkit.data.dataset import Dataset

SCRIPTS = Path(__file__).resolve().parent
RECIPES = SCRIPTS / "peer_recipes"
TORCH = "torch==2.13.0"
INDEPENDENT = ("features=own", "features.seed=11", "features.dim=96")
SHARES = ("precision", "recall", "coverage")  # against as many held-out images as samples
METRICS = ("metric=[fid,precision,recall,coverage]", *(f"metric.{m}.equal=true" for m in SHARES))
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}


@dataclass(frozen=True)
class Peer:
    """Somebody else's tool.

    Attributes:
        recipe: File of `peer_recipes/`.
        words: Its options.
        packages: What its environment holds.
    """

    recipe: str
    packages: tuple[str, ...]
    words: tuple[str, ...] = ()


PEERS = {
    "diffusers U-Net, OT flow matching": Peer("unet.py", ("diffusers", "scipy"), ("--how", "flow")),
    "diffusers U-Net, EDM loop": Peer("unet.py", ("diffusers", "scipy"), ("--how", "edm")),
    "pythae VAE": Peer("pythae_models.py", ("pythae",), ("--how", "vae")),
    "pythae AE": Peer("pythae_models.py", ("pythae",), ("--how", "ae")),
    "DCGAN loop": Peer("dcgan.py", ("numpy",)),
    "zuko NSF": Peer("zuko_flow.py", ("numpy", "zuko")),
    "zuko NSF, coupling": Peer("zuko_flow.py", ("numpy", "zuko"), ("--passes", "2")),
}
DIFFUSION = ("diffusers U-Net, OT flow matching", "diffusers U-Net, EDM loop")


@dataclass(frozen=True)
class Match:
    """A preset and whom it is set beside.

    Attributes:
        experiment: Ours.
        data: Of both.
        peers: Names.
        words: What else our training is told.
        labels: Whether both sides know the labels.
        n: Samples.
    """

    experiment: str
    data: str
    peers: tuple[str, ...]
    words: tuple[str, ...] = ()
    labels: bool = False
    n: int = 898  # of the digits: as many as are held out, less one


UNLABELLED = ("model.conditional=false",)
TEN = ("latent_density=mixture", "latent_density.components=10")  # of codes that nothing has shaped
FORTY = "latent_density.components=40"  # those of the presets are for each label
FLOAT = ("trainer.precision=32-true",)  # the peers' own: bfloat16 is slower where a processor only emulates it
MNIST, CIFAR = {"data": "mnist", "n": 2000}, {"data": "cifar10", "n": 2000}
MATCHES = {
    "digits_diffusion": Match(
        "digits_diffusion", "digits", DIFFUSION, ("model.clusters=3", "model.guidance_scale=1.1"), labels=True
    ),
    "digits_diffusion_unlabelled": Match("digits_diffusion", "digits", DIFFUSION, (*UNLABELLED, "model.clusters=20")),
    "digits_vae_unlabelled": Match("digits_vae", "digits", ("pythae VAE",), (*UNLABELLED, FORTY)),
    "digits_autoencoder_unlabelled": Match("digits_autoencoder", "digits", ("pythae AE",), (*UNLABELLED, FORTY)),
    "digits_autoencoder": Match("digits_autoencoder", "digits", ("pythae AE",), labels=True),
    "digits_sngan": Match("digits_sngan", "digits", ("DCGAN loop",), labels=True),
    "digits_flow": Match("digits_flow", "digits", ("zuko NSF",), labels=True),
    "mnist_diffusion": Match("mnist_diffusion", peers=DIFFUSION, words=FLOAT, **MNIST),
    "mnist_grey_vae": Match("mnist_grey_vae", peers=("pythae VAE",), **MNIST),
    "mnist_sngan": Match("mnist_sngan", peers=("DCGAN loop",), labels=True, **MNIST),
    "cifar10_diffusion": Match(
        "cifar10_diffusion", peers=DIFFUSION[:1], words=(*FLOAT, "trainer.max_steps=1800"), labels=True, **CIFAR
    ),
    "cifar10_vae": Match(
        "cifar10_vae", peers=("pythae VAE",), words=(*FLOAT, *UNLABELLED, "latent_density.components=20"), **CIFAR
    ),
    "cifar10_autoencoder": Match(
        "cifar10_autoencoder",
        peers=("pythae AE",),
        words=(*FLOAT, "model.latent_dim=192", "model.squash_output=true", *TEN),
        **CIFAR,
    ),
    "cifar10_glow": Match("cifar10_glow", peers=("zuko NSF, coupling",), words=FLOAT, **CIFAR),
    "cifar10_sngan": Match("cifar10_sngan", peers=("DCGAN loop",), words=FLOAT, labels=True, **CIFAR),
}


@dataclass
class Result:
    """What a side has reached with one seed.

    Attributes:
        seconds: CPU seconds of its training.
        scores: Space -> metric -> value; of `fid` the multiple of the floor.
    """

    seconds: float
    scores: dict[str, dict[str, float]] = field(default_factory=dict)


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


def python_of(peer: Peer, out: Path) -> str:
    """The interpreter of a peer's environment, which is made where it is not there yet."""
    place = out / "environments" / "-".join(peer.packages)
    python = place / "bin" / "python"
    if not (place / "done").exists():
        shutil.rmtree(place, ignore_errors=True)
        place.parent.mkdir(parents=True, exist_ok=True)
        print(f"environment of {', '.join(peer.packages)}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", TORCH, "numpy", *peer.packages]
        subprocess.run(install, check=True)
        (place / "done").touch()
    return str(python)


def folder_of(side: str) -> str:
    """The name of a side as a folder's."""
    return side.replace(" ", "-").replace(",", "")


def training_images(match: Match, folder: Path) -> Path:
    """The training split, as a file that a recipe reads."""
    file = folder / "train.npz"
    if not file.exists():
        node = composed("train", [f"experiment={match.experiment}"])["data"]
        if node.get("root") is None:  # where a file of its own is looked for
            node.pop("root", None)
        dataset = build(node, at="data", expect=Dataset)
        train = dataset.split("train")
        part = train.between(0, len(train))
        assert part.y is not None
        np.savez(file, x=part.x.permute(0, 2, 3, 1).numpy(), y=part.y.numpy(), levels=dataset.spec.levels)
    return file


def ours(match: Match, seed: int, folder: Path) -> float:
    """Train and sample our preset; CPU seconds of the training."""
    seconds = genkit("train", f"experiment={match.experiment}", *match.words, f"seed={seed}",
                     f"run_dir={folder / 'run'}", log=folder / "train.log")  # fmt: skip
    genkit("sample", f"ckpt={folder / 'run'}", f"n={match.n}", f"out={folder / 'samples'}", log=folder / "sample.log")
    return seconds


def theirs(match: Match, peer: Peer, seed: int, seconds: float, folder: Path, out: Path) -> float:
    """Train and sample a peer for as long."""
    (folder / "samples").mkdir(parents=True, exist_ok=True)
    words = [python_of(peer, out), str(RECIPES / peer.recipe), *peer.words]
    words += [str(training_images(match, folder.parent.parent)), str(folder / "samples" / "samples.npz")]
    words += ["--seconds", f"{seconds:.1f}", "--seed", str(seed), "--n", str(match.n), *["--labels"] * match.labels]
    run(words, folder / "train.log")
    said = (folder / "train.log").read_text().splitlines()[-1]
    return float(said.partition("seconds=")[2].partition(" ")[0])


def scored(match: Match, folder: Path) -> dict[str, dict[str, float]]:
    """Scores of a folder's samples in both spaces."""
    found: dict[str, dict[str, float]] = {}
    for space, words in {"shipped": (), "independent": INDEPENDENT}.items():
        place, samples = folder / f"scores-{space}", folder / "samples" / "samples.npz"
        genkit("eval", f"samples={samples}", f"data={match.data}", f"n={match.n}", *METRICS, *words,
               "baselines=false", "bootstrap=0", f"out={place}", log=folder / f"{space}.log")  # fmt: skip
        rows = json.loads((place / "results.json").read_text())["results"]
        found[space] = {
            row["metric"]: row["ratio_to_floor"] if row["metric"] == "fid" else row["value"] for row in rows
        }
    return found


def finished(folder: Path) -> Result | None:
    file = folder / "result.json"
    return Result(**json.loads(file.read_text())) if file.exists() else None


def kept(folder: Path, seconds: float, match: Match) -> Result:
    """Score what was sampled, and keep it."""
    result = Result(seconds, scored(match, folder))
    (folder / "result.json").write_text(json.dumps(result.__dict__, indent=1))
    return result


def play(name: str, seeds: int, out: Path) -> None:
    """All sides of a match over the seeds, in turns."""
    match = MATCHES[name]
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
                there = kept(place, theirs(match, PEERS[side], seed, done.seconds, place, out), match)
            reached[side] = there
        print(name, "seed", seed, {side: it.scores["independent"]["fid"] for side, it in reached.items()}, flush=True)
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
    layout = f"--data {match.data} --rows 4 --columns 16 --across 1".split()
    command = [sys.executable, str(SCRIPTS / "figures.py"), *words, *layout, "--out", str(out / f"{name}.png")]
    subprocess.run(command, check=True)


def in_words(values: list[float], digits: int = 2) -> str:
    """Mean, with the range of several."""
    mean = f"{statistics.mean(values):.{digits}f}"
    return mean if len(values) < 2 else f"{mean} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def lines(name: str, results: dict[str, list[Result]]) -> list[str]:
    """The rows of a match."""
    made = []
    for side, done in results.items():
        row: list[Any] = [
            f"`{name}`" if side == "genkit" else "",
            side,
            len(done),
            f"{statistics.mean(d.seconds for d in done):.0f}",
        ]
        for space in ("shipped", "independent"):
            own = [d.scores[space]["fid"] for d in done]
            row.append(in_words(own))
            mine = [d.scores[space]["fid"] for d in results["genkit"]]
            row.append("" if side == "genkit" else f"{statistics.mean(mine) / statistics.mean(own):.2f}")
        row += [in_words([d.scores["independent"][metric] for d in done]) for metric in SHARES]
        made.append("| " + " | ".join(map(str, row)) + " |")
    return made


def real_images(name: str, out: Path) -> list[str]:
    """A row of what as many training images reach, if it was scored."""
    file = out / name / "0" / "genkit" / "scores-independent" / "results.json"
    if not file.exists():
        return []
    floors = {row["metric"]: row["floor"]["mean"] for row in json.loads(file.read_text())["results"]}
    reached = " | ".join(f"{floors[metric]:.2f}" for metric in SHARES)
    return [f"|  | training images | | | 1.00 | | 1.00 | | {reached} |"]


HEAD = (
    "| match | side | seeds | CPU s | shipped features | ours / theirs | independent features | ours / theirs "
    "| precision | recall | coverage |\n|---|---|---|---|---|---|---|---|---|---|---|\n"
)


def table(out: Path) -> str:
    """The rows of every match of which all sides have finished a seed, below the last of a dataset its own images."""
    found = {name: standing(name, out) for name in MATCHES}
    played = {name: results for name, results in found.items() if all(results.values())}
    last = {MATCHES[name].data: name for name in played}
    rows = [
        row
        for name, results in played.items()
        for row in [*lines(name, results), *(real_images(name, out) if name in last.values() else [])]
    ]
    return HEAD + "".join(f"{row}\n" for row in rows)


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
    text = table(out)
    (out / "table.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
