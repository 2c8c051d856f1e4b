"""Feature spaces beside the shipped ones: principal components, a network of the user's, Inception's weights."""

import hashlib
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from genkit.data.spec import DataSpec
from genkit.data.split import Split
from genkit.errors import ConfigError, DataError
from genkit.features import inception, pca
from genkit.features.base import RealData
from genkit.features.custom import CustomFeatures
from genkit.features.inception import FILE, InceptionFeatures, bytes_of, loaded
from genkit.features.pca import PrincipalComponents
from genkit.features.raw import RawFeatures
from genkit.features.weight_files import find_weights
from genkit.metrics.frechet import frechet_distance
from genkit.metrics.moments import Moments
from genkit.nn.inception import InceptionV3

SPEC = DataSpec((1, 3, 4), "image", (-1.0, 1.0), 256)
PLANE = DataSpec((5,), "vector")


def stored(n: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return SPEC.scale(torch.randint(256, (n, *SPEC.shape), generator=generator).to(torch.uint8))


def distance(x: Tensor, y: Tensor) -> float:
    a, b = Moments.of(x), Moments.of(y)
    return float(frechet_distance(a.mean, a.covariance, b.mean, b.covariance))


def test_all_components_are_a_rotation_of_the_values() -> None:
    x, y = stored(200, 0), stored(150, 1)
    components = PrincipalComponents(100).fitted(RealData(SPEC, Split(SPEC.unscale(x))))
    raw = RawFeatures("none")
    assert components.dim(SPEC) == 12
    rotated, plain = (distance(f(x, SPEC), f(y, SPEC)) for f in (components, raw))
    assert rotated == pytest.approx(plain, rel=1e-9)


def test_components_are_uncorrelated_and_ordered_on_the_reference() -> None:
    x = torch.randn(500, 5, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 5.0, 0.1, 3.0, 2.0])
    scores = PrincipalComponents(3).fitted(RealData(PLANE, Split(x)))(x, PLANE)
    covariance = torch.cov(scores.T)
    assert torch.allclose(covariance, covariance.diagonal().diag(), atol=1e-9)
    assert covariance.diagonal().sqrt().tolist() == pytest.approx([5.0, 3.0, 2.0], rel=0.1)
    with pytest.raises(ConfigError, match="two reference examples"):
        PrincipalComponents(3).fitted(RealData(PLANE, Split(x[:1])))


def test_axes_of_large_data_are_found_without_its_covariance(monkeypatch: pytest.MonkeyPatch) -> None:
    rotation = torch.linalg.qr(torch.randn(40, 40, generator=torch.Generator().manual_seed(1))).Q
    spread = 1.0 / torch.arange(1, 41)  # as the spectra of images fall
    x = torch.randn(600, 40, generator=torch.Generator().manual_seed(0)) * spread @ rotation + 3.0
    wide, real = DataSpec((40,), "vector"), RealData(DataSpec((40,), "vector"), Split(x))
    exact = PrincipalComponents(5).fitted(real)(x, wide)
    monkeypatch.setattr(pca, "EXACT", 39)
    found = PrincipalComponents(5).fitted(real)(x, wide)
    torch.testing.assert_close(found.abs(), exact.abs(), atol=1e-3, rtol=1e-3)
    assert torch.equal(found, PrincipalComponents(5).fitted(real)(x, wide))
    every = PrincipalComponents(40).fitted(real)(x, wide)
    assert every.square().sum() == pytest.approx(float((x - x.mean(0)).double().square().sum()), rel=1e-6)


class Doubled(nn.Module):
    """Values times a weight, flattened."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(2.0))

    def forward(self, x: Tensor) -> Tensor:
        assert x.dtype == torch.float32
        return self.weight * x.flatten(1)


class Flat(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.flatten()


class Coupled(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1) - x.flatten(1).mean(0)


class Infinite(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1) / 0.0


class Narrow(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x.flatten(1), torch.zeros(3, 7))


def test_a_network_of_the_user_s_is_a_feature_space(tmp_path: Path) -> None:
    x = stored(5, 0)
    features = CustomFeatures(Doubled(), "mine").fitted(RealData(SPEC, Split(SPEC.unscale(x))))
    assert (features.name, features.dim(SPEC)) == ("mine", 12)
    torch.testing.assert_close(features(x, SPEC), 2 * SPEC.unscale(x).flatten(1).double() / 255)
    save_file({"weight": torch.tensor(3.0)}, tmp_path / "w.safetensors")
    other = CustomFeatures(Doubled(), "mine", str(tmp_path / "w.safetensors"))
    torch.testing.assert_close(other(x, SPEC), 1.5 * features(x, SPEC))
    assert other.id != features.id == CustomFeatures(Doubled(), "mine").id


class Several(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x


BROKEN = [(Flat(), r"\(24,\) for 2 examples"), (Coupled(), "depend on its batch"), (Infinite(), "not finite"),
          (Several(), "no attribute"), (Narrow(), r"fails on examples of shape \(1, 3, 4\)")]  # fmt: skip


@pytest.mark.parametrize(("net", "reason"), BROKEN, ids=lambda case: type(case).__name__)
def test_a_network_that_gives_no_features_is_refused_in_a_line(net: nn.Module, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason) as caught:
        CustomFeatures(net).fitted(RealData(SPEC, Split(SPEC.unscale(stored(5, 0)))))
    assert "\n" not in str(caught.value)


def test_no_network_and_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"features\.net=\{_target_:"):
        CustomFeatures()
    save_file({"other": torch.zeros(2)}, tmp_path / "w.safetensors")
    for name in ("w.safetensors", "absent"):
        with pytest.raises(DataError, match=r"features\.weights=") as caught:
            CustomFeatures(Doubled(), weights=str(tmp_path / name))
        assert "\n" not in str(caught.value)


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No weights in the environment or the cache."""
    monkeypatch.delenv("GENKIT_WEIGHTS", raising=False)
    monkeypatch.setenv("GENKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_absent_weights_are_one_line_that_says_which_file_to_put_where(nowhere: Path) -> None:
    with pytest.raises(DataError, match=FILE) as caught:
        InceptionFeatures()
    line = str(caught.value)
    assert "\n" not in line
    assert str(nowhere / "cache" / "weights") in line
    assert re.search(r"sha256 6726825d[0-9a-f]{56}\b", line)


def test_weights_are_looked_for_in_order(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = [nowhere / "own", nowhere / "environment", nowhere / "cache" / "weights"]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / FILE).write_bytes(b"")
    monkeypatch.setenv("GENKIT_WEIGHTS", str(folders[1]))
    assert find_weights("inception", FILE, "", str(folders[0])) == folders[0] / FILE
    assert find_weights("inception", FILE, "", None) == folders[1] / FILE
    monkeypatch.delenv("GENKIT_WEIGHTS")
    assert find_weights("inception", FILE, "", None) == folders[2] / FILE
    with pytest.raises(DataError, match="absent"):
        find_weights("inception", FILE, "", str(nowhere / "absent"))


def test_another_file_than_the_published_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"not weights")
    with pytest.raises(DataError, match="not 6726825d"):
        loaded(tmp_path / FILE)
    digest = hashlib.sha256(b"not weights").hexdigest()
    with pytest.raises(DataError, match=f"not {digest[:8]}"):
        loaded(tmp_path / FILE, digest[:-1] + "x")  # every digit counts, not those of the file's name alone
    with pytest.raises(DataError, match="no weights of Inception") as caught:
        loaded(tmp_path / FILE, digest)
    assert "\n" not in str(caught.value)


def test_inception_sees_whole_numbers_whatever_the_levels() -> None:
    spec = DataSpec((1, 1, 17), "image", (-1.0, 1.0), 17)
    values = bytes_of(spec.scale(torch.arange(17, dtype=torch.uint8).reshape(1, 1, 1, 17)), spec)
    assert values.shape == (1, 3, 1, 17)
    assert values[0, 0, 0].tolist() == [round(255 * level / 16) for level in range(17)]


def test_features_are_the_network_s_and_grey_becomes_three_channels(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = nowhere / FILE
    with torch.device("meta"):
        shapes = InceptionV3().state_dict()
    torch.save({k: torch.full(v.shape, 0.01) for k, v in shapes.items() if "num_batches" not in k}, file)
    with open(file, "rb") as content:
        monkeypatch.setattr(inception, "SHA256", digest := hashlib.file_digest(content, "sha256").hexdigest())
    monkeypatch.setattr(inception, "loaded", lambda path: loaded(path, digest))
    features = InceptionFeatures("192", str(file))
    x = stored(1, 0)
    assert torch.equal(bytes_of(x, SPEC)[0, 2], SPEC.unscale(x)[0, 0].float())
    assert features.accepts(SPEC)
    assert not features.accepts(PLANE)
    rows = features(x, SPEC)
    assert (rows.shape, rows.dtype) == ((1, features.dim(SPEC)), torch.float64)
    assert torch.isfinite(rows).all()
    assert features.name == "inception192"
