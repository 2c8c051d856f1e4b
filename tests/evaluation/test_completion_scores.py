"""Scores of completions against their definitions."""

from __future__ import annotations

import pytest
import torch

from genkit.data.kinds import Categorical
from genkit.data.spec import DataSpec
from genkit.evaluation.completion import Truth
from genkit.features.raw import RawFeatures

SPEC = DataSpec((1, 2, 3), "image", value_range=(-1.0, 1.0), levels=256)


def found(spec: DataSpec, x: torch.Tensor, draws: torch.Tensor) -> dict[str, float]:
    hidden = torch.zeros(spec.shape, dtype=torch.bool)
    hidden.flatten()[: spec.dim // 2] = True
    truth = Truth(spec, x, hidden.expand(x.shape), RawFeatures(normalize="none"))
    return {row["score"]: row["value"] for row in truth.scores("model", draws)}


def images(*shape: int) -> torch.Tensor:
    return SPEC.centre(torch.rand(*shape, *SPEC.shape, generator=torch.Generator().manual_seed(len(shape))) * 2 - 1)


def test_the_distance_of_the_mean_is_none_of_the_mean_distances() -> None:
    """Both against their definitions in grey levels: the mean is taken of the draws, not of their distances."""
    x, draws = images(7), images(7, 40)
    scores = found(SPEC, x, draws)
    levels = lambda x: SPEC.kind.coordinates(SPEC.unscale(x))  # noqa: E731
    far = (levels(draws) - levels(x)[:, None]).flatten(2)
    assert scores["feature_distance"] == pytest.approx(float(far.norm(dim=2).mean()), rel=1e-9)
    rounding = SPEC.dim**0.5 / 510
    assert scores["feature_distance_of_mean"] == pytest.approx(float(far.mean(1).norm(dim=1).mean()), abs=rounding)
    assert scores["feature_distance_best"] < scores["feature_distance_of_mean"] < scores["feature_distance"]


def test_one_answer_has_the_same_of_both() -> None:
    scores = found(SPEC, images(7), images(7, 1))
    assert scores["feature_distance"] == scores["feature_distance_of_mean"] > 0


def test_tokens_have_no_mean() -> None:
    spec = DataSpec((4,), "sequence", kind=Categorical(3))
    x = torch.tensor([[0, 1, 2, 0]])
    scores = found(spec, x, torch.tensor([[[0, 1, 2, 0], [1, 1, 2, 0]]]))
    assert scores["feature_distance"] == pytest.approx(0.5)
    assert "feature_distance_of_mean" not in scores
