r"""A model of points in the plane beside the density that they are drawn from.

Of a model q and the truth p, at one step of a training:

* samples, from the same noise each time, so that they move from step to step;
* log q on a grid: the model's own, a bound by many draws where it has a latent, an estimate where it integrates an
  equation; else a kernel estimate of samples, which is marked, since its bandwidth blurs;
* :math:`KL(p\,\|\,q) = E_p[\log p - \log q]` on fixed test points with its standard error, which is what
  `log_likelihood_gap` scores; an upper bound where log q is a bound. Without a density the energy distance stands in
  its place: a KL of a kernel estimate or a histogram is biased by the bandwidth or by (cells − 1)/2n nats;
* :math:`KL(q\,\|\,p) = E_q[\log q - \log p]` on the samples where p > 0 for all of them; it forgives what is left out;
* the leak, the share of samples where p is below what 99.5 % of real points have: 0.5 % of real points too;
* the modes that samples reach, where the truth is a mixture.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from genkit.data.dataset import Dataset, KnownDensity
from genkit.data.split import Examples
from genkit.errors import ConfigError
from genkit.evaluation.source import ModelSource
from genkit.metrics.energy import DistanceSums, energy
from genkit.metrics.modes import NO_MODE, assign_modes
from genkit.models.base import Conditional, Density, GenerativeModel, LatentBound, Stepwise
from genkit.models.stream import stream_samples

BATCH = 2000
OUTSIDE = 0.005  # share of real points that count as outside
DRAWS = 32  # of a latent, behind a bound
KERNEL_SAMPLES = {False: 20_000, True: 4_000}  # of a model that samples step by step
COSTLY_CELLS, COSTLY_POINTS = 48, 1000  # of a density that costs hundreds of evaluations a point
SIGMAS = 3.0  # of a mode
REACHED = 0.2  # of its share of the samples, at which a mode counts as reached
NATS = {"exact": "", "lower": "≤ ", "estimate": "≈ "}  # a KL from a density, a bound below it, an estimate
REVERSE = NATS | {"lower": "≥ "}


@dataclass(frozen=True)
class PlanarView:
    """A model at one step.

    Attributes:
        step: Of the training.
        samples: (n, 2), on the CPU.
        density: (cells, cells), rows from below; NaN-free.
        origin: Words on what the density is.
        numbers: "kl", "kl_se", "reverse_kl", "leak", "modes", "energy": those that there are.
        bound: Of the KL: "exact", "lower" of log q, so an upper bound, or "estimate".
    """

    step: int
    samples: Tensor
    density: Tensor
    origin: str
    numbers: dict[str, float]
    bound: str | None


def check_planar(dataset: Dataset, where: str) -> KnownDensity:
    """The known density of points in the plane; raises ConfigError for other data, which begins with `where`."""
    if dataset.spec.shape != (2,) or dataset.spec.drawing != "scatter":
        raise ConfigError(f"{where}: it shows points in the plane whose density is known, as those of data=toy")
    if dataset.density is None:
        raise ConfigError(f"{where}: the density of these points is not known, and it shows models beside it: data=toy")
    return dataset.density


class PlanarTruth:
    """The density that points in the plane are drawn from, and its test points.

    Args:
        dataset: Of points in the plane.
        cells: Of the grid, per side.
        points: Test points at most.
        where: The words that a refusal begins with.

    Raises:
        ConfigError: the data is something else, or its density is unknown.
    """

    def __init__(self, dataset: Dataset, cells: int, points: int, where: str = "playground") -> None:
        self.dataset, self.cells, self.known = dataset, cells, check_planar(dataset, where)
        test = dataset.split("test")
        self.test: Examples = test.take(torch.arange(min(points, len(test))))
        self.log_p = self.known.log_prob(self.test.x).double()
        self.least = float(self.log_p.quantile(OUTSIDE))

    @property
    def name(self) -> str:
        """Name of the density in words: "eight gaussians"."""
        return re.sub("(?<!^)(?=[A-Z])", " ", type(self.known).__name__).lower()

    @cached_property
    def window(self) -> tuple[float, float, float, float]:
        """Left, right, bottom, top: a square about the test points."""
        low, high = self.test.x.amin(0), self.test.x.amax(0)
        half = float((high - low).max()) * 0.58
        (x, y) = ((low + high) / 2).tolist()
        return x - half, x + half, y - half, y + half

    def grid(self, cells: int) -> Tensor:
        """(cells², 2): the centres of cells, row by row from below."""
        left, right, bottom, top = self.window
        places = (torch.arange(cells) + 0.5) / cells
        across, up = left + (right - left) * places, bottom + (top - bottom) * places
        return torch.cartesian_prod(up, across).flip(1).float()

    @cached_property
    def density(self) -> Tensor:
        """(cells, cells)."""
        return self.known.log_prob(self.grid(self.cells)).exp().view(self.cells, self.cells)

    @cached_property
    def modes(self) -> int | None:
        """The number of modes; None where the truth is no mixture."""
        return None if self.dataset.modes is None else len(self.dataset.modes.centres)

    @cached_property
    def energy_floor(self) -> float:
        """The energy distance of validation points to as many test points."""
        real = self.dataset.split("val").take(torch.arange(min(BATCH, len(self.dataset.split("val"))))).x
        return self.energy_of(real)

    def energy_of(self, samples: Tensor) -> float:
        """The energy distance of samples (n, 2) to the first test points."""
        real = self.test.x[:BATCH].double()
        return float(energy(DistanceSums.of(real, samples.double()), 0))


def planar_view(truth: PlanarTruth, model: GenerativeModel, step: int, n: int, seed: int, whole: bool) -> PlanarView:
    """Look at a model.

    Args:
        truth: What it learns.
        model: Prepared for sampling, in eval mode.
        step: Of its training.
        n: Samples.
        seed: Of all noise.
        whole: Whether a costly density is asked about all test points, as at the end.
    """
    many = n
    if not isinstance(model, Density):
        many = max(n, KERNEL_SAMPLES[isinstance(model, Stepwise)])
    drawn = torch.cat([x for x, _ in stream_samples(model, many, seed=seed, batch_size=BATCH)])
    samples, numbers = drawn[:n], dict[str, float]()
    bound: str | None = None
    if isinstance(model, Density):
        bound = model.bound
        kept = COSTLY_POINTS if model.costly and not whole else len(truth.log_p)
        gap = truth.log_p[:kept] - _log_q(model, truth.test.x[:kept], truth.test.y, seed)
        numbers["kl"], numbers["kl_se"] = float(gap.mean()), float(gap.std()) / math.sqrt(len(gap))
        density, origin = _own_density(truth, model, seed)
    else:
        density = _kernel_density(truth, drawn)
        origin = f"kernel estimate of {many:,} samples"
        numbers["energy"] = truth.energy_of(samples)
    log_p = truth.known.log_prob(samples).double()
    numbers["leak"] = float((log_p < truth.least).double().mean())
    if isinstance(model, Density) and not model.costly and bool(log_p.isfinite().all()):
        backward = float((_marginal(model, samples, seed) - log_p).mean())
        if backward >= 0 or bound != "lower":  # a bound below 0 says nothing
            numbers["reverse_kl"] = backward
    if truth.dataset.modes is not None:
        known = truth.dataset.modes
        modes = assign_modes(samples.float(), known.centres, SIGMAS * known.std)
        counts = torch.bincount(modes[modes != NO_MODE], minlength=len(known.centres))
        numbers["modes"] = int((counts >= REACHED * n / len(known.centres)).sum())
    return PlanarView(step, samples, density, origin, numbers, bound)


def _log_q(model: GenerativeModel, v: Tensor, y: Tensor | None, seed: int) -> Tensor:
    """(B,) float64, as an evaluation asks: by seed and number of the point."""
    source, parts = ModelSource(model, 1), []
    for low in range(0, len(v), BATCH):
        own = None if y is None else y[low : low + BATCH]
        parts.append(source.answers(v[low : low + BATCH], own, seed, low)["log_prob"]().double())
    return torch.cat(parts)


def _marginal(model: GenerativeModel, x: Tensor, seed: int, draws: int = 1) -> Tensor:
    """log q(x) (B,), over equally likely labels of a conditional model."""
    classes = model.num_classes if isinstance(model, Conditional) else None
    labels = [None] if classes is None else [torch.full((len(x),), label) for label in range(classes)]
    each = torch.stack([_bounded(model, x, y, seed, draws) for y in labels])
    return each.logsumexp(0) - math.log(len(labels))


@torch.no_grad()
def _bounded(model: GenerativeModel, x: Tensor, y: Tensor | None, seed: int, draws: int) -> Tensor:
    if draws > 1 and isinstance(model, LatentBound):
        device, parts = next(iter(model.parameters())).device, []
        for low in range(0, len(x), BATCH):
            own = None if y is None else y[low : low + BATCH].to(device)
            part = model.importance_log_prob(x[low : low + BATCH].to(device), own, k=draws, seed=seed)
            parts.append(part.cpu().double())
        return torch.cat(parts)
    return _log_q(model, x, y, seed)


def _own_density(truth: PlanarTruth, model: GenerativeModel, seed: int) -> tuple[Tensor, str]:
    assert isinstance(model, Density)
    labels = isinstance(model, Conditional) and model.num_classes is not None  # each of which is asked about
    cells = truth.cells if not model.costly else COSTLY_CELLS // 2 if labels else COSTLY_CELLS
    draws = DRAWS if isinstance(model, LatentBound) else 1
    found = _marginal(model, truth.grid(cells), seed, draws).exp().nan_to_num(posinf=0.0).view(cells, cells)
    if draws > 1:
        return found, f"bound by {draws} draws of the latent"
    return found, {"exact": "its own, exact", "lower": "a lower bound", "estimate": "its own, an estimate"}[model.bound]


def _kernel_density(truth: PlanarTruth, samples: Tensor) -> Tensor:
    """(cells, cells): counts in cells, smoothed by a normal kernel a quarter as wide as Scott's rule has it."""
    left, right, bottom, _ = truth.window
    cells, width = truth.cells, (right - left) / truth.cells
    places = ((samples.double() - torch.tensor([left, bottom])) / width).floor()
    inside = places[((places >= 0) & (places < cells)).all(1)].long()
    counts = torch.bincount(inside[:, 1] * cells + inside[:, 0], minlength=cells * cells).double().view(cells, cells)
    spread = float(samples.double().std(0).nan_to_num().mean())
    h = max(width, 0.25 * spread * len(samples) ** (-1 / 6))
    apart = (torch.arange(cells)[:, None] - torch.arange(cells)) * width
    kernel = torch.exp(-(apart.double() ** 2) / (2 * h * h)) / (h * math.sqrt(2 * math.pi))
    return kernel @ counts @ kernel / len(samples)


def caption(numbers: dict[str, Any], bound: str | None, modes: int | None) -> str:
    """ "KL 0.12 ± 0.01 nats, 8 of 8 modes, 1.2 % outside"."""
    said = []
    if "kl" in numbers:
        said.append(f"KL {NATS[bound or 'exact']}{numbers['kl']:.3g} ± {2 * numbers['kl_se']:.2g} nats")
    if "energy" in numbers:
        said.append(f"energy distance {numbers['energy']:.3g}")
    if "reverse_kl" in numbers:
        said.append(f"reverse KL {REVERSE[bound or 'exact']}{numbers['reverse_kl']:.3g}")
    if modes is not None:
        said.append(f"{int(numbers['modes'])} of {modes} modes")
    return ", ".join([*said, f"{100 * numbers['leak']:.1f} % of the samples outside"])


COLLAPSED = 0.75  # share of the modes below which a model has lost some
BRIDGES, ASTRAY = 0.05, 0.7  # shares of the samples outside: some of them, most of them


def verdict(numbers: dict[str, Any], modes: int | None) -> str:
    """The failure of a model that has ended its training, by name, or that there is none."""
    said = []
    if modes is not None and numbers["modes"] < COLLAPSED * modes:
        said.append(f"mode collapse: {int(numbers['modes'])} of {modes} modes are reached")
    if numbers["leak"] > BRIDGES:
        name = "bridges between modes" if numbers["leak"] < ASTRAY else "beside the data"
        beside = f"{100 * OUTSIDE:g} % of real points do"
        said.append(f"{name}: {100 * numbers['leak']:.0f} % of the samples lie where the data has none, {beside}")
    return "; ".join(said) or "neither mode collapse nor bridges between modes"
