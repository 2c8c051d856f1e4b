"""What every peer's recipe shares: its command line, its data, a training of so many CPU seconds, its samples.

    python RECIPE.py DATA.npz OUT.npz --seconds 55 --seed 0 --n 1000 [--labels]

Of images DATA.npz holds `x` (N, H, W, C) uint8 stored levels, `y` (N,) labels, and `levels`. The seconds are those of
the whole process, imports included, as with `genkit train`. OUT.npz holds `x` (n, H, W, C) uint8. Recipes of other data
say what they read and write. Nothing of genkit is imported.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Asked:
    """What is asked of a recipe.

    Attributes:
        data: What it reads.
        out: What it writes.
        seconds: CPU seconds of the process at which training ends.
        seed: Of all that is drawn.
        n: Samples, or examples that are scored.
        labels: Whether it is to know them.
    """

    data: Path
    out: Path
    seconds: float
    seed: int
    n: int
    labels: bool

    def spent(self) -> float:
        """Share of the CPU seconds that are gone."""
        return time.process_time() / self.seconds

    def said(self, steps: int, **more: float) -> None:
        """Print the last line, with what the recipe says of itself."""
        words = " ".join(f"{name}={value:g}" for name, value in more.items())
        print(f"steps={steps} seconds={time.process_time():.1f} {words}".rstrip())

    def score(self, scores: dict[str, float], steps: int, **more: float) -> None:
        """Write scores in the place of samples."""
        self.out.write_text(json.dumps(scores), encoding="utf-8")
        self.said(steps, **more)


@dataclass(frozen=True)
class Job(Asked):
    """The same, with images.

    Attributes:
        x: (N, C, H, W) in [-1, 1].
        y: (N,) labels, None where the recipe is not to know them.
        levels: Stored levels of a value.
    """

    x: Tensor
    y: Tensor | None
    levels: int

    @property
    def classes(self) -> int:
        return 0 if self.y is None else int(self.y.max()) + 1

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Shuffled epochs until the time is spent."""
        while True:
            order = torch.randperm(len(self.x))
            for rows in order.split(size):
                if self.spent() >= 1:
                    return
                if len(rows) == min(size, len(order)):
                    yield self.x[rows], None if self.y is None else self.y[rows]

    def drawn_labels(self, n: int) -> Tensor | None:
        """Of n samples: as often as in the data."""
        return None if self.y is None else self.y[torch.randint(len(self.y), (n,))]

    @torch.no_grad()
    def in_parts(self, draw: Callable[[int], Tensor], most: int = 250) -> Tensor:
        """The n samples, so many at a time as memory has room for, each part by `draw`."""
        parts, left = [], self.n
        while left:
            parts.append(draw(min(left, most)))
            left -= len(parts[-1])
        return torch.cat(parts)

    def write(self, x: Tensor, steps: int, **more: float) -> None:
        """Samples (n, C, H, W) in [-1, 1], to the nearest levels, with what the recipe says of itself."""
        top = self.levels - 1
        stored = ((x.clamp(-1, 1) + 1) / 2 * top).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
        np.savez(self.out, x=stored)
        self.said(steps, **more)


def own_word(name: str, usual: str | None = None) -> str:
    """The value of an option that a recipe has besides, taken off the command line; `usual` where it is not there."""
    if usual is not None and name not in sys.argv:
        return usual
    at = sys.argv.index(name)
    value = sys.argv.pop(at + 1)
    del sys.argv[at]
    return value


def own_source() -> None:
    """Import from the folder of a tool that is no package, `--source`, from now on.

    Raises SystemExit where it is not there.
    """
    folder = Path(own_word("--source")).resolve()
    if not folder.is_dir():
        sys.exit(f"{folder} is not there: clone the repository that this recipe names into it")
    sys.path.insert(0, str(folder))


def asked() -> Asked:
    """From the command line, with one thread and the seed set."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--labels", action="store_true")
    found = Asked(**vars(parser.parse_args()))
    torch.manual_seed(found.seed)
    torch.set_num_threads(1)
    return found


def job() -> Job:
    """Of images, from the command line."""
    of = asked()
    with np.load(of.data) as file:
        levels = int(file["levels"])
        x = torch.from_numpy(file["x"]).permute(0, 3, 1, 2).float() / (levels - 1) * 2 - 1
        y = torch.from_numpy(file["y"]) if of.labels else None
    return Job(**vars(of), x=x.contiguous(), y=y, levels=levels)


def half_cosine(first: float, last: float, share: float) -> float:
    """From the first value to the last, by the share of the training that is gone."""
    return last + (first - last) * (1 + math.cos(math.pi * min(share, 1.0))) / 2


class Average:
    """An exponential moving average of a network's weights; its horizon grows with the steps up to 1 / (1 - decay)."""

    def __init__(self, net: nn.Module, decay: float = 0.999) -> None:
        self.net, self.decay, self.steps = net, decay, 0
        self.kept = {name: value.detach().clone() for name, value in net.state_dict().items()}

    @torch.no_grad()
    def update(self) -> None:
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for name, value in self.net.state_dict().items():
            kept = self.kept[name]
            kept.lerp_(value, 1 - decay) if kept.is_floating_point() else kept.copy_(value)

    def load(self) -> None:
        """Put the average in the place of the weights."""
        self.net.load_state_dict(self.kept)
