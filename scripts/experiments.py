"""Write docs/experiments.md from the comments at the top of conf/experiment/*.yaml.

    python scripts/experiments.py

Each file says in its first comment what it shows, and after "Reaches:" its steps, batch and parameters, then the scores
and CPU seconds that were measured.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
CONF = ROOT / "conf"
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
work. "Times the floor" is explained in [Reading scores](scores.md); models that know the labels stand apart, since
[their distances are others](scores.md#with-and-without-labels). MNIST and CIFAR-10 are read from `data.root=`, see
the [README](../README.md#your-own-data-in-one-command).

`scripts/experiments.py` writes this page from `conf/experiment/*.yaml`. `genkit list experiments` prints the same.
`python scripts/reproduce.py OUT NAME` trains one of them again and scores it, from a clone of the project.
"""


def conditional(group: str, name: str) -> bool | None:
    """Tell whether a YAML of a group makes its model know the labels; None where neither it nor its bases say."""
    node: dict[str, Any] = yaml.safe_load((CONF / group / f"{name}.yaml").read_text(encoding="utf-8"))
    model = node.get("model")
    own: bool | None = model.get("conditional") if isinstance(model, dict) else None
    for base in reversed(node.get("defaults", [])):
        if own is None and isinstance(base, str) and base != "_self_":
            own = conditional(group, base)
        elif own is None and isinstance(base, dict) and "override /model" in base:
            own = conditional("model", base["override /model"])
    return own


def rows(data: str, by_label: bool) -> Iterator[str]:
    """The lines of the table of one dataset, by name, of models that know the labels or of those that do not."""
    for file in sorted((CONF / "experiment").glob("[!_]*.yaml")):
        if DATA[file.stem.partition("_")[0]] != data or bool(conditional("experiment", file.stem)) != by_label:
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
        tables = {"By label": list(rows(data, by_label=True)), "Without labels": list(rows(data, by_label=False))}
        shown = {title: table for title, table in tables.items() if table}
        page += f"\n## {heading}\n"
        for title, table in shown.items():
            page += "\n".join(["", *([f"### {title}", ""] if len(shown) > 1 else []), *HEAD, *table, ""])
    return page


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
