"""Write docs/experiments.md from the comments at the top of conf/experiment/*.yaml.

    python scripts/experiments.py

Each file says in its first comment what it shows, and after "Reaches:" its steps, batch and parameters, then the scores
and CPU seconds that were measured.
"""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "experiments.md"
REACHES = re.compile(r"# Reaches: ([\d,]+) steps of ([\d,]+), ([\d,]+) parameters: (.+)\.$")
DATA = {
    "digits": "digits",
    "mnist": "mnist",
    "cifar10": "cifar10",
    "toy": "toy",
    "grid": "toy",
    "checkerboard": "toy",
    "language": "language",
    "pydoc": "text",
}  # by first word; fmt: skip
HEADINGS = {
    "digits": "Digits: 8x8 images that scikit-learn carries",
    "mnist": "MNIST: 28x28 images from your own file",
    "cifar10": "CIFAR-10: 32x32 images in colour from your own file",
    "toy": "Points in the plane, with a known density",
    "language": "Small languages, with known probabilities",
    "text": "Text that genkit carries",
}
HEAD = ["| experiment | what it is | steps x batch | parameters | reached |", "|---|---|---|---|---|"]
INTRODUCTION = """# Experiments

An experiment is a complete configuration with a stated result: `genkit train experiment=NAME`. Any key can still be
changed on the command line. Results are of one seed; CPU seconds are of one thread, mostly on a machine with other
work. "Times the floor" is explained in [Reading scores](scores.md). MNIST and CIFAR-10 are read from `data.root=`, see
the [README](../README.md#your-own-data-in-one-command).

`scripts/experiments.py` writes this page from `conf/experiment/*.yaml`. `genkit list experiments` prints the same.
"""


def rows(data: str) -> Iterator[str]:
    """The lines of the table of one dataset, by name."""
    for file in sorted((ROOT / "conf" / "experiment").glob("[!_]*.yaml")):
        if DATA[file.stem.partition("_")[0]] != data:
            continue
        comments = [line for line in file.read_text(encoding="utf-8").splitlines() if line.startswith("# ")]
        purpose = next(line[2:] for line in comments if not line.startswith("# @"))
        found = next(match for line in comments if (match := REACHES.match(line)))
        steps, batch, parameters, reached = found.groups()
        yield f"| `{file.stem}` | {purpose.rstrip('.')} | {steps} x {batch} | {parameters} | {reached} |"


def render() -> str:
    """The whole page."""
    page = INTRODUCTION
    for data, heading in HEADINGS.items():
        page += "\n".join(["", f"## {heading}", "", *HEAD, *rows(data), ""])
    return page


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
