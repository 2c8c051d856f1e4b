"""The charts of a run's metrics.jsonl: what was minimised first, every phase of a term in one chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from genkit.report.page.curves import ChartLine
from genkit.report.page.thinning import Point

Series = Mapping[str, Sequence[Point]]  # key -> (step, value)
STAGES = {"train": "training", "val": "validation"}
PARTS = ("classes", "modes")  # whose shares, one by one, are left to metrics.jsonl
MOST = 40  # charts of a page


def loss_panels(series: Series) -> dict[str, list[ChartLine]]:
    """The terms of `train/` and `val/` by name, "loss" first."""
    phases: list[str] = []
    panels: dict[str, list[ChartLine]] = {}
    for name, points in series.items():
        stage, _, rest = name.partition("/")
        if stage not in STAGES or not points:
            continue
        phase, _, term = rest.rpartition("/")
        if phase not in phases:
            phases.append(phase)
        label = " ".join(word for word in (phase.replace("_", " "), STAGES[stage]) if word)
        curve = ChartLine(label, points, phases.index(phase), measured=stage == "val")
        panels.setdefault(term.replace("_", " "), []).append(curve)
    ordered = sorted(panels.items(), key=lambda panel: panel[0] != "loss")
    return dict(ordered[:MOST])


def other_panels(series: Series) -> dict[str, list[ChartLine]]:
    """Quick scores with their floors, the variety of samples, learning rates, and whatever else was logged."""
    panels: dict[str, list[ChartLine]] = {}
    for name, points in series.items():
        stage, _, rest = name.partition("/")
        if stage in STAGES or not points:
            continue
        match stage, rest.split("/"):
            case "quick", ["n"]:
                continue
            case "quick", [metric]:
                panels.setdefault(f"quick {metric}", []).insert(0, ChartLine("score", points, 0, measured=True))
            case "quick", [metric, "floor"]:
                panels.setdefault(f"quick {metric}", []).append(ChartLine("real against real", points, 2))
            case "quick", _:
                continue
            case "samples", [kind, _] if kind in PARTS:
                continue
            case "samples", _:
                panels[f"samples: {rest.replace('_', ' ')}"] = [ChartLine("", points, 0, measured=True)]
            case "lr", _:
                curves = panels.setdefault("learning rate", [])
                curves.append(ChartLine(rest, points, len(curves)))
            case _:
                panels[name] = [ChartLine("", points, 0)]
    return dict(list(panels.items())[:MOST])
