"""Data as tokens, one for each place: what models of sequences make of images and vectors with levels."""

from __future__ import annotations

from torch import Tensor

from genkit.data.kinds import END, PAD, Categorical, Quantised
from genkit.data.spec import DataSpec
from genkit.errors import ConfigError
from genkit.models.raster import from_raster, in_raster


class TokenValues:
    """Model values as tokens, in the order of a sequence: an image's row by row, the channels of a pixel together.

    Attributes:
        spec: The data: tokens, or images and vectors with levels.
        patch: Side of the squares of an image that come one after the other, the values of each together.
    """

    spec: DataSpec
    patch: int = 1

    def tokens_of(self, x: Tensor) -> Tensor:
        """Model values (B, *shape) to tokens (B, T) int64, in the order of a sequence."""
        return self.in_order(self.spec.unscale(x) if isinstance(self.spec.kind, Quantised) else x).long()

    def of_tokens(self, tokens: Tensor) -> Tensor:
        """Tokens (B, T) in the order of a sequence to model values (B, *shape)."""
        if self.spec.modality != "image":
            return self.spec.scale(tokens)
        return self.spec.scale(from_raster(tokens, self.spec.shape, self.patch))

    def in_order(self, v: Tensor) -> Tensor:
        """Values (B, *shape) in the order of a sequence, (B, T)."""
        return in_raster(v, self.patch) if self.spec.modality == "image" else v.flatten(1)


def numbers_of_tokens(spec: DataSpec) -> tuple[int, dict[str, int]]:
    """Count the ordinary tokens of the data, and number the special ones, by name, which come after them.

    Raises:
        ConfigError: there is an end, and no pad for what comes after it.
    """
    count = spec.kind.count
    assert count is not None
    specials = spec.kind.specials if isinstance(spec.kind, Categorical) else ()
    ordinary = count - len(specials)
    if END in specials and PAD not in specials:
        raise ConfigError('tokens with the special "eos" need "pad" besides, for what comes after it')
    return ordinary, {name: ordinary + place for place, name in enumerate(specials)}
