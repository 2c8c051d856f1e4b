r"""Likelihoods of held-out data, for models that have one.

The model scores stored values itself (`genkit/models/density.py`), by a density of dequantised data, so one number
serves as nats and, through the one conversion, as bits per dimension. Whether it is exact, a bound or an estimate is
the model's to say and stands beside the value.

`ELBO` and `IWAE` speak of models with a latent, in the units of the literature on them: nats of the **probability of
the stored values**, which is the density times the bin's volume, log P(v) = log p(x) + D log((hi − lo) / levels). For
binary images the bin width is 1 and both are the same; for continuous data there is the density alone.

Where the truth is known the gap is a mean of differences on the same points,

.. math:: \mathbb{E}_{p} [\log p(x) - \log q(x)] = KL(p \,\|\, q),

whose error is far below that of either mean, since both vary with the points alike.
"""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor

from genkit.component import PositiveInt
from genkit.data.kinds import KINDS, Categorical, Modality, Quantised, ValueKind
from genkit.metrics.base import Probe, Requirement
from genkit.metrics.mean import ExampleMean
from genkit.models.density import log_mass, stored_bits

ANY: tuple[Modality, ...] = ("image", "vector", "sequence")


class NegativeLogLikelihood(ExampleMean):
    """−log p(x) in nats per example; of continuous data in the units of the data, whatever those of the model."""

    requires: ClassVar[tuple[Requirement, ...]] = ("log_prob",)
    modalities: ClassVar[tuple[Modality, ...]] = ANY
    kinds: ClassVar[tuple[type[ValueKind], ...]] = KINDS
    units: ClassVar[str] = "nats"
    divergence: ClassVar[bool] = False

    def per_example(self, probe: Probe) -> Tensor:
        log_prob, spec = probe["log_prob"], probe.spec
        return -log_prob if spec.kind.has_mass else -log_mass(log_prob, spec)


class BitsPerDim(ExampleMean):
    """−log₂ of the probability of the stored values, per dimension or token (Theis et al. 2015, 1511.01844)."""

    requires: ClassVar[tuple[Requirement, ...]] = ("log_prob",)
    modalities: ClassVar[tuple[Modality, ...]] = ANY
    kinds: ClassVar[tuple[type[ValueKind], ...]] = (Quantised, Categorical)
    units: ClassVar[str] = "bits/dim"
    divergence: ClassVar[bool] = False

    def per_example(self, probe: Probe) -> Tensor:
        return stored_bits(-probe["log_prob"], probe.spec)


class LowerBound(ExampleMean):
    """−ELBO in nats per example: an upper bound on −log P(x)."""

    requires: ClassVar[tuple[Requirement, ...]] = ("log_prob", "importance")
    modalities: ClassVar[tuple[Modality, ...]] = ANY
    kinds: ClassVar[tuple[type[ValueKind], ...]] = KINDS
    measures_bound: ClassVar[bool] = True
    units: ClassVar[str] = "nats"
    divergence: ClassVar[bool] = False

    def per_example(self, probe: Probe) -> Tensor:
        return -log_mass(probe["log_prob"], probe.spec)

    def params(self) -> dict[str, Any]:
        return {"of": "stored values"}


class IWAE(ExampleMean):
    """−log 1/k Σ w in nats per example: a tighter upper bound on −log P(x) (Burda et al. 2015, 1509.00519).

    Arguments:
        k: Draws of the latent for each example.
    """

    requires: ClassVar[tuple[Requirement, ...]] = ("log_prob", "importance")
    modalities: ClassVar[tuple[Modality, ...]] = ANY
    kinds: ClassVar[tuple[type[ValueKind], ...]] = KINDS
    measures_bound: ClassVar[bool] = True
    units: ClassVar[str] = "nats"
    divergence: ClassVar[bool] = False

    def __init__(self, k: PositiveInt = 64) -> None:
        super().__init__()
        self.k = k

    def per_example(self, probe: Probe) -> Tensor:
        return -log_mass(probe.ask("importance", self.k), probe.spec)

    def params(self) -> dict[str, Any]:
        return {"k": self.k, "of": "stored values"}


class LogLikelihoodGap(ExampleMean):
    """Mean of log p(x) − log q(x) over held-out points: KL(truth ‖ model) in nats; sampling can make it negative."""

    requires: ClassVar[tuple[Requirement, ...]] = ("log_prob", "truth")
    modalities: ClassVar[tuple[Modality, ...]] = ANY
    kinds: ClassVar[tuple[type[ValueKind], ...]] = KINDS
    units: ClassVar[str] = "nats"

    def per_example(self, probe: Probe) -> Tensor:
        return probe["truth"].double() - probe["log_prob"].double()
