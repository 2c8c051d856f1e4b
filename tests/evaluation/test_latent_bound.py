"""Bounds of models with a latent, through the evaluator: asked by ability, refused in one line, ordered by k."""

import pytest
import torch

from genkit.data.spec import DataSpec
from genkit.data.split import InMemory
from genkit.errors import ConfigError
from genkit.evaluation.evaluator import Evaluator
from genkit.evaluation.reference import Reference
from genkit.features.raw import RawFeatures
from genkit.metrics.likelihood import IWAE, LowerBound
from genkit.models.base import Bound, Density, GenerativeModel
from genkit.models.vae.vae import VAE
from genkit.nn.mlp import MLP

SPEC = DataSpec((1, 4, 4), "image", (-1.0, 1.0), 2)


def evaluator(named: bool = True) -> Evaluator:
    v = torch.randint(2, (40, 1, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    metrics = {"elbo": LowerBound(), "iwae": IWAE(k=20)}
    return Evaluator(metrics, RawFeatures(), Reference(SPEC, InMemory(v), "coins"), named=named, batch_size=16)


def vae(elbo_draws: int = 20) -> VAE:
    torch.manual_seed(0)
    return VAE(spec=SPEC, latent_dim=2, backbone=MLP, elbo_draws=elbo_draws).eval()


def test_values_are_the_models_bounds_and_named_so() -> None:
    model, scorer = vae(), evaluator()
    elbo, iwae = scorer.score_model(model, 8)
    assert (elbo.kind, iwae.kind) == ("lower", "lower")
    assert (elbo.direction, iwae.params["k"]) == ("min", 20)
    x = SPEC.scale(scorer.reference.data.x)
    with torch.no_grad():
        assert elbo.value == pytest.approx(-float(model.log_prob(x).double().mean()), rel=1e-5)
        assert iwae.value == pytest.approx(-float(model.importance_log_prob(x, k=20).double().mean()), rel=1e-5)
        assert iwae.value < elbo.value  # of the same draws


class Coins(GenerativeModel, Density):
    """Every pixel is a fair coin: a density without a latent."""

    bound: Bound = "exact"

    def __init__(self) -> None:
        super().__init__(SPEC)
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def losses(self, batch, phase):
        return {"loss": self.weight}

    def log_prob(self, x, y=None):
        return torch.full((len(x),), -16 * torch.tensor(2.0).log().item())

    def draw(self, n, *, y=None, noise):
        return 0.5 * noise(*SPEC.shape).sign()


@pytest.mark.parametrize("named", [True, False])
def test_a_model_without_a_latent_is_refused_or_not_scored(named: bool) -> None:
    model = Coins()
    if named:
        with pytest.raises(ConfigError, match="Coins gives no bound by draws of a latent"):
            evaluator().score_model(model, 8)
    else:
        records = evaluator(named=False).score_model(model, 8)
        assert all(record.status.startswith("n/a") for record in records)
