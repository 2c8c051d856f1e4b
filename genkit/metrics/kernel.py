r"""The maximum mean discrepancy, the distance between mean embeddings in a kernel's space (Gretton et al. 2012).

With m rows x, n rows y and a kernel k, the unbiased estimate leaves the diagonals out and may be negative:

.. math:: MMD^2 = \frac{1}{m(m-1)} \sum_{i \ne j} k(x_i, x_j) + \frac{1}{n(n-1)} \sum_{i \ne j} k(y_i, y_j)
                  - \frac{2}{mn} \sum_{i,j} k(x_i, y_j).

* KID: the cubic kernel (x·y/D + 1)³ on features (Bińkowski et al. 2018), one estimate from all rows; averaged over
  pairs of random subsets for comparison with other programs.
* MMD: a sum over Gaussian kernels whose bandwidths are multiples of the reference's median distance — of the reference
  alone, since a bandwidth that depends on the samples makes the scores of two models incomparable.

Sums are taken over blocks of rows, or from moments where a polynomial's rows are many and its columns few. Intervals
are those of `discrepancy_error.py`; the spread over subsets, often quoted instead, is not the standard error of
anything.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from genkit.component import NonNegativeInt, PositiveFloat, PositiveInt
from genkit.data.kinds import Modality
from genkit.errors import ConfigError
from genkit.metrics.discrepancy_error import DiscrepancyError, Kernel
from genkit.metrics.distances import BLOCK_ELEMENTS, blocks, squared_distances
from genkit.metrics.pair_metric import PairMetric
from genkit.metrics.polynomial import polynomial_sums, worth_it
from genkit.noise import generator_of

DEGREE = 3  # of the polynomial kernel (Bińkowski et al. 2018)
MEDIAN_ROWS = 2000
# in which pairs are cut at least: nearly half of a square need not be computed, and what is stays in a core's cache
STRIPS = 8


@dataclass(frozen=True)
class PolynomialKernel:
    """(x·y/D + offset)^degree."""

    degree: int = DEGREE
    offset: float = 1.0

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        offset = torch.tensor(self.offset, dtype=x.dtype)
        return torch.addmm(offset, x, y.T, alpha=1.0 / x.shape[1]).pow_(self.degree)


@dataclass(frozen=True)
class GaussianKernel:
    """exp(−|x − y|² / (2 bandwidth²))."""

    bandwidth: float

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        return squared_distances(x, y).mul_(-0.5 / self.bandwidth**2).exp_()


class KernelSums(NamedTuple):
    """All that the estimate needs from the kernel matrices.

    Attributes:
        real: () sum of k(x_i, x_j) over i ≠ j.     fake: (n,) per y_j the sum of k(y_i, y_j) over i ≠ j.
        cross: (n,) per y_j the sum of k(x_i, y_j) over i.      m: number of real rows.
    """

    real: Tensor
    fake: Tensor
    cross: Tensor
    m: int


def kernel_sums(x: Tensor, y: Tensor, kernel: Kernel) -> KernelSums:
    """The sums of the kernel over real rows x (m, D) and fake rows y (n, D), in the way that costs less."""
    if isinstance(kernel, PolynomialKernel) and worth_it(x, y, kernel.degree, kernel.offset):
        return KernelSums(*polynomial_sums(x, y, kernel.degree, kernel.offset), len(x))
    return block_sums(x, y, kernel)


def block_sums(x: Tensor, y: Tensor, kernel: Kernel) -> KernelSums:
    """The sums of the kernel over real rows x (m, D) and fake rows y (n, D), block by block."""
    return KernelSums(_off_diagonal(x, kernel).sum(), _off_diagonal(y, kernel), _row_sums(y, x, kernel), len(x))


def mmd_squared(sums: KernelSums) -> Tensor:
    """The unbiased MMD² ()."""
    n, m = len(sums.fake), sums.m
    return sums.real / (m * (m - 1)) + sums.fake.sum() / (n * (n - 1)) - 2.0 * sums.cross.sum() / (m * n)


def kid(x: Tensor, y: Tensor, kernel: Kernel | None = None) -> Tensor:
    """The unbiased MMD² () of rows x (m, D) and y (n, D), float64, with the cubic kernel unless another is given."""
    return mmd_squared(kernel_sums(x, y, kernel or PolynomialKernel()))


def median_distance(rows: Tensor) -> Tensor:
    """The median () of the distances between different rows (n, D).

    Beyond 2,000 rows it is that of 2,000 of them, evenly spaced along the first column: the same for any order.
    Raises ConfigError where the median is 0.
    """
    if len(rows) > MEDIAN_ROWS:
        spaced = torch.linspace(0, len(rows) - 1, MEDIAN_ROWS, dtype=torch.float64).long()
        rows = rows[rows[:, 0].argsort(stable=True)[spaced]]
    median = torch.nn.functional.pdist(rows).median()
    if median == 0:
        raise ConfigError(
            "more than half of the reference's rows are equal: an MMD has no bandwidth there; use metric=kid"
        )
    return median


@dataclass(frozen=True)
class SumOfKernels:
    """Kernels added up."""

    kernels: Sequence[Kernel]

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        total = self.kernels[0](x, y)
        for kernel in self.kernels[1:]:
            total += kernel(x, y)
        return total


class KernelMetric(PairMetric, ABC):
    """An unbiased discrepancy; with its intervals."""

    units: ClassVar[str] = "kernel"
    least: ClassVar[int] = 3

    def interval(self, repeats: int, seed: int) -> tuple[float, float]:
        return self.error().interval(float(self.compute()))

    def redrawn_interval(self, repeats: int, seed: int) -> tuple[float, float]:
        return self.error().redrawn_interval(float(self.compute()))

    @abstractmethod
    def error(self) -> DiscrepancyError:
        """The standard errors of the full estimate."""


class KernelDistance(KernelMetric):
    """KID, from all rows at once.

    References:
        Demystifying MMD GANs (Bińkowski et al., 2018), 1801.01401.

    Args:
        degree: Of the polynomial kernel.
        offset: Added to x·y/D before the power.
    """

    def __init__(self, degree: PositiveInt = DEGREE, offset: PositiveFloat = 1.0) -> None:
        super().__init__()
        self.kernel = PolynomialKernel(degree, offset)

    def compute(self) -> Tensor:
        """(), unbiased, so it may be negative."""
        return mmd_squared(self._sums())

    def error(self) -> DiscrepancyError:
        return DiscrepancyError.of(*self.rows(), self.kernel)

    def params(self) -> dict[str, Any]:
        return {"estimator": "full", "degree": self.kernel.degree, "offset": self.kernel.offset}

    def _sums(self) -> KernelSums:
        return self.once(lambda real, fake: kernel_sums(real, fake, self.kernel))


class SubsetKernelDistance(KernelMetric):
    """KID as the mean over pairs of random subsets, the form that most programs print.

    The interval is the full estimate's. From either side √`subsets` subsets are drawn and each is paired with each, so
    that terms within a subset are computed once for many pairs. They are pieces of a random order of the rows, of
    another one where no whole piece is left: rows count as equally as can be, and the mean varies no more than over
    independent draws.

    References:
        Demystifying MMD GANs (Bińkowski et al., 2018), 1801.01401.

    Args:
        subsets: How many pairs of subsets.
        subset_size: Rows in a subset, drawn without replacement.
        seed: Of the draws.
        degree: Of the polynomial kernel.
        offset: Added to x·y/D before the power.
    """

    def __init__(
        self,
        subsets: PositiveInt = 100,
        subset_size: PositiveInt = 1000,
        seed: NonNegativeInt = 0,
        degree: PositiveInt = DEGREE,
        offset: PositiveFloat = 1.0,
    ) -> None:
        super().__init__()
        if subset_size < 2:
            raise ConfigError(f"subset_size={subset_size}: a subset needs at least 2 rows")
        self.subsets, self.subset_size, self.seed = subsets, subset_size, seed
        self.kernel = PolynomialKernel(degree, offset)

    def compute(self) -> Tensor:
        """(). Raises ConfigError where a subset is larger than a set."""
        real, fake = self.rows()
        least = min(len(real), len(fake))
        if self.subset_size > least:
            raise ConfigError(
                f"subset_size={self.subset_size} of {least:,} samples: lower it, raise n=, or use metric=kid"
            )
        generator, side = generator_of(self.seed, "kid"), ceil(sqrt(self.subsets))
        reals, fakes = ([rows[part] for part in self._drawn(len(rows), side, generator)] for rows in (real, fake))
        among_real, among_fake = ([_mean_off_diagonal(x, self.kernel) for x in drawn] for drawn in (reals, fakes))
        total = torch.zeros((), dtype=real.dtype)
        for i, j in (divmod(pair, side) for pair in range(self.subsets)):
            between = _row_sums(reals[i], fakes[j], self.kernel).mean() / self.subset_size
            total += among_real[i] + among_fake[j] - 2.0 * between
        return total / self.subsets

    def error(self) -> DiscrepancyError:
        return DiscrepancyError.of(*self.rows(), self.kernel)

    def params(self) -> dict[str, Any]:
        draws = {"subsets": self.subsets, "subset_size": self.subset_size, "seed": self.seed}
        return {"estimator": "subsets", "degree": self.kernel.degree, "offset": self.kernel.offset, **draws}

    def _drawn(self, n: int, count: int, generator: torch.Generator) -> list[Tensor]:
        """`count` sets of row numbers below n, cut from as many random orders as it takes."""
        found: list[Tensor] = []
        while len(found) < count:
            order = torch.randperm(n, generator=generator)
            found += order[: n - n % self.subset_size].split(self.subset_size)
        return found[:count]


class GaussianDiscrepancy(KernelMetric):
    """Unbiased MMD² of the raw values, summed over Gaussian kernels of several bandwidths.

    References:
        A Kernel Two-Sample Test (Gretton et al., JMLR 2012).

    Args:
        bandwidths: Multiples of the reference's median distance.
    """

    sources: ClassVar[tuple[str, str]] = ("real", "fake")
    modalities: ClassVar[tuple[Modality, ...]] = ("vector",)
    uses_features: ClassVar[bool] = False

    def __init__(self, bandwidths: tuple[PositiveFloat, ...] = (0.5, 1.0, 2.0, 5.0)) -> None:
        super().__init__()
        if not bandwidths:
            raise ConfigError("metric.mmd.bandwidths is empty: give at least one multiple of the median distance")
        self.bandwidths = tuple(bandwidths)

    def compute(self) -> Tensor:
        """(), the sum over the bandwidths, unbiased, so it may be negative."""
        return torch.stack([mmd_squared(sums) for sums in self.once(self._found)[0]]).sum()

    def error(self) -> DiscrepancyError:
        return self.once(self._found)[1]

    def params(self) -> dict[str, Any]:
        return {"kernel": "gaussian", "bandwidths": list(self.bandwidths), "times": "median of the reference"}

    def findings(self) -> dict[str, Any]:
        return {"each": [float(mmd_squared(sums)) for sums in self.once(self._found)[0]]}

    def _found(self, real: Tensor, fake: Tensor) -> tuple[list[KernelSums], DiscrepancyError]:
        centre = real.mean(0)
        real, fake = real - centre, fake - centre
        median = float(median_distance(real))
        kernels = [GaussianKernel(median * multiple) for multiple in self.bandwidths]
        error = DiscrepancyError.of(real, fake, SumOfKernels(kernels))
        return [kernel_sums(real, fake, kernel) for kernel in kernels], error


def _row_sums(rows: Tensor, others: Tensor, kernel: Kernel) -> Tensor:
    """(n,): per row the sum of its kernel with all of the others."""
    sums = rows.new_empty(len(rows))
    for part in _strips(len(rows), len(others)):
        sums[part] = kernel(rows[part], others).sum(1)
    return sums


def _mean_off_diagonal(rows: Tensor, kernel: Kernel) -> Tensor:
    """(): the mean kernel of two different rows (n, D)."""
    return _off_diagonal(rows, kernel).sum() / (len(rows) * (len(rows) - 1))


def _off_diagonal(rows: Tensor, kernel: Kernel) -> Tensor:
    """(n,): per row the sum of its kernel with every other row; each pair is computed once."""
    n = len(rows)
    sums = rows.new_zeros(n)
    for part in _strips(n, n):
        matrix = kernel(rows[part], rows[part.start :])
        matrix.diagonal().zero_()
        sums[part] += matrix.sum(1)
        sums[part.stop :] += matrix[:, part.stop - part.start :].sum(0)
    return sums


def _strips(n: int, columns: int) -> Iterator[slice]:
    """Blocks of n rows, at least STRIPS of them."""
    return blocks(n, max(columns, BLOCK_ELEMENTS * STRIPS // max(n, 1)))
