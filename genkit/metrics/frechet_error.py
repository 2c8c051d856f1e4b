r"""The bias and the standard error of a Fréchet distance between n samples and N reference rows, in closed form.

The distance FD(m₁, C₁; m₂, C₂) is smooth in the moments of either side, whose estimates are nearly normal, so it is
known to second order. With C₁ = R Rᵀ, the eigenpairs Rᵀ C₂ R = U diag(s²) Uᵀ and, for a centred row x of either side,

.. math:: z_2 = U^T R^T x_2, \qquad z_1 = \operatorname{diag}(s)\, U^T R^{+} x_1,

both with covariance diag(s²), the influence of one row on the distance is

.. math:: \psi(x) = 2\, x \cdot (m_{own} - m_{other}) + |x|^2 - \sum_i z_i^2 / s_i,

and the second derivative along a change E of the covariance, written in z, is Σ E_ij² / h_ij with
h_ij = s_i s_j (s_i + s_j). With W_ij the variance of z_i z_j over the rows, V = C₁/N + C₂/n and G = W₁/N + W₂/n:

* bias = tr V + ½ Σ G_ij / h_ij, which for two white Gaussians is the textbook D (1 + (D + 1)/4) (1/n + 1/N);
* var = var ψ₁/N + var ψ₂/n − q, q = 2 tr V² + Σ_{ij} (G_ij / h_ij)² − ½ Σ_i (G_ii / h_ii)².

Without q, the variance of the second-order term, the plug-in variance counts that term twice: intervals of a model that
is as good as real data came out 40 % too wide, those of a bootstrap 70 %. Features need not be normal, W is measured.
Where the reference counts as fixed, only the samples' terms of var and q are kept.

The distance is skewed where it is small: an interval is taken on the scale FD^¾, between the distance itself and its
root, with the quantile and the least variance that covered best in `scripts/interval_coverage.py`.

Influence functions and the delta method: van der Vaart, Asymptotic Statistics (1998), chapter 20.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor

from genkit.metrics.moments import RELATIVE_CUT, Moments, gram

QUANTILE = 2.06  # of a standardised distance at 97.5 %; the normal one is 1.96
POWER = 0.75
LEAST = 0.4  # of q: the plug-in variance less q may come out near 0 by chance


def too_few(counts: Mapping[str, int], dim: int) -> str | None:
    """Say which side has no more rows than feature dimensions, so that its covariance is singular; None for none."""
    few = [f"{n:,} {what}" for what, n in counts.items() if n <= dim]
    said = f"{' and '.join(few)} in {dim:,} feature dimensions: too few for a stable value or an interval"
    return said if few else None


@dataclass(frozen=True)
class FrechetError:
    """The bias and the standard errors of a Fréchet distance, from the moments of both sides.

    Attributes:
        bias: How far the distance lies above that of infinitely many rows, on average, to second order.
        sd: Its standard deviation over draws of the samples.
        redrawn_sd: Over draws of the samples and of the reference.
        rows: N and n.
        columns: D.
    """

    bias: float
    sd: float
    redrawn_sd: float
    rows: tuple[int, int]
    columns: int

    @classmethod
    def of(cls, real: Tensor, fake: Tensor, *, moments: tuple[Moments, Moments] | None = None) -> FrechetError | None:
        """Estimate from real (N, D) and fake (n, D) rows, float64; None for no more rows than columns on a side.

        With `moments` of both sides, the rows are a sample of those that they are of.
        """
        left, right = moments or (Moments.of(real), Moments.of(fake))
        if min(left.count, right.count) <= real.shape[1]:
            return None
        sides = _sides(left, right, real, fake)
        if sides is None:
            return None
        one, both = sides[1], sides[0].plus(sides[1])
        redrawn_sd = max(one.sd(), both.sd())  # both are estimates, and more is drawn for the second
        return cls(both.bias(), one.sd(), redrawn_sd, (left.count, right.count), real.shape[1])

    def interval(self, distance: float) -> tuple[float, float]:
        """95 % for the mean distance of n samples to this reference."""
        return _interval(distance, self.sd)

    def redrawn_interval(self, distance: float) -> tuple[float, float]:
        """95 % for the mean distance of n samples to N reference rows, both drawn again."""
        return _interval(distance, self.redrawn_sd)


@dataclass(frozen=True)
class _Side:
    """One side's share of the expansion: var ψ / n, C / n (D, D), W / n (r, r), and h (r, r) of both."""

    linear: float
    means: Tensor
    products: Tensor
    curvature: Tensor

    def plus(self, other: _Side) -> _Side:
        means, products = self.means + other.means, self.products + other.products
        return _Side(self.linear + other.linear, means, products, self.curvature)

    def bias(self) -> float:
        return float(self.means.trace() + (self.products / self.curvature).sum() / 2)

    def sd(self) -> float:
        ratio = self.products / self.curvature
        diagonal = ratio.diagonal().square().sum() / 2
        quadratic = float(2 * self.means.square().sum() + ratio.square().sum() - diagonal)
        return sqrt(max(self.linear - quadratic, LEAST * quadratic))


def _sides(left: Moments, right: Moments, real: Tensor, fake: Tensor) -> tuple[_Side, _Side] | None:
    """The reference's and the samples' share; None where the two have no direction in common."""
    factor = left.factor
    values, axes = torch.linalg.eigh(factor.T @ right.covariance @ factor)
    keep = values > RELATIVE_CUT * values.amax() if len(values) else values > 0
    if not bool(keep.any()):
        return None
    s, axes = values[keep].sqrt(), axes[:, keep]
    curvature = s[:, None] * s * (s[:, None] + s)
    shift = left.mean - right.mean
    # the columns of R are orthogonal, so this is its pseudo-inverse, transposed
    inverse = factor / factor.square().sum(0)
    one = _side(real - left.mean, shift, (inverse @ axes) * s, left, s, curvature)
    return one, _side(fake - right.mean, -shift, factor @ axes, right, s, curvature)


def _side(rows: Tensor, shift: Tensor, to_z: Tensor, moments: Moments, s: Tensor, curvature: Tensor) -> _Side:
    """Of centred rows (n, D), with the map (D, r) from them to z."""
    n, m, z = moments.count, len(rows), rows @ to_z
    second = torch.diag((n - 1) / n * s.square()) if m == n else gram(z) / m  # known, but for a sample's own
    squares = z.square_()
    influence = 2.0 * (rows @ shift) + torch.linalg.vector_norm(rows, dim=1).square() - squares @ (1.0 / s)
    spread = gram(squares) / m - second.square()
    return _Side(float(influence.var()) / n, moments.covariance / n, spread / n, curvature)


def _interval(distance: float, sd: float) -> tuple[float, float]:
    if distance <= 0.0:
        return 0.0, QUANTILE * sd
    middle, half = distance**POWER, QUANTILE * sd * POWER * distance ** (POWER - 1.0)
    return max(middle - half, 0.0) ** (1.0 / POWER), (middle + half) ** (1.0 / POWER)
