r"""The spline pyramid of images: a multiscale flow from the box of the pixel range onto the box.

Values fill the box [−1, 1]ᴰ, and so do the latents, which are uniform. Every spline maps the box onto itself,
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

from functools import partial
from typing import Annotated, ClassVar

from genkit.component import Depth, Range, Width
from genkit.data.kinds import Modality
from genkit.data.spec import DataSpec
from genkit.flows.autoregressive import MaskedAutoregressive
from genkit.flows.border import Border
from genkit.flows.coupling import GAIN, CouplingLayer
from genkit.flows.multiscale import Multiscale, halvings
from genkit.flows.prior import UniformBox
from genkit.flows.recipe import Bijection, Recipe
from genkit.flows.spline import RationalQuadratic
from genkit.flows.transform import Chain, Rescale, Transform
from genkit.nn.backbone import BackboneFactory
from genkit.nn.residual_conv import ResidualConv


class SplinePyramid(Recipe):
    """Multiscale spline couplings of the box onto the box, to uniform latents.

    Arguments:
        levels: How often the image is halved, at most; all but the first halving leave at least 4x4. None: so often.
        bins: K, pieces of each spline.
        hidden_channels: Width of the convolutional networks.
        top_features: Width of the masked MLP for the coarsest rest.
        depth: Residual layers of each network.
        network: Of the couplings; None: a residual convolutional network.
    """

    modalities: ClassVar[tuple[Modality, ...]] = ("image",)

    def __init__(
        self,
        levels: Depth | None = None,
        bins: Annotated[int, Range(2, 1024)] = 8,
        hidden_channels: Width = 32,
        top_features: Width = 128,
        depth: Depth = 2,
        network: BackboneFactory | None = None,
    ) -> None:
        self.levels, self.top_features, self.depth = levels, top_features, depth
        self.spline = RationalQuadratic(bins, 1.0)
        self.network = network or partial(ResidualConv, width=hidden_channels, depth=depth)

    def layers(self, spec: DataSpec, num_classes: int | None) -> Bijection:
        assert spec.value_range is not None
        channels, height, width = spec.shape
        parts = [
            self._level(channels, height >> (level + 1), width >> (level + 1), num_classes)
            for level in range(halvings(spec.shape, self.levels))
        ]
        rest = channels * (height >> len(parts)) * (width >> len(parts))
        top = MaskedAutoregressive(
            self.spline, rest, width=self.top_features, depth=self.depth, num_classes=num_classes
        )
        border = partial(Border, self.spline, network=self.network, num_classes=num_classes, gain=GAIN)
        pyramid = Multiscale(spec.shape, parts, [channels] * len(parts), top, lambda shape: border(shape=shape))
        return Bijection(Chain([Rescale(*spec.value_range), pyramid]), UniformBox())

    def _level(self, channels: int, height: int, width: int, num_classes: int | None) -> Transform:
        shape = (4 * channels, height, width)
        a, b, c, d = (list(range(i * channels, (i + 1) * channels)) for i in range(4))
        return Chain(
            CouplingLayer(
                self.spline, shape=shape, keep=keep, change=change, network=self.network, num_classes=num_classes
            )
            for keep, change in ((a + b + d, c), (a + d, b), (a, d))
        )
