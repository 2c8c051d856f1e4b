r"""The standard error of a squared kernel discrepancy of n samples and N reference rows.

.. math:: D = E k(x, x') + E k(y, y') - 2 E k(x, y)

is a U-statistic in both sets. With the centred kernels k̃ (row and column means taken out, each under its own law), and
the influence a(y) = E k(y, y') − E k(y, x) of a sample, b(x) likewise of a reference row, its variance over draws of
both sides is (Hoeffding 1948)

.. math:: \frac{4 \operatorname{var} a}{n} + \frac{4 \operatorname{var} b}{N}
          + \frac{2 E \tilde k_{yy}^2}{n^2} + \frac{2 E \tilde k_{xx}^2}{N^2} + \frac{4 E \tilde k_{xy}^2}{n N},

and over draws of the samples alone, for a given reference, 4 (var a + E k̃_xy²/N)/n + 2 E k̃_yy²/n². The first two terms
vanish where the distributions are equal: what is left is what a jackknife counts twice. So var a is estimated from row
means less the variance E k̃² that these means have themselves.

Everything is estimated from at most ROWS rows of each side, evenly spaced: that makes the error of an error 3 %, and
costs next to nothing. An energy distance is the same with k = −|x − y|.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor

from genkit.metrics.interval import normal_interval

ROWS = 1000
LEAST = 0.4  # of the quadratic part, as in `frechet_error.py`

Kernel = Callable[[Tensor, Tensor], Tensor]  # (n, D), (m, D) -> (n, m)


@dataclass(frozen=True)
class DiscrepancyError:
    """Standard deviations of a discrepancy over draws of the samples, and over draws of both sides."""

    sd: float
    redrawn_sd: float

    @classmethod
    def of(cls, real: Tensor, fake: Tensor, kernel: Kernel) -> DiscrepancyError:
        """Estimate them from real (N, D) and fake (n, D) rows, at least three each, float64."""
        m, n = len(real), len(fake)
        x, y = _some(real), _some(fake)
        (xx, rows_x), (yy, rows_y) = _within(kernel(x, x)), _within(kernel(y, y))
        cross = kernel(y, x)
        xy = _centred_square(cross)
        var_a = float((rows_y - cross.mean(1)).var()) - yy / (len(y) - 1) - xy / len(x)
        var_b = float((rows_x - cross.mean(0)).var()) - xx / (len(x) - 1) - xy / len(y)
        own = 2.0 * yy / n**2
        sd = _sd(4.0 * var_a / n, 4.0 * xy / (n * m) + own)
        redrawn_sd = _sd(4.0 * var_a / n + 4.0 * var_b / m, own + 2.0 * xx / m**2 + 4.0 * xy / (n * m))
        return cls(sd, max(sd, redrawn_sd))  # both are estimates, and more is drawn for the second

    def interval(self, value: float, least: float = -float("inf")) -> tuple[float, float]:
        """95 % for the mean of n samples against this reference."""
        return normal_interval(value, self.sd, least)

    def redrawn_interval(self, value: float, least: float = -float("inf")) -> tuple[float, float]:
        """95 % for the mean of n samples against N reference rows, both drawn again."""
        return normal_interval(value, self.redrawn_sd, least)


def _sd(linear: float, quadratic: float) -> float:
    """The root of both; the linear part is an unbiased estimate, which is below 0 by chance where it should be 0."""
    return sqrt(max(linear + quadratic, LEAST * quadratic))


def _some(rows: Tensor) -> Tensor:
    """At most ROWS of the rows, evenly spaced."""
    if len(rows) <= ROWS:
        return rows
    return rows[torch.linspace(0, len(rows) - 1, ROWS, dtype=torch.float64).round().long()]


def _within(matrix: Tensor) -> tuple[float, Tensor]:
    """Of a kernel (n, n) of rows with themselves: E k̃² over pairs of different rows, and their row means (n,)."""
    n = len(matrix)
    matrix.diagonal().zero_()
    means = matrix.sum(1) / (n - 1)
    square = matrix.square().sum() / (n * (n - 1)) - 2.0 * means.square().mean() + means.mean().square()
    return max(float(square), 0.0), means


def _centred_square(matrix: Tensor) -> float:
    """E k̃² of a kernel (n, m) between two sets."""
    rows, columns = matrix.mean(1), matrix.mean(0)
    square = matrix.square().mean() - rows.square().mean() - columns.square().mean() + matrix.mean().square()
    return max(float(square), 0.0)
