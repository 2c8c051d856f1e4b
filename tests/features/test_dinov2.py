"""DINOv2: the class tokens of Hugging Face's `Dinov2Model` (5.23.0) with the same weights, and refused files."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from genkit.data.spec import DataSpec
from genkit.errors import DataError
from genkit.features.dinov2 import FILE, DINOv2Features, prepared
from genkit.nn.dinov2 import DINOv2, Sizes

GREY = DataSpec((1, 8, 8), "image", (-1.0, 1.0), 17)

# (gated MLP, pixels a side) -> the first four of the first class token and the last two of the second
RECORDED = {
    (False, 70): [-0.702487, 1.015082, 1.310936, 0.372737, -0.592156, 0.182289],
    (False, 42): [-1.197497, -0.076708, 1.35348, 1.062721, -0.208158, -0.601534],
    (True, 70): [-0.978969, 0.514684, 0.99398, -0.231087, -1.228549, -0.988527],
    (True, 42): [-1.371674, -0.412415, 1.016089, 0.38389, -0.848138, -1.588266],
}


def state_of(gated: bool) -> dict[str, Tensor]:
    """Two blocks of 128 channels on 5x5 patches, the weights by a formula in the order of their names."""
    sizes = Sizes(width=128, depth=2, hidden=344 if gated else 512, gated=gated, patch=14, side=5)
    state = {}
    for i, (name, value) in enumerate(sorted(DINOv2(sizes).state_dict().items())):
        angle = torch.arange(value.numel(), dtype=torch.float64) * (i + 1.7)
        around = float(("norm" in name and name.endswith("weight")) or "lambda1" in name)
        state[name] = (0.2 * torch.sin(angle) + around).reshape(value.shape).float()
    return state


@pytest.mark.parametrize(("gated", "side"), RECORDED)
def test_class_tokens_are_those_of_the_published_class(gated: bool, side: int) -> None:
    state = state_of(gated)
    net = DINOv2(Sizes.of(state), offset=0.0)
    net.load_state_dict(state)
    x = torch.cos(torch.arange(6 * side * side, dtype=torch.float64) * 0.37).reshape(2, 3, side, side).float()
    tokens = net(x)
    found = [*tokens[0, :4].tolist(), *tokens[1, -2:].tolist()]
    assert found == pytest.approx(RECORDED[gated, side], abs=1e-5)


def test_features_are_the_network_s_and_carry_the_file_s_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_file(state_of(False), tmp_path / FILE)
    monkeypatch.setenv("GENKIT_WEIGHTS", str(tmp_path))
    features, named = DINOv2Features(), DINOv2Features(str(tmp_path / FILE))
    assert features.id == named.id
    assert features.id.startswith("dinov2/cls128@")
    x = GREY.scale(torch.randint(17, (3, 1, 8, 8), generator=torch.Generator().manual_seed(0)).to(torch.uint8))
    rows = features(x, GREY)
    assert (rows.shape, rows.dtype) == ((3, features.dim(GREY)), torch.float64)
    torch.testing.assert_close(rows[1:2], features(x[1:2], GREY), rtol=1e-4, atol=1e-5)
    assert features.accepts(GREY)
    assert not features.accepts(DataSpec((2,), "vector"))


def test_pictures_are_enlarged_and_normalised_as_imagenet_s() -> None:
    v = torch.full((1, 1, 8, 8), 0.5)
    assert prepared(v).shape == (1, 3, 224, 224)
    assert prepared(v)[0, :, 100, 100].tolist() == pytest.approx([0.0655, 0.1964, 0.4178], abs=1e-3)


def test_files_that_are_absent_or_hold_another_network_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GENKIT_WEIGHTS", raising=False)
    monkeypatch.setenv("GENKIT_CACHE", str(tmp_path))
    with pytest.raises(DataError, match=rf"features=dinov2: put {FILE}") as absent:
        DINOv2Features()
    (tmp_path / "text").write_bytes(b"no tensors")
    save_file({"weight": torch.zeros(3)}, tmp_path / "other")
    save_file({k: v for k, v in state_of(False).items() if "norm2" not in k}, tmp_path / "lacking")
    lines = [str(absent.value)]
    for name in ("text", "other", "lacking"):
        with pytest.raises(DataError, match="no weights of DINOv2") as refused:
            DINOv2Features(str(tmp_path / name))
        lines.append(str(refused.value))
    assert not any("\n" in line for line in lines)
