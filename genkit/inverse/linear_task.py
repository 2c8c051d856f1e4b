r"""Linear measurements of an example with normal noise,

.. math:: v = A x + \sigma \epsilon, \qquad \epsilon \sim N(0, I),

of which inpainting, denoising, deblurring, super-resolution and colourisation are choices of A. To infer x takes A,
its adjoint A* and σ, and nothing else:

.. math:: \langle A x, v \rangle = \langle x, A^* v \rangle.

All operators here average or select, so model values in a range stay in it and their measurements can be looked at as
images of the same range. Batches come first: x is (B, *in_shape), v is (B, *out_shape).

References: Tarantola 2005, Inverse Problem Theory; Kaipio & Somersalo 2005, Statistical and Computational Inverse
Problems.
"""

from abc import ABC, abstractmethod
from math import ceil

import torch
from torch import Tensor
from torch.nn import functional as F

from genkit.errors import ConfigError

LUMA = (0.299, 0.587, 0.114)  # ITU-R 601-2: the grey that the eye sees in red, green and blue
WIDTHS = 3  # standard deviations of a blur beyond which its weights are left out


class LinearTask(ABC):
    """A measurement A with noise.

    Attributes:
        in_shape: Of x.
        out_shape: Of v.
        sigma: σ in model units, of every measured value.
    """

    in_shape: tuple[int, ...]
    out_shape: tuple[int, ...]
    sigma: float

    @abstractmethod
    def measure(self, x: Tensor) -> Tensor:
        """A x, (B, *in_shape) to (B, *out_shape), without noise."""

    @abstractmethod
    def adjoint(self, v: Tensor) -> Tensor:
        """A* v, (B, *out_shape) to (B, *in_shape)."""

    def restored(self, v: Tensor) -> Tensor:
        """The plain answer (B, *in_shape) that no model is asked for, and that an image is shown as."""
        return self.adjoint(v)

    def unhidden(self, x: Tensor) -> Tensor:
        """The measurements (N, *out_shape) of x (N, *in_shape) of which no example hides any."""
        return self.measure(x)

    def measured(self, like: Tensor) -> Tensor:
        """Bool (B, *out_shape): the values of v that are measured; all of them unless an example hides some."""
        return torch.ones((len(like), *self.out_shape), dtype=torch.bool, device=like.device)


class Identity(LinearTask):
    """x itself, with noise: denoising.

    Arguments:
        shape: Of x.
        sigma: σ.
    """

    def __init__(self, shape: tuple[int, ...], sigma: float) -> None:
        self.in_shape, self.out_shape, self.sigma = shape, shape, sigma

    def measure(self, x: Tensor) -> Tensor:
        return x

    def adjoint(self, v: Tensor) -> Tensor:
        return v


class Mask(LinearTask):
    """The values that are known, zeros elsewhere: inpainting, outpainting, imputation.

    Arguments:
        known: Bool of shape (*shape,), or (B, *shape) where each example has a mask of its own.
        shape: Of x.
        sigma: σ.
    """

    def __init__(self, known: Tensor, shape: tuple[int, ...], sigma: float) -> None:
        self.known = known
        self.in_shape, self.out_shape, self.sigma = shape, shape, sigma

    def measure(self, x: Tensor) -> Tensor:
        return torch.where(self.known, x, torch.zeros((), dtype=x.dtype, device=x.device))

    def adjoint(self, v: Tensor) -> Tensor:
        return self.measure(v)

    def unhidden(self, x: Tensor) -> Tensor:
        return x

    def measured(self, like: Tensor) -> Tensor:
        return self.known.expand(len(like), *self.out_shape)


class AveragePool(LinearTask):
    """Means of squares of `factor` × `factor` pixels: super-resolution undoes it.

    Arguments:
        shape: (C, H, W) of x.
        factor: Of height and width.
        sigma: σ.

    Raises:
        ConfigError: it does not divide height and width, or x is no image.
    """

    def __init__(self, shape: tuple[int, ...], factor: int, sigma: float) -> None:
        channels, height, width = _image(shape, "task=super_resolve")
        if factor < 2 or height % factor or width % factor:
            fits = [f for f in range(2, min(height, width) + 1) if height % f == 0 and width % f == 0]
            choose = f"choose one of {', '.join(map(str, fits))}" if fits else "no factor does: choose another task"
            raise ConfigError(f"factor={factor}: it does not divide {height}x{width} pixels: {choose}")
        self.in_shape, self.out_shape = shape, (channels, height // factor, width // factor)
        self.factor, self.sigma = factor, sigma

    def measure(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, self.factor)

    def adjoint(self, v: Tensor) -> Tensor:
        return v.repeat_interleave(self.factor, -1).repeat_interleave(self.factor, -2) / self.factor**2

    def restored(self, v: Tensor) -> Tensor:
        """Bicubic interpolation, the baseline of super-resolution."""
        return F.interpolate(v, scale_factor=self.factor, mode="bicubic", align_corners=False)


class Blur(LinearTask):
    """A Gaussian blur whose borders repeat the outermost pixels: deblurring undoes it.

    Along each axis it is a matrix whose rows sum to one, so its adjoint is exact.

    Arguments:
        shape: (C, H, W) of x.
        width: Its standard deviation in pixels.
        sigma: σ.
    """

    def __init__(self, shape: tuple[int, ...], width: float, sigma: float) -> None:
        _, height, wide = _image(shape, "task=deblur")
        self.in_shape, self.out_shape, self.sigma = shape, shape, sigma
        self.rows, self.columns = blur_matrix(height, width), blur_matrix(wide, width)

    def measure(self, x: Tensor) -> Tensor:
        return self.rows.to(x) @ x @ self.columns.to(x).T

    def adjoint(self, v: Tensor) -> Tensor:
        return self.rows.to(v).T @ v @ self.columns.to(v)

    def restored(self, v: Tensor) -> Tensor:
        return v


class Luminance(LinearTask):
    """The brightness of a colour image, one value a pixel: colourisation undoes it.

    Arguments:
        shape: (3, H, W) of x.
        sigma: σ.
    """

    def __init__(self, shape: tuple[int, ...], sigma: float) -> None:
        if len(shape) != 3 or shape[0] != 3:
            raise ConfigError(f"task=colourise takes images of three colours, and this data is {words(shape)}")
        self.in_shape, self.out_shape, self.sigma = shape, (1, *shape[1:]), sigma

    def measure(self, x: Tensor) -> Tensor:
        return (self._weights(x) * x).sum(-3, keepdim=True)

    def adjoint(self, v: Tensor) -> Tensor:
        return self._weights(v) * v

    def restored(self, v: Tensor) -> Tensor:
        """The grey image in three equal channels."""
        return v.expand(-1, 3, -1, -1)

    @staticmethod
    def _weights(like: Tensor) -> Tensor:
        return torch.tensor(LUMA).to(like).reshape(3, 1, 1)


def blur_matrix(size: int, width: float) -> Tensor:
    """(size, size) float64: row i holds the weights of the pixels around i, those beyond the border at its end."""
    radius = ceil(WIDTHS * width)
    offsets = torch.arange(-radius, radius + 1)
    weights = torch.exp(-0.5 * (offsets.double() / width) ** 2)
    matrix = torch.zeros(size, size, dtype=torch.float64)
    for i in range(size):
        matrix[i].index_add_(0, (i + offsets).clamp(0, size - 1), weights / weights.sum())
    return matrix


def words(shape: tuple[int, ...]) -> str:
    """ "1x8x8"."""
    return "x".join(map(str, shape))


def _image(shape: tuple[int, ...], key: str) -> tuple[int, int, int]:
    if len(shape) != 3:
        raise ConfigError(f"{key} takes images, and this data is {words(shape)}")
    return shape[0], shape[1], shape[2]
