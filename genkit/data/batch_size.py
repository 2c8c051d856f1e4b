"""Examples in one training micro-batch, chosen from the shape of the data, where nobody says how many.

What a step costs in time and memory goes with the places that a network works at, pixels or tokens, so a batch holds
about as many of those whatever the size of one example. The steps of a run are then worth about the same for all data.
"""

from genkit.data.spec import DataSpec

FEW = 8  # values of a vector, up to which a step on it costs next to nothing
PIXELS = 2**18  # of a batch of images: 64 of 64x64, 16 of 128x128, 4 of 256x256
TOKENS = 2**13  # of a batch of sequences: 32 of 256 tokens
LARGEST = 128  # images or sequences


def default_batch_size(spec: DataSpec) -> int:
    """Examples in one training micro-batch of data of this spec, a power of two.

    128 images up to 45x45 pixels and fewer of larger ones; 512 vectors of up to eight values, 256 longer ones.
    """
    if spec.modality == "vector":
        return 512 if spec.dim <= FEW else 256
    budget, places = (PIXELS, spec.shape[-2] * spec.shape[-1]) if spec.modality == "image" else (TOKENS, spec.shape[0])
    fitting = max(1, budget // places)
    return min(LARGEST, 2 ** (fitting.bit_length() - 1))
