r"""Distributions on the plane with exact densities: the ground truth of the toys.

Every one is a law p(x) on ℝ² that can be drawn from and whose log p(x) is known, so that a likelihood has a truth to be
measured against. Three constructions cover all of them:

* **Mixture.** p(x) = Σ_k w_k N(x; c_k, s² I), the w_k summing to 1.
* **Noisy curve.** A point c(t) of a curve plus N(0, s² I): p(x) = ∫ w(t) N(x; c(t), s² I) dt. Over a full circle of
  radius R the integral is a Bessel function,

  .. math:: p(x) = \frac{1}{2\pi s^2} \exp\Big(-\frac{|x|^2 + R^2}{2 s^2}\Big) I_0\Big(\frac{|x| R}{s^2}\Big);

  over an arc or a spiral it is Gauss-Legendre quadrature, a mixture with many components. The integrand is analytic, so
  the error falls as exp(−2π² s²/h²) with the spacing h of the nodes along the curve: only rounding, wherever a point
  can fall.
* **Change of variables.** A rotation by an angle that depends on the radius alone preserves area, so a Gaussian bent
  into the arm of a pinwheel keeps its density.

Sizes follow the field (Grathwohl et al., FFJORD, 2018, 1810.01367; Srivastava et al., VEEGAN, 2017, 1705.07761), scaled
so that every toy fits into [−5, 5]².
"""

from abc import abstractmethod
from math import log, pi

import numpy as np
import torch
from torch import Tensor

from genkit.data.dataset import KnownDensity, KnownModes

ROWS = 1024  # rows of a density at once: bounds the (rows, nodes) table of a curve to a few megabytes


class Planar(KnownDensity):
    """A distribution on ℝ² with labels 0 … num_classes−1, which name the part of the picture that a point belongs to.

    Attributes:
        num_classes: Number of labels.
        modes: The modes, if it is a uniform mixture of isotropic Gaussians.
    """

    num_classes: int
    modes: KnownModes | None = None

    @abstractmethod
    def sample(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """n points (n, 2) float64 and their labels (n,) int64."""

    def labels(self, n: int, generator: torch.Generator) -> Tensor:
        """n uniform labels (n,) int64."""
        return torch.randint(self.num_classes, (n,), generator=generator)


def uniform(n: int, generator: torch.Generator) -> Tensor:
    """(n,) float64 uniform in [0, 1)."""
    return torch.rand(n, generator=generator, dtype=torch.float64)


def normal(n: int, std: float, generator: torch.Generator) -> Tensor:
    """(n, 2) float64 with independent N(0, std²) entries."""
    return std * torch.randn(n, 2, generator=generator, dtype=torch.float64)


def on_circle(angle: Tensor) -> Tensor:
    """Angles (…) in radians to points (…, 2) of the unit circle."""
    return torch.stack([angle.cos(), angle.sin()], dim=-1)


def mixture_log_prob(x: Tensor, centres: Tensor, log_weights: Tensor, std: float) -> Tensor:
    """log Σ_k w_k N(x; c_k, s² I) for x (B, 2), centres (K, 2), log_weights (K,): (B,) float64."""
    x = x.to(torch.float64) / std
    centres = centres / std
    offset = log_weights - centres.square().sum(1) / 2  # (K,); |x − c|² is expanded, so that the table is one product
    parts = [torch.logsumexp(torch.addmm(offset, rows, centres.T), dim=1) for rows in x.split(ROWS)]
    return torch.cat(parts) - x.square().sum(1) / 2 - log(2 * pi * std**2)


class IsotropicMixture(Planar):
    """K equally likely Gaussians N(c_k, s² I); the label is the component."""

    def __init__(self, centres: Tensor, std: float) -> None:
        self.centres = centres.to(torch.float64)  # (K, 2)
        self.std = std
        self.num_classes = len(centres)
        self.modes = KnownModes(self.centres.to(torch.float32), std)

    def sample(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        y = self.labels(n, generator)
        return self.centres[y] + normal(n, self.std, generator), y

    def log_prob(self, x: Tensor) -> Tensor:
        weights = torch.full((self.num_classes,), -log(self.num_classes), dtype=torch.float64)
        return mixture_log_prob(x, self.centres, weights, self.std)


class EightGaussians(IsotropicMixture):
    """Eight Gaussians of σ 0.2 on a circle of radius 2, anticlockwise from (2, 0)."""

    def __init__(self) -> None:
        super().__init__(2 * on_circle(torch.arange(8, dtype=torch.float64) * pi / 4), std=0.2)


class TwentyFiveGaussians(IsotropicMixture):
    """A 5x5 grid of Gaussians, spacing 2, variance 0.0025, row by row (PacGAN: Lin et al. 2017, 1712.04086)."""

    def __init__(self) -> None:
        side = torch.arange(-4, 5, 2)
        super().__init__(torch.cartesian_prod(side, side), std=0.05)


class Checkerboard(Planar):
    """The uniform distribution on eight unit squares of a chessboard over [−2, 2]²: p = 1/8 inside, 0 outside.

    The label is the square, row by row from the lower left. Points are the middles of 2²⁰ bins per side, so that
    rounding to float32 carries none of them over an edge.
    """

    num_classes = 8

    def sample(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        y = self.labels(n, generator)
        row, column = y // 2, 2 * (y % 2) + (y // 2) % 2
        corner = torch.stack([column, row], dim=1) - 2
        inside = (torch.randint(2**20, (n, 2), generator=generator) + 0.5) / 2**20
        return corner + inside.to(torch.float64), y

    def log_prob(self, x: Tensor) -> Tensor:
        square = torch.floor(x.to(torch.float64))
        black = (square.sum(1) % 2 == 0) & (square >= -2).all(1) & (square < 2).all(1)
        return torch.where(black, torch.tensor(-log(8), dtype=torch.float64), -torch.inf)


class NoisyCircles(Planar):
    """Concentric circles of radii R_k, equally likely, with Gaussian noise; the label is the circle."""

    def __init__(self, radii: tuple[float, ...], std: float) -> None:
        self.radii = torch.tensor(radii, dtype=torch.float64)
        self.std = std
        self.num_classes = len(radii)

    def sample(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        y = self.labels(n, generator)
        on_ring = self.radii[y, None] * on_circle(2 * pi * uniform(n, generator))
        return on_ring + normal(n, self.std, generator), y

    def log_prob(self, x: Tensor) -> Tensor:
        r = x.to(torch.float64).norm(dim=1, keepdim=True)  # (B, 1)
        bessel = torch.special.i0e(r * self.radii / self.std**2).log()  # log I₀(u) − u
        parts = bessel - (r - self.radii).square() / (2 * self.std**2)  # (B, K)
        return torch.logsumexp(parts, dim=1) - log(self.num_classes * 2 * pi * self.std**2)


class Circles(NoisyCircles):
    """Two circles, the inner of half the radius, σ 0.08 of the outer radius 2."""

    def __init__(self) -> None:
        super().__init__(radii=(2.0, 1.0), std=0.16)


class Rings(NoisyCircles):
    """Four thin rings."""

    def __init__(self) -> None:
        super().__init__(radii=(0.75, 1.5, 2.25, 3.0), std=0.08)


class NoisyCurve(Planar):
    """A curve and its half turn about the origin, equally likely, with Gaussian noise; the label is the copy.

    A subclass gives the curve c(t) over t in [0, 1], where t has the density p t^(p−1): p = 1 is uniform, p = 2 makes
    up for a radius that grows with t.

    Args:
        std: Standard deviation s of the noise.
        power: p.
        nodes: Nodes of the quadrature over one copy; a higher order than needed costs accuracy as well as time.
    """

    num_classes = 2

    def __init__(self, std: float, power: int, nodes: int) -> None:
        self.std, self.power = std, power
        t, weights = (torch.from_numpy(part) / 2 for part in np.polynomial.legendre.leggauss(nodes))
        t = t + 0.5
        points, weights = self.curve(t), power * t ** (power - 1) * weights / 2
        self.centres = torch.cat([points, -points])
        self.log_weights = torch.cat([weights, weights]).log()

    @abstractmethod
    def curve(self, t: Tensor) -> Tensor:
        """t (n,) in [0, 1] to points (n, 2) of copy 0."""

    def sample(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        y = self.labels(n, generator)
        points = self.curve(uniform(n, generator) ** (1 / self.power))
        return (1 - 2 * y[:, None]) * points + normal(n, self.std, generator), y

    def log_prob(self, x: Tensor) -> Tensor:
        return mixture_log_prob(x, self.centres, self.log_weights, self.std)


class TwoMoons(NoisyCurve):
    """Two interleaved half circles of radius 2, each the other turned by a half turn, σ 0.2."""

    def __init__(self) -> None:
        super().__init__(std=0.2, power=1, nodes=96)

    def curve(self, t: Tensor) -> Tensor:
        return 2 * on_circle(pi * t) - torch.tensor([1.0, 0.5], dtype=torch.float64)


class Spiral(NoisyCurve):
    """Two interleaved Archimedean spirals of one and a half turns, radius up to π, σ 0.1."""

    def __init__(self) -> None:
        super().__init__(std=0.1, power=2, nodes=384)

    def curve(self, t: Tensor) -> Tensor:
        return pi * t[:, None] * on_circle(3 * pi * t)


class Pinwheel(Planar):
    """Five bent arms; the label is the arm (after Johnson et al. 2016, 1603.06277).

    An arm is N((2, 0), diag(0.6², 0.2²)), turned by θ_k + e^{r/2}/4 with r the radius of the point. The bend depends on
    the radius alone, so it preserves area and p(x) is the Gaussian's density at the point turned back.
    """

    num_classes = 5
    mean = torch.tensor([2.0, 0.0], dtype=torch.float64)
    std = torch.tensor([0.6, 0.2], dtype=torch.float64)

    def sample(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        y = self.labels(n, generator)
        straight = self.mean + self.std * normal(n, 1.0, generator)
        radius = straight.norm(dim=1)
        angle = torch.atan2(straight[:, 1], straight[:, 0]) + self.turn(radius, y)
        return radius[:, None] * on_circle(angle), y

    def log_prob(self, x: Tensor) -> Tensor:
        x = x.to(torch.float64)
        radius = x.norm(dim=1, keepdim=True)  # (B, 1)
        angle = torch.atan2(x[:, 1:], x[:, :1]) - self.turn(radius, torch.arange(self.num_classes))  # (B, K)
        straight = radius[..., None] * on_circle(angle)  # (B, K, 2)
        square = ((straight - self.mean) / self.std).square().sum(-1)
        return torch.logsumexp(-square / 2, dim=1) - log(2 * pi * self.num_classes) - float(self.std.log().sum())

    def turn(self, radius: Tensor, y: Tensor) -> Tensor:
        """The angle by which arm y is turned at a radius."""
        return 2 * pi * y / self.num_classes + (radius.clamp(max=10.0) / 2).exp() / 4  # finite for any point
