r"""The weight of measured values that a model does not explain exactly.

To a model, m measured values are m witnesses that know nothing of each other; but where it is wrong about an example it
is wrong about many of them at once, and the more there are, the surer it is of the one answer, or the one label, that
happens to fit its own error. A posterior given that the model is *near* the data, not that it is the data, has about
the likelihood to the power

.. math:: \zeta_m = \frac{1}{1 + m / \alpha}

so that few values count in full and no number of them more than α (Miller & Dunson 2019, Robust Bayesian inference via
coarsening, 1506.06101, section 4). Of a normal likelihood that is one of the variance σ² / ζ.
"""

from __future__ import annotations

import math

from torch import Tensor

SATURATION = 32.0  # by completions of validation images; see docs/uses.md


def powers(m: Tensor, saturation: float | None) -> Tensor:
    """ζ of numbers of measured values m (B,)."""
    return m.new_ones(m.shape) if saturation is None else 1 / (1 + m / saturation)


def coarsened_noise(sigma: float, m: float, saturation: float = SATURATION) -> float:
    """Standard deviation to attribute to each of m measured values whose own noise is σ."""
    return sigma * math.sqrt(1 + m / saturation)
