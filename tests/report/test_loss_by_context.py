"""Costs over the context: means and errors by hand, pads left out; pictures of text with and without real text."""

from __future__ import annotations

import math

import pytest
import torch
from PIL import Image

from genkit.data.spec import DataSpec
from genkit.data.text.kind import Text
from genkit.data.text.tokenizer import Bytes
from genkit.report.loss_by_context import averaged, save_loss_by_context
from genkit.report.picture import draw

NAN = math.nan


def test_means_and_errors_by_hand():
    bits = torch.tensor([[1.0, 2.0, 3.0], [3.0, 4.0, NAN], [5.0, NAN, NAN]], dtype=torch.float64)
    place, mean, error = averaged(bits)
    assert place.tolist() == [0, 1]  # a single window has no error
    assert mean.tolist() == [3, 3]
    assert error.tolist() == pytest.approx([2 / math.sqrt(3), math.sqrt(2) / math.sqrt(2)])


def test_long_contexts_are_averaged_window_by_window():
    bits = torch.tensor([[1.0, 3.0, 9.0], [5.0, 5.0, 9.0], [6.0, NAN, NAN]], dtype=torch.float64)
    place, mean, _ = averaged(bits, points=2)
    assert place.tolist() == [0.5, 2]
    assert mean.tolist() == pytest.approx([(2 + 5 + 6) / 3, 9])


def test_pictures_are_drawn(tmp_path):
    torch.manual_seed(0)
    save_loss_by_context(tmp_path / "a.png", {"one": torch.rand(20, 8), "two $x_": torch.rand(20, 8)}, "data $ test")
    kind = Text(tokenizer=Bytes())
    spec = DataSpec((40,), "sequence", kind=kind)
    x = kind.examples([b"one\ntwo", "ü\x1b".encode(), b"c" * 60], 40)
    draw(tmp_path / "alone.png", x, spec)
    draw(tmp_path / "beside.png", x, spec, real=x[:1], names=("held out", "samples"))
    wide = {name: Image.open(tmp_path / f"{name}.png").size[0] for name in ("a", "alone", "beside")}
    assert wide["a"] > 300
    assert wide["beside"] > 1.3 * wide["alone"]
