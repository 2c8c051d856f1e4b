r"""Neural spline flows put together from the parts: one for vectors, one for images.

Vectors: ActNorm, then `layers` pairs of (spline coupling, LU linear), to a standard normal. The splines act on
[−tail_bound, tail_bound], which standardised data fills; outside they are lines.

Images: values fill the box [−1, 1]ᴰ, and so do the latents, which are uniform. Every spline maps the box onto itself,
so the sharp ends of the pixel range cost nothing. A level squeezes 2x2 blocks to four groups of channels a b / c d,
and three couplings let three of them leave,

.. math:: c \mid a, b, d \qquad\text{then}\qquad b \mid a, d \qquad\text{then}\qquad d \mid a,

reading the pixels themselves and not latents: the split of a multiscale flow whose learned prior does all the work.
What remains, the image subsampled by two, is the next level; the last rest is a short vector, where a masked
autoregressive spline takes one value after the other.

References:
    Neural spline flows (Durkan, Bekasov, Murray, Papamakarios, 2019), arXiv:1906.04032.
    Density estimation using Real NVP (Dinh, Sohl-Dickstein, Bengio, 2016), arXiv:1605.08803.
    Masked autoregressive flow (Papamakarios, Pavlakou, Murray, 2017), arXiv:1705.07057.
    Parallel multiscale autoregressive density estimation (Reed et al., 2017), arXiv:1703.03664.
"""

from collections.abc import Iterator

import torch

from genkit.errors import ConfigError
from genkit.flows.autoregressive import MaskedAutoregressive
from genkit.flows.coupling import Coupling, Marginal
from genkit.flows.linear import ActNorm, LULinear
from genkit.flows.multiscale import Multiscale
from genkit.flows.spline import RationalQuadratic
from genkit.flows.transform import Chain, Transform
from genkit.nn.backbone import BackboneFactory
from genkit.noise import generator_of

# A coarsest image smaller than this has too little left for its own couplings to shape.
SMALLEST_SIDE = 4


def vector_flow(
    dim: int, *, layers: int, spline: RationalQuadratic, network: BackboneFactory, num_classes: int | None = None
) -> Chain:
    """(B, D) to standard normal latents: ActNorm and `layers` pairs of spline coupling and LU linear.

    One value alone has nothing to be coupled with: there the splines depend on the label only.
    """
    parts: list[Transform] = [ActNorm(dim)]
    for keep, change in _halves(dim, layers):
        if dim == 1:
            parts.append(Marginal(spline, shape=(1,), num_classes=num_classes))
            continue
        parts.append(Coupling(spline, shape=(dim,), keep=keep, change=change, network=network, num_classes=num_classes))
        parts.append(LULinear(dim, generator_of(len(parts), "rotation")))
    return Chain(parts)


def image_flow(
    shape: tuple[int, ...],
    *,
    levels: int,
    spline: RationalQuadratic,
    network: BackboneFactory,
    top_width: int,
    top_depth: int,
    num_classes: int | None = None,
) -> Multiscale:
    """(B, C, H, W) in the box to latents (B, D) in the box, in at most `levels` levels.

    A level needs an even height and width, and all but the first leave at least 4x4; `top_width` and `top_depth` are
    those of the masked network on the rest.

    Raises ConfigError where the image itself has an odd side or is smaller than 4x4.
    """
    if shape[1] % 2 or shape[2] % 2 or min(shape[1:]) < SMALLEST_SIDE:
        raise ConfigError(
            f"model=flow needs images of even height and width, at least {SMALLEST_SIDE}x{SMALLEST_SIDE}, "
            f"not {shape[1]}x{shape[2]}: pad the images or choose another model="
        )
    parts: list[Transform] = []
    kept = shape[0]
    while (
        len(parts) < levels and shape[1] % 2 == shape[2] % 2 == 0 and (not parts or min(shape[1:]) >= 2 * SMALLEST_SIDE)
    ):
        shape = (4 * kept, shape[1] // 2, shape[2] // 2)
        a, b, c, d = (list(range(i * kept, (i + 1) * kept)) for i in range(4))
        parts.append(
            Chain(
                Coupling(spline, shape=shape, keep=keep, change=change, network=network, num_classes=num_classes)
                for keep, change in ((a + b + d, c), (a + d, b), (a, d))
            )
        )
    rest = kept * shape[1] * shape[2]
    top = MaskedAutoregressive(spline, rest, width=top_width, depth=top_depth, num_classes=num_classes)
    start = (kept, shape[1] * 2 ** len(parts), shape[2] * 2 ** len(parts))
    return Multiscale(start, parts, [kept] * len(parts), top)


def _halves(dim: int, layers: int) -> Iterator[tuple[list[int], list[int]]]:
    """(keep, change) per layer: a random half, then the other half, then new halves; each layer changes what it can."""
    for layer in range(layers):
        order = torch.randperm(dim, generator=generator_of(layer // 2, "halves", dim), device="cpu").tolist()
        first, second = order[: dim // 2], order[dim // 2 :]
        yield (first, second) if layer % 2 == 0 else (second, first)
