r"""The meaning of a decoder's output for the data: p(x | out).

* `DiscretizedLogistic`: pixels with levels. A logistic density with mean m and scale s, integrated over the level's bin

  .. math:: P(v) = S((x + h - m) / s) - S((x - h - m) / s), \quad h = \text{bin width} / 2,

  with open ends at the lowest and highest level, so that the levels' masses sum to one (Salimans et al. 2017,
  1701.05517). Each mass is spread evenly over its bin, which makes it comparable with every density (see `Density`).
* `Bernoulli`: data with two levels, log-odds from the decoder: log P(v) = log S(±out).
* `Gaussian`: continuous values, one learned standard deviation per dimension (σ-VAE, Rybkin et al. 2020, 2006.13202).
"""

import math
from abc import ABC, abstractmethod
from typing import ClassVar, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genkit.component import Component
from genkit.data.kinds import Quantised
from genkit.data.spec import DataSpec
from genkit.errors import ConfigError
from genkit.models.density import Dequantisation


class Likelihood(nn.Module, Component, ABC):
    """p(x | out) with `out` (B, *spec.shape) from a decoder; scales are parameters of the likelihood itself.

    Attributes:
        dequantisation: "none" where it gives levels their mass, "uniform" where it is a density of points.
    """

    dequantisation: ClassVar[Dequantisation] = "uniform"

    def __init__(self, *, spec: DataSpec) -> None:
        super().__init__()
        self.spec = spec
        self.low, self.high = spec.value_range or (-math.inf, math.inf)

    def log_prob(self, x: Tensor, out: Tensor) -> Tensor:
        """log p(x | out) in nats as a density; x (B, *shape) and out (B, *shape) to (B,), (k, B, *shape) to (k, B)."""
        return self.log_density(x, out).flatten(-len(self.spec.shape)).sum(-1)

    @abstractmethod
    def log_density(self, x: Tensor, out: Tensor) -> Tensor:
        """Compute what each value adds to `log_prob`: of the shape of out, against which x broadcasts."""

    @abstractmethod
    def mean(self, out: Tensor) -> Tensor:
        """The expected x, (B, *shape), inside the data's range."""

    @abstractmethod
    def draw(self, out: Tensor, eps: Tensor) -> Tensor:
        """A draw of x for standard normal eps (B, *shape), inside the data's range."""


class LikelihoodFactory(Protocol):
    """The type of a model's `likelihood` argument, finished with the data's spec."""

    def __call__(self, *, spec: DataSpec) -> Likelihood: ...


class DiscretizedLogistic(Likelihood):
    """Logistic density integrated over the levels, one learned scale per pixel and channel.

    Raises ConfigError for data without levels.
    """

    dequantisation = "none"

    def __init__(self, *, spec: DataSpec) -> None:
        super().__init__(spec=spec)
        if not isinstance(spec.kind, Quantised):
            raise ConfigError("model.likelihood: DiscretizedLogistic needs data with levels; use Gaussian")
        self.log_scale = nn.Parameter(torch.full(spec.shape, -1.5))

    def log_density(self, x: Tensor, out: Tensor) -> Tensor:
        half = self.spec.bin_width / 2
        x = self.spec.centre(x)  # any point of a bin has the bin's mass
        inverse = torch.exp(-self.log_scale)
        upper, lower = (x + half - out) * inverse, (x - half - out) * inverse
        first, last = x - half <= self.low + half / 2, x + half >= self.high - half / 2
        # log(S(u) - S(l)) = log S(u) + log S(-l) + log(1 - e^(l - u)), exact without cancellation
        log_upper = torch.where(last, 0.0, F.logsigmoid(upper))
        log_lower = torch.where(first, 0.0, F.logsigmoid(-lower))
        inside = torch.log(-torch.expm1(-self.spec.bin_width * inverse))
        log_mass = log_upper + log_lower + torch.where(first | last, 0.0, inside)
        return log_mass - math.log(self.spec.bin_width)

    def mean(self, out: Tensor) -> Tensor:
        return out.clamp(self.low, self.high)

    def draw(self, out: Tensor, eps: Tensor) -> Tensor:
        u = torch.special.ndtr(eps).clamp(1e-6, 1 - 1e-6)
        return (out + torch.exp(self.log_scale) * torch.logit(u)).clamp(self.low, self.high)


class Bernoulli(Likelihood):
    """Two levels; `out` are the log-odds of the higher one. Draws and mean lie between the two bin centres.

    Raises ConfigError for data that has not two levels.
    """

    dequantisation = "none"

    def __init__(self, *, spec: DataSpec) -> None:
        super().__init__(spec=spec)
        if not isinstance(spec.kind, Quantised) or spec.kind.levels != 2:
            raise ConfigError("model.likelihood: Bernoulli needs data with two levels (data.binarize=dynamic)")
        self.middle = self.low + spec.bin_width

    def log_density(self, x: Tensor, out: Tensor) -> Tensor:
        away = torch.where(x >= self.middle, -1.0, 1.0)  # of x, which k draws share: a pass over out costs k times that
        return -F.softplus(away * out) - math.log(self.spec.bin_width)

    def mean(self, out: Tensor) -> Tensor:
        return self._between(torch.sigmoid(out))

    def draw(self, out: Tensor, eps: Tensor) -> Tensor:
        return self._between((torch.special.ndtr(eps) < torch.sigmoid(out)).to(out))

    def _between(self, share: Tensor) -> Tensor:
        """From the centre of the lower bin (0) to that of the higher one (1)."""
        return self.low + self.spec.bin_width * (share + 0.5)


class Gaussian(Likelihood):
    """Normal density with one learned standard deviation per dimension; draws are clipped to the data's range."""

    def __init__(self, *, spec: DataSpec) -> None:
        super().__init__(spec=spec)
        self.log_std = nn.Parameter(torch.zeros(spec.shape))

    def log_density(self, x: Tensor, out: Tensor) -> Tensor:
        z = (x - out) * torch.exp(-self.log_std)
        return -0.5 * z.square() - self.log_std - 0.5 * math.log(2 * math.pi)

    def mean(self, out: Tensor) -> Tensor:
        return out.clamp(self.low, self.high)

    def draw(self, out: Tensor, eps: Tensor) -> Tensor:
        return (out + torch.exp(self.log_std) * eps).clamp(self.low, self.high)
