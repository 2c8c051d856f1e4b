"""A score by a normaliser of the model's own says which one, with its value and error; others say nothing of it."""

import torch

from genkit.data.spec import DataSpec
from genkit.data.split import InMemory
from genkit.evaluation.evaluator import Evaluator
from genkit.evaluation.record import Record
from genkit.evaluation.reference import Reference
from genkit.features.raw import RawFeatures
from genkit.flows.spline import RationalQuadratic
from genkit.flows.vector_flow import Couplings
from genkit.metrics.likelihood import NegativeLogLikelihood
from genkit.models.base import GenerativeModel
from genkit.models.energy.annealed_importance import AnnealedImportance
from genkit.models.energy.ebm import EBM
from genkit.models.flow import Flow

PLANE = DataSpec((2,), "vector")


def scored(model: GenerativeModel) -> Record:
    x = torch.randn(8, 2, generator=torch.Generator().manual_seed(0))
    reference = Reference(name="own", spec=PLANE, data=InMemory(x))
    scorer = Evaluator({"nll": NegativeLogLikelihood()}, RawFeatures(), reference, named=True)
    (record,) = scorer.score_model(model.eval(), 8)
    return record


def test_a_score_by_a_normaliser_says_which_one() -> None:
    exact, annealed = EBM(spec=PLANE), EBM(spec=PLANE, normaliser=AnnealedImportance(chains=4, steps=5))
    record = scored(exact)
    assert (record.kind, record.notes) == ("exact", ())
    assert record.findings["log_z"] == float(exact.log_z().value)
    assert record.findings["log_z_method"] == "quadrature on 800 x 800 points"
    record = scored(annealed)
    assert record.kind == "estimate"
    assert record.notes == ("log Z is a stochastic lower bound, so likelihoods are rather too high",)
    assert record.findings["log_z_se"] > 0


def test_a_density_without_one_says_nothing_of_it() -> None:
    flow = Flow(spec=PLANE, transform=Couplings(RationalQuadratic(4, 3.0), layers=2, hidden_features=8, depth=1))
    assert not [key for key in scored(flow).findings if "log_z" in key]
