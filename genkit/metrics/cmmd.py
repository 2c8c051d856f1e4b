r"""The maximum mean discrepancy of unit embeddings, the form of CMMD (Jayasumana et al. 2024, 2401.09603).

Features are brought to length 1, compared by a Gaussian kernel of bandwidth σ, all pairs counted (the biased, never
negative estimate), and multiplied by 1,000:

.. math:: 1000 \left( \overline{k(x, x')} + \overline{k(y, y')} - 2\, \overline{k(x, y)} \right),
          \qquad k(x, y) = e^{-|x - y|^2 / 2σ^2}.

With the features that the paper uses (CLIP ViT-L/14 at 336 pixels, through `features=custom`) it is CMMD; with any
others it is the same arithmetic and another number.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from genkit.component import PositiveFloat
from genkit.metrics.discrepancy_error import DiscrepancyError
from genkit.metrics.kernel import GaussianKernel, KernelSums, kernel_sums
from genkit.metrics.pair_metric import PairMetric


class EmbeddingDiscrepancy(PairMetric):
    """Squared Gaussian MMD of features of unit length, biased, times `scale`.

    References:
        Rethinking FID: Towards a Better Evaluation Metric for Image Generation (Jayasumana et al., 2024), 2401.09603.

    Args:
        bandwidth: σ of the kernel.
        scale: What the discrepancy is multiplied by.
    """

    units: ClassVar[str] = "kernel"
    least: ClassVar[int] = 3

    def __init__(self, bandwidth: PositiveFloat = 10.0, scale: PositiveFloat = 1000.0) -> None:
        super().__init__()
        self.bandwidth, self.scale = bandwidth, scale

    def compute(self) -> Tensor:
        """() ≥ 0. Raises as `rows`."""
        sums = self.once(self._sums)
        m, n = sums.m, len(sums.fake)
        means = (sums.real + m) / m**2 + (sums.fake.sum() + n) / n**2 - 2.0 * sums.cross.sum() / (m * n)
        return self.scale * means.clamp_min(0.0)

    def interval(self, repeats: int, seed: int) -> tuple[float, float]:
        return self._scaled(self._error().interval(float(self.compute()) / self.scale, 0.0))

    def redrawn_interval(self, repeats: int, seed: int) -> tuple[float, float]:
        return self._scaled(self._error().redrawn_interval(float(self.compute()) / self.scale, 0.0))

    def params(self) -> dict[str, Any]:
        return {"kernel": "gaussian", "bandwidth": self.bandwidth, "scale": self.scale, "rows": "of length 1"}

    def _scaled(self, ends: tuple[float, float]) -> tuple[float, float]:
        return self.scale * ends[0], self.scale * ends[1]

    def _error(self) -> DiscrepancyError:
        real, fake = self.rows()
        return DiscrepancyError.of(_unit(real), _unit(fake), GaussianKernel(self.bandwidth))

    def _sums(self, real: Tensor, fake: Tensor) -> KernelSums:
        return kernel_sums(_unit(real), _unit(fake), GaussianKernel(self.bandwidth))


def _unit(rows: Tensor) -> Tensor:
    return torch.nn.functional.normalize(rows)
