r"""The Fréchet distance between Gaussians fitted to two sets of features (Heusel et al. 2017, 1706.08500).

.. math:: FD = |m_1 - m_2|^2 + \operatorname{tr} S_1 + \operatorname{tr} S_2 - 2 \operatorname{tr} (S_1 S_2)^{1/2}

with means m and unbiased covariances S. The product S₁S₂ is not symmetric, and a general matrix root of it is slow and
unstable. Instead S₁ = R Rᵀ, and S₁S₂ has the eigenvalues of the symmetric Rᵀ S₂ R. Directions in which S₁ has less than
10⁻¹² of its largest variance are left out of R: their rounding noise of 10⁻¹⁶ would come through the root as 10⁻⁸.
With fewer rows than columns the trace is the nuclear norm (sum of singular values) of A Bᵀ, n₁ x n₂, where A and B are
the centred rows over √(n − 1); then no D x D matrix is formed.

The distance is one of moments, which are summed in the order in which rows come; the rows themselves serve its error
alone. Beyond 256 MB of a side they are folded into moments as they come, so that memory does not grow with their
number, and the error is taken from a sample of them (`folding.py`).

The estimate is biased upwards: two sets of n rows of the same white Gaussian are at 2D/n + D(D + 1)/(2n) on average. It
means something only beside its value for real data at the same n; `frechet_error.py` has its bias and its error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from genkit.errors import NumericalError
from genkit.metrics.base import Probe, Requirement
from genkit.metrics.folding import RowFold, check_finite, folded_rows, joined_moments, unpacked
from genkit.metrics.frechet_error import FrechetError, too_few
from genkit.metrics.moments import RELATIVE_CUT, Moments, covariance_factor
from genkit.metrics.pair_metric import PairMetric

SIDES = ("real", "fake")
UNBIASED_ROWS = 50  # rows per column beyond which the bias is below what a score can tell


def frechet_distance(mean1: Tensor, cov1: Tensor, mean2: Tensor, cov2: Tensor) -> Tensor:
    """The distance () of two Gaussians given by means (D,) and covariances (D, D), float64.

    Raises NumericalError where the result is negative beyond rounding.
    """
    return _distance(mean1 - mean2, cov1, covariance_factor(cov1), cov2)


def frechet_distance_of_rows(x: Tensor, y: Tensor) -> Tensor:
    """The distance () of rows (n₁, D) and (n₂, D), float64, both fewer than D: no (D, D) matrix is formed."""
    a, b = (_scaled(rows) for rows in (x, y))
    overlap = torch.linalg.svdvals(a @ b.T).sum()
    return _assemble(x.mean(0) - y.mean(0), a.square().sum() + b.square().sum(), overlap)


class ReferenceMoments(NamedTuple):
    """A Gaussian that many others are compared with: mean (D,), trace () and factor (D, r) of its covariance."""

    mean: Tensor
    trace: Tensor
    factor: Tensor

    @classmethod
    def of(cls, rows: Tensor) -> ReferenceMoments:
        """Fitted to rows (n, D); the factor comes from a thin decomposition of the rows where n ≤ D."""
        if len(rows) > rows.shape[1]:
            moments = Moments.of(rows)
            return cls(moments.mean, moments.covariance.trace(), covariance_factor(moments.covariance))
        scaled = _scaled(rows)
        _, scales, axes = torch.linalg.svd(scaled, full_matrices=False)
        keep = scales.square() > RELATIVE_CUT * scales.square().max()
        return cls(rows.mean(0), scaled.square().sum(), axes[keep].T * scales[keep])


def weighted_distances(real: Tensor, fake: Tensor, weights: Iterable[Tensor]) -> Tensor:
    """The distances of `real` to `fake` with each row counted so often, for each of the `weights` (n,).

    The factor of `real` is computed once; Rᵀ S₂ R is one weighted product of the fake rows projected on R.
    """
    reference = ReferenceMoments.of(real)
    centre = fake.mean(0)
    centred = fake - centre
    projected, squares = centred @ reference.factor, centred.square().sum(1)
    distances = []
    for counts in weights:
        w = counts.to(torch.float64)
        n = w.sum()
        mean = w @ centred / n
        trace = (w @ squares - n * mean.square().sum()) / (n - 1)
        shift = mean @ reference.factor
        gram = (projected.T @ (projected * w[:, None]) - n * torch.outer(shift, shift)) / (n - 1)
        overlap = _trace_root(_symmetric(gram))
        distances.append(float(_assemble(centre + mean - reference.mean, reference.trace + trace, overlap)))
    return torch.tensor(distances, dtype=torch.float64)


class FrechetDistance(PairMetric):
    """The Fréchet distance of features; with features of Inception-v3 it is the FID.

    References:
        GANs Trained by a Two Time-Scale Update Rule … (Heusel et al., 2017), 1706.08500.
        Eigenvalues in place of the matrix root: Mathiasen & Hvilshøj, 2020, 2009.14075.
    """

    units: ClassVar[str] = "feature²"

    real_moments: list[Tensor]
    fake_moments: list[Tensor]
    real_sample: list[Tensor]
    fake_sample: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        for name in SIDES:
            self.add_state(f"{name}_moments", default=[], dist_reduce_fx="cat")
            self.add_state(f"{name}_sample", default=[], dist_reduce_fx="cat")
        self._folds = {name: RowFold() for name in SIDES}
        self._fitted: dict[str, Moments] = {}
        self._known_error: tuple[tuple[int, ...], FrechetError | None] | None = None

    def reset(self) -> None:
        super().reset()
        self._folds, self._fitted, self._known_error = {name: RowFold() for name in SIDES}, {}, None

    def update(self, probe: Probe) -> None:
        """Keep the rows of one batch, or their moments where there are more than memory is given to."""
        super().update(probe)
        for name in SIDES:
            if pieces := self.pieces(name):
                left = self._folds[name].fold(pieces, *self._folded_of(name, pieces[0]))
                if left is not pieces:
                    setattr(self, name, left)

    def compute(self) -> Tensor:
        """() ≥ 0. Raises ConfigError for fewer than two rows on a side, NumericalError for rows that are not finite."""
        real, fake = (self.pieces(name) if self._folded else self._enough(name) for name in SIDES)
        self._check_columns(real[0], fake[0])
        if max(map(self._count, SIDES)) < real[0].shape[1]:
            return frechet_distance_of_rows(*(torch.cat(self._checked(name)) for name in SIDES))
        left, right = map(self._moments, SIDES)
        return _distance(left.mean - right.mean, left.covariance, left.factor, right.covariance)

    def rows(self) -> tuple[Tensor, Tensor]:
        """As of any pair of sets; of what was folded the sample."""
        real, fake = super().rows()
        if not self._folded:
            return real, fake
        return _joined(self.real_sample, real), _joined(self.fake_sample, fake)

    def interval(self, repeats: int, seed: int) -> tuple[float, float] | None:
        """The delta method, corrected to second order; None for no more rows than columns."""
        return None if (error := self._error()) is None else error.interval(float(self.compute()))

    def redrawn_interval(self, repeats: int, seed: int) -> tuple[float, float] | None:
        return None if (error := self._error()) is None else error.redrawn_interval(float(self.compute()))

    def too_few(self, counts: Mapping[str, int], dim: int | None) -> str | None:
        return None if dim is None else too_few(counts, dim)

    def bias_corrected(self) -> float | None:
        """The distance less its bias to second order, where fewer than 50 D rows make that matter."""
        error = self._error()
        if error is None or min(error.rows) >= UNBIASED_ROWS * error.columns:
            return None
        return float(self.compute()) - error.bias

    def _error(self) -> FrechetError | None:
        real, fake = self.rows()
        counts = tuple(map(self._count, SIDES))
        if self._known_error is None or self._known_error[0] != counts:
            few = min(counts) <= real.shape[1]
            moments = None if few else (self._moments("real"), self._moments("fake"))
            self._known_error = counts, None if few else FrechetError.of(real, fake, moments=moments)
        return self._known_error[1]

    @property
    def _folded(self) -> bool:
        return any(map(len, (*self._packed("real"), *self._packed("fake"))))

    def _folded_of(self, name: str, like: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Packed moments and sample of a side, lists of one once there are rows: so all processes have them."""
        moments, sample = getattr(self, f"{name}_moments"), getattr(self, f"{name}_sample")
        if not moments:
            moments.append(like.new_empty(0))
            sample.append(like.new_empty(0, like.shape[1]))
        return moments, sample

    def _moments(self, name: str) -> Moments:
        """The moments of a side, those of folded rows and of the others; the same object until rows are added."""
        known = self._fitted.get(name)
        if known is None or known.count != self._count(name):
            folded = unpacked(self._packed(name))
            known = self._fitted[name] = joined_moments(folded, self.pieces(name))
            if not bool(torch.isfinite(known.mean).all()):
                self._rows_of(name)  # which says where
        return known

    def _count(self, name: str) -> int:
        return folded_rows(self._packed(name)) + sum(piece.shape[0] for piece in self.pieces(name))

    def _packed(self, name: str) -> list[Tensor]:
        """The packed moments of a side; after a reduction across processes they are one tensor."""
        found = getattr(self, f"{name}_moments")
        return [found] if isinstance(found, Tensor) else found

    def _rows_of(self, name: str) -> Tensor:
        """The rows of a side that were not folded."""
        if not any(map(len, self._packed(name))):
            return super()._rows_of(name)
        rows = torch.cat(self.pieces(name))
        check_finite(rows)
        return rows

    def params(self) -> dict[str, Any]:
        return {"ddof": 1, "dtype": "float64", "dim": self.pieces("real")[0].shape[1]}


class ReconstructionFrechet(FrechetDistance):
    """rFID: the Fréchet distance between features of data and features of its own reconstructions.

    Both sides are the same examples, so perfect reconstructions have 0 and there is no floor above it.
    """

    requires: ClassVar[tuple[Requirement, ...]] = ("real", "reconstruction")
    sources: ClassVar[tuple[str, str]] = ("real_features", "reconstruction_features")


def _joined(sample: Tensor | list[Tensor], rows: Tensor) -> Tensor:
    return torch.cat([sample, rows] if isinstance(sample, Tensor) else [*sample, rows])


def _scaled(rows: Tensor) -> Tensor:
    return (rows - rows.mean(0)) / (len(rows) - 1) ** 0.5


def _distance(shift: Tensor, cov1: Tensor, factor1: Tensor, cov2: Tensor) -> Tensor:
    """Of Gaussians that lie `shift` (D,) apart; `factor1` (D, r) is that of the covariance `cov1` (D, D)."""
    overlap = _trace_root(_symmetric(factor1.T @ cov2 @ factor1))
    return _assemble(shift, cov1.trace() + cov2.trace(), overlap)


def _symmetric(matrix: Tensor) -> Tensor:
    return (matrix + matrix.T) / 2


def _trace_root(matrix: Tensor) -> Tensor:
    """tr M^½ of a symmetric positive semi-definite matrix (r, r); eigenvalues of the size of rounding count as 0."""
    values = torch.linalg.eigvalsh(matrix)
    noise = len(values) * torch.finfo(values.dtype).eps * values.amax() if len(values) else 0.0
    return values.where(values > noise, 0.0).sqrt().sum()


def _assemble(shift: Tensor, traces: Tensor, overlap: Tensor) -> Tensor:
    distance = shift.square().sum() + traces - 2.0 * overlap
    if distance < -1e-6 * traces:
        raise NumericalError(f"the Fréchet distance is {float(distance):.3g}: the features are ill-conditioned")
    return distance.clamp_min(0.0)
