"""Anomaly scores are what their definitions say, example by example, whatever the batch."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from genkit.data.spec import Batch, DataSpec
from genkit.data.split import InMemory
from genkit.diffusion.denoiser import Denoiser, MixtureDenoiser
from genkit.diffusion.schedule import KarrasSchedule
from genkit.errors import NumericalError
from genkit.evaluation.anomaly_scores import LEVEL, SCORES, AnomalyScore
from genkit.evaluation.scored_set import NormalData, ScoredSet, complexity_bits
from genkit.models.base import Density, GenerativeModel, Noise, Reconstructor
from genkit.models.denoises import Denoises
from genkit.models.energy_function import Energy
from genkit.models.judges import Judges

SPEC = DataSpec((1, 2, 2), "image", value_range=(-1.0, 1.0), levels=4)
BY_NAME = {score.name: score for score in SCORES}


class Everything(GenerativeModel, Density, Reconstructor, Denoises, Energy, Judges):
    """Independent pixels with the masses 0.1, 0.2, 0.3, 0.4, and answers in closed form to everything else."""

    bound = "exact"
    dequantisation = "none"
    needs_label = False

    def __init__(self) -> None:
        super().__init__(SPEC)
        self.mass = nn.Parameter(torch.tensor([0.1, 0.2, 0.3, 0.4]))

    def log_prob(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.mass.log()[SPEC.unscale(x).long()].flatten(1).sum(1) - SPEC.dim * SPEC.kind.log_volume

    def reconstruct(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return 0.5 * x

    def denoiser_for(self, n: int, y: Tensor | None = None) -> Denoiser:
        return _Flat(MixtureDenoiser(torch.zeros(1, 4), torch.tensor([0.5]), torch.ones(1), KarrasSchedule()))

    def energy(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return x.square().flatten(1).sum(1)

    def realness(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return x.flatten(1).sum(1)

    def losses(self, batch: Batch, phase: str) -> dict[str, Tensor]:
        raise NotImplementedError

    def draw(self, n: int, *, y: Tensor | None = None, noise: Noise) -> Tensor:
        raise NotImplementedError


class _Flat(Denoiser):
    """A denoiser of vectors, asked about images."""

    def __init__(self, inner: Denoiser) -> None:
        super().__init__()
        self.inner, self.schedule = inner, inner.schedule

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        return self.inner(x_t.flatten(1), t).view_as(x_t)


@pytest.fixture(scope="module")
def model() -> Everything:
    return Everything().eval()


@pytest.fixture(scope="module")
def v() -> Tensor:
    return torch.randint(4, (40, 1, 2, 2), generator=torch.Generator().manual_seed(0)).to(torch.uint8)


def score(name: str, model: GenerativeModel, v: Tensor, normal: NormalData, batch_size: int = 7) -> np.ndarray:
    assert BY_NAME[name].serves(model, normal)
    made: AnomalyScore = BY_NAME[name](normal)
    return made(ScoredSet(model, v, None, seed=1, batch_size=batch_size))


@pytest.fixture(scope="module")
def normal(model: Everything, v: Tensor) -> NormalData:
    return NormalData(ScoredSet(model, v[:11], None), InMemory(v[20:]), 0.6)


def test_likelihoods_in_closed_form(model: Everything, v: Tensor, normal: NormalData) -> None:
    nll = -np.log(np.array([0.1, 0.2, 0.3, 0.4]))[v.flatten(1).numpy()].sum(1)
    assert score("nll", model, v, normal) == pytest.approx(nll, rel=1e-5)
    assert score("typicality", model, v, normal) == pytest.approx(abs(nll - np.median(nll[:11])), abs=1e-5)
    bits = complexity_bits(v, SPEC)
    assert score("complexity", model, v, normal) == pytest.approx(nll / math.log(2) - bits, rel=1e-5)
    assert score("size", model, v, normal) == pytest.approx(bits)


def test_distances_in_closed_form(model: Everything, v: Tensor, normal: NormalData) -> None:
    x = SPEC.scale(v)
    squares = x.square().flatten(1).double()
    assert score("reconstruction", model, v, normal) == pytest.approx((0.25 * squares.mean(1)).numpy(), rel=1e-5)
    assert score("energy", model, v, normal) == pytest.approx(squares.sum(1).numpy(), rel=1e-5)
    assert score("discriminator", model, v, normal) == pytest.approx(-x.flatten(1).sum(1).numpy(), abs=1e-5)
    nearest = torch.cdist(v.flatten(1).double() / 3, v[20:].flatten(1).double() / 3).amin(1)
    assert score("nearest", model, v, normal) == pytest.approx(nearest.numpy(), abs=1e-3)


def test_the_denoising_error_is_that_of_the_closed_form_on_average(model: Everything, normal: NormalData) -> None:
    """Of N(0, s²): D = c x_t with c = s² / (s² + σ²), so E ‖x − D‖² / D = (1 − c)² x² + c² σ²."""
    v = torch.zeros(4000, 1, 2, 2, dtype=torch.uint8)
    sigma = LEVEL * normal.std
    c = 0.25 / (0.25 + sigma**2)
    expected = (1 - c) ** 2 * float(SPEC.scale(v[:1]).square().mean()) + c**2 * sigma**2
    assert score("denoising", model, v, normal, 500).mean() == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("name", BY_NAME)
def test_no_score_depends_on_the_batch(name: str, model: Everything, v: Tensor, normal: NormalData) -> None:
    assert score(name, model, v, normal, 40) == pytest.approx(score(name, model, v, normal, 3), abs=1e-5)


def test_a_model_has_the_scores_of_its_abilities_and_data(model: Everything, normal: NormalData) -> None:
    bare = NormalData(None, None, 1.0)
    assert not BY_NAME["typicality"].serves(model, bare)
    assert not BY_NAME["nearest"].serves(model, bare)
    assert all(score.serves(model, normal) for score in SCORES)


def test_complex_images_take_more_bits() -> None:
    spec = DataSpec((1, 16, 16), "image", value_range=(-1.0, 1.0), levels=256)
    noise = torch.randint(256, (1, 1, 16, 16), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    bits = complexity_bits(torch.cat((torch.zeros_like(noise), noise)), spec)
    assert bits[0] < bits[1]
    deep = DataSpec((5, 4, 4), "image", value_range=(-1.0, 1.0), levels=256)  # no picture has five channels
    assert complexity_bits(torch.zeros(2, 5, 4, 4, dtype=torch.uint8), deep).shape == (2,)


def test_a_score_that_is_not_a_number_is_refused(v: Tensor, normal: NormalData) -> None:
    broken = Everything().eval()
    broken.mass.data.fill_(-1.0)
    with pytest.raises(NumericalError):
        score("nll", broken, v, normal)
