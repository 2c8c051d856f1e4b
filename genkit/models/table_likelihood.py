r"""The meaning of a decoder's output for the rows of a table: p(x | out), block by block of the encoded row.

* one-hot blocks: a softmax of the outputs, P(level) = softmax(out)_level;
* ordered coordinates: a logistic density with mean m = out and one learned scale s, integrated over the value's
  interval (a, b) between the neighbouring values,

  .. math:: P(v) = S((b - m) / s) - S((a - m) / s),

  open at both ends (McCullagh 1980, cumulative link models);
* continuous coordinates: a normal density with mean out and one learned standard deviation.

A coordinate that is switched off says nothing, and is the standard normal noise that it is filled with. Levels have a
mass, which is spread over the volume of their cell as dequantised rows are (see `Tabular.dequantise`): evenly over a
one-hot cube of volume 1, and over an interval in proportion to the standard normal density. So log p is comparable with
that of a flow.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genkit.data.spec import DataSpec
from genkit.data.tables.codes import CoordinateBlock
from genkit.data.tables.kind import Tabular
from genkit.errors import ConfigError
from genkit.models.likelihood import Likelihood

HALF_LOG_TAU = 0.5 * math.log(2 * math.pi)
FAR = 1e4  # the ends of the line, in standard normal scores: finite, so that a gradient through them is
LEAST_P = 1e-6  # of a uniform number, whose logarithms are finite


class TableLikelihood(Likelihood):
    """A softmax for each category, a cumulative logistic for each number of few values, a normal for each of many.

    Raises ConfigError for data that is no table.
    """

    def __init__(self, *, spec: DataSpec) -> None:
        super().__init__(spec=spec)
        if not isinstance(spec.kind, Tabular):
            raise ConfigError("model.likelihood: TableLikelihood needs a table (data=table); use Gaussian")
        self.kind, self.blocks = spec.kind, spec.kind.table.blocks
        self.log_scale = nn.Parameter(torch.full(spec.shape, -0.5))

    def log_density(self, x: Tensor, out: Tensor) -> Tensor:
        x, out = torch.broadcast_tensors(x, out)
        parts: list[Tensor] = []
        on = torch.ones_like(x[..., 0], dtype=torch.bool)
        for own, block in self.blocks:
            seen, said = x[..., own], out[..., own]
            if block.kind == "one-hot":
                level = seen.argmax(-1, keepdim=True)
                on = level[..., 0] == 0
                mass = F.log_softmax(said, -1).gather(-1, level)
                parts.append(F.pad(mass, (0, block.width - 1)))  # the mass of all, in the first one's place
                continue
            ordered = block.kind == "ordered"
            density = self._cell(seen, said, own, block) if ordered else self._point(seen, said, own)
            parts.append(torch.where(on[..., None], density, _normal(seen)) if block.switched else density)
        return torch.cat(parts, -1)

    def _point(self, x: Tensor, out: Tensor, own: slice) -> Tensor:
        scale = self.log_scale[own]
        return _normal((x - out) * torch.exp(-scale)) - scale

    def _cell(self, x: Tensor, out: Tensor, own: slice, block: CoordinateBlock) -> Tensor:
        """log of the mass of the interval that x lies in, and of how it is spread there."""
        edges = x.new_tensor(block.edges)
        place = torch.searchsorted(edges, x.contiguous())
        borders = x.new_tensor([-FAR, *block.edges, FAR])
        low, high = borders[place], borders[place + 1]
        inverse = torch.exp(-self.log_scale[own])
        upper, lower = (high - out) * inverse, (low - out) * inverse
        # S(u) − S(l) = S(u) S(−l) (1 − e^(l − u)), exact without cancellation
        log_mass = F.logsigmoid(upper) + F.logsigmoid(-lower) + torch.log(-torch.expm1(lower - upper))
        cumulative = torch.special.ndtr(borders.to(torch.float64))
        log_share = cumulative.diff().log().to(x)[place]
        return log_mass - log_share + _normal(x)

    def mean(self, out: Tensor) -> Tensor:
        """Levels by their probabilities, numbers by the mean of their score."""
        return self.kind.squash(out)

    def draw(self, out: Tensor, eps: Tensor) -> Tensor:
        """Levels by the Gumbel trick, from the uniform numbers Φ(eps)."""
        u = torch.special.ndtr(eps).clamp(LEAST_P, 1 - LEAST_P)
        scale = torch.exp(self.log_scale)
        parts: list[Tensor] = []
        for own, block in self.blocks:
            said = out[:, own]
            if block.kind == "one-hot":
                level = (said - torch.log(-torch.log(u[:, own]))).argmax(1)
                parts.append(F.one_hot(level, block.width).to(out))
            elif block.kind == "ordered":
                parts.append(said + scale[own] * torch.logit(u[:, own]))
            else:
                parts.append(said + scale[own] * eps[:, own])
        return torch.cat(parts, 1)


def _normal(z: Tensor) -> Tensor:
    return -0.5 * z.square() - HALF_LOG_TAU
