"""General-purpose compressors: the sizes are those of files that can be read back."""

import io
import lzma

import numpy as np
import pytest
from PIL import Image

from genkit.coding.general import COMPRESSORS, general_sizes, png_size


def test_the_form_that_suits_a_compressor_best_counts():
    bits = np.random.default_rng(0).integers(0, 2, 8000).astype(np.uint8)
    plain, packed = bits.tobytes(), np.packbits(bits).tobytes()
    sizes = general_sizes([plain, packed])
    assert sizes == {name: min(len(press(plain)), len(press(packed))) for name, press in COMPRESSORS.items()}
    assert sizes["lzma"] == len(lzma.compress(packed, preset=9 | lzma.PRESET_EXTREME))


@pytest.mark.parametrize(("channels", "levels"), [(1, 2), (1, 17), (1, 256), (3, 256)])
def test_a_png_of_all_images_holds_them(monkeypatch, channels, levels):
    v = np.random.default_rng(0).integers(0, levels, (5, channels, 4, 6)).astype(np.uint8)
    written = []
    save = Image.Image.save

    def kept(image, file: io.BytesIO, **more: object) -> None:
        save(image, file, **more)
        written.append(file.getvalue())

    monkeypatch.setattr(Image.Image, "save", kept)
    size = png_size(v, levels)
    assert size == len(written[0])
    back = np.asarray(Image.open(io.BytesIO(written[0]))).reshape(20, 6, channels)
    assert np.array_equal(back, v.transpose(0, 2, 3, 1).reshape(20, 6, channels))
