"""The tables of the README and of docs/, made again: `reproduce.py OUT TABLE … [key=value …] [--eval key=value …]`.

A TABLE is one of those that are listed without arguments, or an experiment, which is a row of docs/experiments.md.
Words key=value go to every training, those after `--eval` to every scoring: fewer steps and samples make a trial of it.
Each table goes to OUT/TABLE with the runs that it is made of; what a training cost stands in `cost.txt` there, in CPU
seconds summed over threads. Scores are those of the page up to the last digits of another machine, costs are the
machine's own.
"""

from __future__ import annotations

import difflib
import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parent
EXPERIMENTS = SCRIPTS.parent / "conf" / "experiment"
DEFAULTS = ("autoencoder", "vae", "gan", "flow", "diffusion", "ebm")
SEVEN = {  # name of the run -> the training that the table of the seven families is of
    "autoencoder": ("experiment=digits_autoencoder",),
    "vae": ("experiment=digits_vae",),
    "gan": ("experiment=digits_r3gan",),
    "flow": ("experiment=digits_flow",),
    "diffusion": ("experiment=digits_diffusion",),
    "pixel_cnn": ("experiment=digits_pixel_cnn", "model.conditional=true"),
    "ebm": ("experiment=digits_ebm",),
}
FOUR = "metric=[fid,coverage,precision,recall]"
ELSEWHERE = {  # tables that other scripts make
    "docs/experiments.md, all of it from the files of the experiments": "scripts/experiments.py",
    "docs/peers.md": "scripts/peers.py OUT",
    "docs/report.md, faults that are found": "scripts/diagnosis.py OUT",
    "docs/evaluation.md, coverage of intervals": "scripts/interval_coverage.py",
    "docs/evaluation.md, copies that are accused": "scripts/copying_rate.py",
    "docs/gpu.md": "scripts/gpu_check.py",
    "ratios of speed": "scripts/bench.py",
}


@dataclass(frozen=True)
class Work:
    """Commands of one table.

    Attributes:
        folder: Where everything goes.
        train, score: Words that are added to each training and to each scoring.
    """

    folder: Path
    train: Sequence[str] = ()
    score: Sequence[str] = ()

    def trained(self, name: str, *words: str) -> Path:
        """The folder of a run, trained by these words; its cost is noted."""
        before = cpu_seconds()
        genkit("train", *words, f"run_dir={self.folder / name}", *self.train)
        with (self.folder / "cost.txt").open("a") as costs:
            costs.write(f"{name:12} {cpu_seconds() - before:7.1f} CPU s\n")
        return self.folder / name

    def sampled(self, run: Path, *words: str) -> Path:
        """The folder of a run's samples."""
        out = self.folder / f"{run.name}-samples"
        genkit("sample", f"ckpt={run}", f"out={out}", *words)
        return out

    def scored(self, runs: Sequence[Path], *words: str) -> Path:
        """The folder of the scores; what was printed is `table.txt` beside it."""
        named = str(runs[0]) if len(runs) == 1 else f"[{','.join(map(str, runs))}]"
        out = self.folder / "scores"
        self.kept("table.txt", genkit("eval", f"ckpt={named}", f"out={out}", *words, *self.score))
        return out

    def kept(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8")
        print(text, flush=True)


def genkit(*words: str) -> str:
    """The output of one command line; everything stops where it fails."""
    print("genkit", *words, flush=True)
    return subprocess.run(
        [sys.executable, "-m", "genkit", *words], check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def cpu_seconds() -> float:
    """Of all children so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def first_run(work: Work) -> None:
    """What `make` does once everything is installed."""
    run = work.trained("diffusion", "experiment=digits_diffusion")
    work.sampled(run)
    work.scored([run])


def reading(work: Work) -> None:
    work.scored([work.trained("vae", "experiment=digits_vae")], "metric=[fid,coverage]")


def families(work: Work) -> None:
    """Also the two pictures of the README."""
    runs = [work.trained(name, *words) for name, words in SEVEN.items()]
    samples = [work.sampled(run, "n=100") for run in runs]
    scores = work.scored(runs, FOUR, "baselines=[real,copies,mixture,gaussian,marginals]")
    compared = work.folder / "compared"
    genkit("compare", str(scores), f"out={compared}")
    work.kept("table.md", (compared / "compare.md").read_text(encoding="utf-8"))
    sheets = [f"{run.name}={out / 'samples.npz'}" for run, out in zip(runs, samples, strict=True)]
    picture = ["--out", str(work.folder / "digits.png"), "--rows", "5"]
    subprocess.run([sys.executable, str(SCRIPTS / "figures.py"), *sheets, *picture], check=True)


def uses(work: Work) -> None:
    from genkit.assembly.uses import markdown

    work.kept("table.md", markdown())


def defaults(data: str, names: Sequence[str], work: Work) -> None:
    """Families with the defaults of their YAML, side by side."""
    runs = [work.trained(name, f"model={name}", f"data={data}") for name in names]
    for run in runs:
        work.sampled(run, "n=100")
    work.scored(runs)


def experiment(name: str, work: Work) -> None:
    """One experiment with the default scores of its data."""
    work.scored([work.trained(name, f"experiment={name}")])


@dataclass(frozen=True)
class Table:
    """A table of a page.

    Attributes:
        page: Where it stands.
        make: Makes it.
    """

    page: str
    make: Callable[[Work], None]


def of_defaults(data: str, *more: str) -> Table:
    """All families on one dataset, and models that take its kind of values."""
    page = f"families with their defaults on {data}, on no page"
    return Table(page, lambda work: defaults(data, (*DEFAULTS, *more), work))


TABLES = {
    "first_run": Table("README.md, First run", first_run),
    "uses": Table("README.md, Families: what a trained model is for", uses),
    "reading": Table("README.md, Reading a score; docs/scores.md, its first table", reading),
    "families": Table("README.md, both pictures of seven families; docs/scores.md, their scores", families),
    "digits": of_defaults("digits", "pixel_cnn"),
    "toy": of_defaults("toy"),
    "mnist": of_defaults("mnist", "pixel_cnn"),  # read from $GENKIT_DATA
}


def listing() -> str:
    """All tables, and who makes the others."""
    lines = ["tables:", *(f"  {name:12} {table.page}" for name, table in TABLES.items())]
    lines += [
        "  EXPERIMENT   docs/experiments.md, a row: `genkit list experiments` names them",
        "made by other scripts:",
    ]
    return "\n".join([*lines, *(f"  {page}: python {script}" for page, script in ELSEWHERE.items())])


def table_of(name: str) -> Callable[[Work], None]:
    """The maker of a table or of an experiment's row; exits where there is none of this name."""
    if name in TABLES:
        return TABLES[name].make
    known = sorted(path.stem for path in EXPERIMENTS.glob("[!_]*.yaml"))
    if name in known:
        return lambda work: experiment(name, work)
    near = difflib.get_close_matches(name, [*TABLES, *known], 1)
    advice = f"did you mean {near[0]}?" if near else "they are listed without arguments"
    sys.exit(f"reproduce.py: {name}: there is no such table or experiment; {advice}")


def main(words: Sequence[str] | None = None) -> None:
    """The command line of this script."""
    given = list(sys.argv[1:] if words is None else words)
    if not given or given[0] in ("-h", "--help"):
        print(__doc__, listing(), sep="\n")
        return
    cut = given.index("--eval") if "--eval" in given else len(given)
    before, score = given[1:cut], given[cut + 1 :]
    names, train = [word for word in before if "=" not in word], [word for word in before if "=" in word]
    if not names:
        sys.exit(f"reproduce.py: which table?\n{listing()}")
    for name, make in [(name, table_of(name)) for name in names]:
        work = Work(Path(given[0]).resolve() / name, train, score)
        work.folder.mkdir(parents=True, exist_ok=True)
        make(work)


if __name__ == "__main__":
    main()
