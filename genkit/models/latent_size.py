"""Numbers in the latent of an example, chosen from the data where nobody says how many."""

from genkit.data.spec import DataSpec

LEAST, MOST = 16, 256
NOISE = 32  # numbers in what a generator bends into shape, which is no code that tells an example
SMALL = 1024  # values of an image, up to which the least will do: 28x28 digits are told by it


def default_latent_dim(spec: DataSpec) -> int:
    """16 for vectors and for images of up to 1,024 values, about the root of their number for larger images.

    64 for 32x32 in colour, 128 for 64x64, 256 from 128x128 on.
    """
    if spec.modality != "image" or spec.dim <= SMALL:
        return LEAST
    return min(MOST, 2 ** round(spec.dim.bit_length() / 2))


def default_noise_dim(spec: DataSpec) -> int:
    """Of the noise that a generator starts from, without an encoder: 32, or as a latent where that has more."""
    return max(NOISE, default_latent_dim(spec))
