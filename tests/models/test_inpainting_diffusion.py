"""Diffusion that is trained to complete: the masks it is trained on, what its network sees, and that its draws are of
the posterior where that has a closed form."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from torch import Tensor

from genkit.data.spec import DataSpec
from genkit.errors import ConfigError
from genkit.models.inpainting_diffusion import InpaintingDiffusion
from genkit.models.random_masks import random_masks
from genkit.nn.backbone import Backbone
from genkit.nn.mlp import MLP
from genkit.noise import SampleNoise

IMAGES = DataSpec((2, 6, 8), "image", value_range=(-1.0, 1.0), num_classes=3)
PLANE = DataSpec((2,), "vector")
CPU = torch.device("cpu")


class Recorded(Backbone):
    """The mean of all channels; remembers what it saw."""

    def __init__(self, *, in_shape, out_shape, num_classes=None, time=False) -> None:
        super().__init__()
        self.in_shape, self.channels = in_shape, out_shape[0]
        self.weight = torch.nn.Parameter(torch.ones(()))
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor, t: Tensor | None = None, y: Tensor | None = None) -> Tensor:
        self.seen.append(x.detach())
        return self.weight * x.mean(1, keepdim=True).expand(-1, self.channels, *x.shape[2:])


def model(spec: DataSpec = IMAGES, **more) -> InpaintingDiffusion:
    return InpaintingDiffusion(spec=spec, backbone=Recorded, **more).eval()


def test_every_kind_of_part_is_known_in_training() -> None:
    """Of images whole pixels; nothing in its share; sides, boxes and scattered pixels in a third of the rest each."""
    torch.manual_seed(0)
    known = random_masks(IMAGES, 6000, 0.25, CPU)
    assert known.shape == (6000, 2, 6, 8)
    assert torch.equal(known[:, 0], known[:, 1])
    share = known[:, 0].double().mean((1, 2))
    assert (share == 0).double().mean().item() == pytest.approx(0.25 + 0.75 * 0.05, abs=0.05)
    rows, columns = known[:, 0].any(2), known[:, 0].any(1)
    whole = (known[:, 0] == (rows[:, :, None] & columns[:, None])).all((1, 2))  # one rectangle, or none
    assert 0.5 < whole.double().mean() < 0.75
    half = torch.zeros(6, 8, dtype=torch.bool)
    half[:3] = True
    assert (known[:, 0] == half).all((1, 2)).sum() > 50  # the upper half itself is among them
    assert known.double().mean((0, 1)).std() < 0.05  # no place is known more often than another


def test_columns_are_known_together() -> None:
    known = random_masks(DataSpec((5,), "vector"), 4000, 0.0, CPU)
    assert known.double().mean(0).sub(0.5).abs().max() < 0.05
    assert random_masks(PLANE, 50, 1.0, CPU).sum() == 0


def test_the_network_sees_what_is_known_and_where() -> None:
    made = model()
    x, known = SampleNoise(0, range(3))(2, 6, 8).tanh(), torch.zeros(2, 6, 8, dtype=torch.bool)
    known[:, :3] = True
    assert made.network.network.in_shape == (5, 6, 8)
    out = made.complete(x, known, noise=SampleNoise(1, range(3)))
    seen = made.network.network.seen[0]
    assert torch.equal(seen[:, 2:4], torch.where(known, x, 0.0))
    assert torch.equal(seen[:, 4], known[0].float().expand(3, 6, 8))
    assert torch.equal(out[:, known], x[:, known])
    assert not torch.equal(out[:, ~known], x[:, ~known])
    made.sample(2)
    assert not made.network.network.seen[-1][:, 2:].any()  # of a sample nothing is known


def test_what_is_hidden_is_not_looked_at() -> None:
    made, known = model(), torch.zeros(2, 6, 8, dtype=torch.bool)
    known[..., :4] = True
    x = SampleNoise(0, range(3))(2, 6, 8).tanh()
    other = torch.where(known, x, math.nan)
    drawn = [made.complete(each, known, noise=SampleNoise(1, range(3))) for each in (x, other)]
    assert torch.equal(*drawn)


def test_a_completion_may_be_told_a_label_or_not() -> None:
    made = model(conditional=True)
    x, known = torch.zeros(3, 2, 6, 8), torch.ones(2, 6, 8, dtype=torch.bool)
    for y in (None, torch.tensor([0, 1, 2])):
        assert torch.equal(made.complete(x, known, y=y, noise=SampleNoise(0, range(3))), x)
    with pytest.raises(ConfigError, match="labels"):
        made.complete(x, known, y=torch.tensor([0, 1, 3]), noise=SampleNoise(0, range(3)))
    with pytest.raises(ConfigError, match="labels"):
        model(conditional=True, label_dropout=0.0).complete(x, known, noise=SampleNoise(0, range(3)))


def test_labels_are_told_by_what_is_known() -> None:
    made = InpaintingDiffusion(spec=IMAGES, backbone=Recorded, conditional=True, nothing_known=1.0)
    x, known = SampleNoise(0, range(5))(2, 6, 8).tanh(), torch.zeros(2, 6, 8, dtype=torch.bool)
    known[..., :4] = True
    told = made.label_log_probs(torch.where(known, x, math.nan), known)
    assert told.shape == (5, 3)
    torch.testing.assert_close(told, made.label_log_probs(x, known))
    torch.testing.assert_close(told.exp().sum(1), torch.ones(5, dtype=torch.float64))
    y = torch.tensor([0, 1, 2, 2, 0])
    terms = made.losses({"x": x, "y": y}, "model")  # nothing is known in such a training
    blind = made.label_log_probs(x, torch.zeros_like(known))[torch.arange(5), y]
    torch.testing.assert_close(terms["label"].double(), -blind.mean(), rtol=1e-5, atol=1e-6)
    assert InpaintingDiffusion(spec=IMAGES, backbone=Recorded).classifier is None


@pytest.mark.slow
def test_completions_are_draws_of_the_posterior() -> None:
    """Of a correlated Gaussian: given one coordinate a, the other is N(ρ a, 1 − ρ²)."""
    torch.manual_seed(0)
    rho, steps = 0.9, 800
    made = InpaintingDiffusion(spec=PLANE, backbone=partial(MLP, width=64, depth=2)).train()
    made.initialise({"x": torch.randn(1000, 2)})
    optimiser = torch.optim.Adam(made.parameters(), 4e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        e = torch.randn(256, 2)
        x = torch.stack([e[:, 0], rho * e[:, 0] + (1 - rho**2) ** 0.5 * e[:, 1]], 1)
        optimiser.zero_grad()
        made.losses({"x": x}, "model")["loss"].backward()
        optimiser.step()
        schedule.step()
    made.eval()
    known = torch.tensor([True, False])
    for a in (-1.0, 0.0, 1.5):
        x = torch.tensor([a, math.nan]).expand(2000, 2)
        drawn = made.complete(x, known, noise=SampleNoise(0, range(2000)))[:, 1]
        assert drawn.mean().item() == pytest.approx(rho * a, abs=0.08)
        assert drawn.std().item() == pytest.approx((1 - rho**2) ** 0.5, rel=0.15)
    whole = made.sample(2000)
    assert whole.T.cov()[0, 1].item() == pytest.approx(rho, abs=0.12)
