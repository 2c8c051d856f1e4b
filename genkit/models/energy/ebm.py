r"""Energy-based models: a network gives each example a number, and exp of it is the density up to a constant.

.. math:: p(x) = \frac{1}{Z} \exp\Big(f(u) - \frac{\|u\|^2}{2 s^2}\Big), \qquad u = \frac{x - m}{\sigma}

u is standardised data, its mean m and spread σ measured on the first batch; the weak normal tail of width s makes Z
finite whatever f is. With labels the network has an output for each, p(x | y) ∝ exp(f(u)_y − …), and Σ_y of them is
p(x) where an objective trains them jointly.

How f is trained is the objective's: without chains by a base distribution (`objective.py`) or by scores
(`score_matching.py`), with chains (`contrastive.py`). Samples are chains from the base along the gradient
(`langevin.py`), a likelihood needs log Z (`normaliser.py`). An energy at all noise levels, which every sampler of
diffusion models takes, is `energy_diffusion.py`.

References: A Tutorial on Energy-Based Learning (LeCun et al. 2006); How to Train Your Energy-Based Models (Song &
Kingma 2021, 2101.03288).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from genkit.batch_noise import uniform_like
from genkit.component import AtSampling, PositiveFloat, PositiveInt
from genkit.data.spec import Batch, DataSpec, check_values
from genkit.errors import ConfigError
from genkit.models.base import Completes, Conditional, GenerativeModel, Noise, Stepwise, classes_of
from genkit.models.energy.annealed_importance import AnnealedImportance
from genkit.models.energy.base_distribution import FEW, default_base
from genkit.models.energy.clamping import completed
from genkit.models.energy.contrastive import PersistentCD
from genkit.models.energy.langevin import MALA, ChainSampler, Langevin, LogDensity, slope
from genkit.models.energy.normaliser import LogZ, Normaliser, Quadrature
from genkit.models.energy.objective import (
    EnergyObjective,
    EnergyObjectiveFactory,
    ImportanceML,
    under,
)
from genkit.models.energy_function import Energy
from genkit.models.guarded import Guarded
from genkit.models.normalised import Normalised
from genkit.models.sampling_gradients import SamplesByGradient
from genkit.models.score_function import ScoreFunction
from genkit.models.training_state import TrainingState
from genkit.nn.backbone import BackboneFactory
from genkit.nn.default import quick_backbone
from genkit.nn.mlp import MLP

SMALL_NETWORK = partial(MLP, width=64, depth=2, octaves=4)  # of a few values: waves down to an eighth of a radian
LEAST_SPREAD = 1e-6  # standard deviation below which a batch tells nothing of the data's scale
Chains = Annotated[
    ChainSampler | None,
    AtSampling("", parts=(("steps", PositiveInt),)),
]


class EBM(
    GenerativeModel,
    Normalised,
    Energy,
    ScoreFunction,
    Completes,
    Conditional,
    Stepwise,
    TrainingState,
    Guarded,
    SamplesByGradient,
):
    """Energy-based model with one network and an objective of choice.

    References: Song & Kingma 2021, 2101.03288.

    Arguments:
        spec: The data.
        backbone: The network, to one number, or one for each label; None takes what the data asks for.
        objective: What is minimised; None takes ImportanceML for up to four values, else PersistentCD.
        sampler: None takes MALA for up to four values, else Langevin.
        normaliser: Of the likelihood; None takes Quadrature for one or two values, else AnnealedImportance.
        tail: s, the width of the normal tail in standard deviations of the data.
        conditional: Whether to use the data's labels.

    Raises:
        ConfigError: an objective that such data does not have, or a network that couples the examples of a batch.
    """

    def __init__(
        self,
        *,
        spec: DataSpec,
        backbone: BackboneFactory | None = None,
        objective: EnergyObjectiveFactory | None = None,
        sampler: Chains = None,
        normaliser: Normaliser | None = None,
        tail: PositiveFloat = 4.0,
        conditional: bool = False,
    ) -> None:
        super().__init__(spec)
        self.num_classes = classes_of(spec, conditional)
        few = spec.dim <= FEW
        make = backbone or (SMALL_NETWORK if few else quick_backbone(spec.shape))
        self.network = make(in_shape=spec.shape, out_shape=(self.num_classes or 1,))
        refuse_batch_statistics(self.network)
        self.objective: EnergyObjective = (objective or default_objective(spec))(
            shape=spec.shape, num_classes=self.num_classes
        )
        if self.objective.always_labelled and self.num_classes is None:
            name = type(self.objective).__name__
            raise ConfigError(f"model.objective: {name} learns from labels: set model.conditional=true")
        self.sampler = sampler or default_sampler(spec, self.objective)
        self.normaliser = normaliser or (Quadrature() if spec.dim <= 2 else AnnealedImportance())
        self.bound, self.costly = self.normaliser.bound, self.normaliser.costly
        self.tail, self.base = tail, default_base(spec.shape)
        self.register_buffer("centre", torch.zeros(spec.shape))
        self.register_buffer("spread", torch.ones(spec.shape))
        self._log_z: tuple[str, LogZ] | None = None  # of the weights with this hash

    centre: Tensor
    spread: Tensor

    @property
    def least_level(self) -> float:
        return 0.0

    def initialise(self, batch: Batch) -> None:
        """The mean and spread of the batch: of each value of a vector, of all pixels together."""
        x, image = batch["x"], self.spec.modality == "image"
        spread = x.std(correction=0) if image else x.std(0, correction=0)
        self.centre.copy_(x.mean() if image else x.mean(0))
        self.spread.copy_(torch.where(spread > LEAST_SPREAD, spread, 1.0))

    def compilable(self) -> Iterable[nn.Module]:
        return ()  # trained or sampled by its derivatives

    def standardised(self, x: Tensor) -> Tensor:
        """u (B, *shape) of model values x (B, *shape)."""
        return (x - self.centre) / self.spread

    def log_densities(self, u: Tensor) -> Tensor:
        """log p̃(u | y) (N, K) of points u (N, *shape) under each label, without log Z; K is 1 without labels."""
        return self.network(u) - u.flatten(1).square().sum(1, keepdim=True) / (2 * self.tail**2)

    def log_density(self, u: Tensor, y: Tensor | None = None) -> Tensor:
        """log p̃ (N,) of points u (N, *shape) under labels y (N,); of a joint model without labels that of p(x)."""
        values = self.log_densities(u)
        return torch.logsumexp(values, 1) if y is None and self.num_classes is not None else under(values, y)

    def losses(self, batch: Batch, phase: str) -> dict[str, Tensor]:
        x, y = batch["x"], self.labels_of(batch)
        u = self.standardised(self.spec.dequantise(x, uniform_like(x)))
        terms = self.objective.losses(self.log_densities, u, y)
        if self.objective.is_likelihood:  # in nats of x
            terms["loss"] = terms["loss"] + self.spread.log().sum()
        return terms

    def draw(self, n: int, *, y: Tensor | None = None, noise: Noise) -> Tensor:
        self.check_labels(y, n)
        u = self.sampler(self._of_chains(n, y), self.base, self.spec.shape, noise)
        self.evaluations = self.sampler.evaluations
        return self.spec.clip(u.detach() * self.spread + self.centre)

    def complete(self, x: Tensor, known: Tensor, *, y: Tensor | None = None, noise: Noise) -> Tensor:
        """x where it is known, the rest the ends of chains that hold it."""
        check_values(x, self.spec.shape, "complete")
        self.check_labels(y, len(x))
        known = known.expand(x.shape)
        u = self.standardised(torch.where(known, x, self.centre.expand(x.shape)))
        with torch.enable_grad():
            found = completed(self.sampler, self._of_chains(len(x), y), self.base, u, known, noise)
        self.evaluations = self.sampler.evaluations
        return torch.where(known, x, self.spec.clip(found * self.spread + self.centre))

    def _of_chains(self, n: int, y: Tensor | None) -> LogDensity:
        """log p̃ of points, those of each of n samples with labels y (n,) side by side."""
        return lambda u: self.log_density(u, None if y is None else y.repeat_interleave(len(u) // n))

    def energy(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """E (B,); without labels that of p(x), where the objective trains all labels jointly."""
        check_values(x, self.spec.shape, "energy")
        if y is not None or self.num_classes is None or not self.objective.joint:
            self.check_labels(y, len(x))
        return -self.log_density(self.standardised(x), y)

    def score(self, x: Tensor, y: Tensor | None = None, *, level: float | None = None) -> Tensor:
        check_values(x, self.spec.shape, "score")
        self.check_labels(y, len(x))
        if level:
            raise ConfigError(f"score: this model knows the density of data alone, not at the noise level {level:g}")
        return slope(partial(self.log_density, y=y), self.standardised(x))[1] / self.spread

    def log_prob(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        self.check_labels(y, len(x))
        log_z = self.log_z().value.to(x)
        of_label = log_z.expand(len(x)) if y is None else log_z[y]
        return self.log_density(self.standardised(x), y) - of_label - self.spread.log().sum()

    def log_z(self) -> LogZ:
        """log Z of standardised data under each label, computed once for the weights as they are."""
        digest = _hash_of(self.network)
        if self._log_z is None or self._log_z[0] != digest:
            found = self.normaliser(self.network, self.tail, self.spec.shape, self.centre)
            self._log_z = digest, found
        return self._log_z[1]

    def normaliser_facts(self) -> dict[str, Any]:
        log_z = self.log_z()
        numbers = {"log_z": log_z.value.tolist(), "log_z_se": log_z.se.tolist()}
        facts: dict[str, Any] = {key: value if self.num_classes else value[0] for key, value in numbers.items()}
        facts["log_z_method"] = log_z.method
        return facts | ({"log_z_caution": log_z.caution} if log_z.caution else {})

    def lost(self, terms: Mapping[str, Tensor]) -> str | None:
        return self.objective.lost(terms) if isinstance(self.objective, Guarded) else None

    def training_state(self) -> dict[str, Tensor]:
        return self.objective.training_state() if isinstance(self.objective, TrainingState) else {}

    def load_training_state(self, state: Mapping[str, Tensor]) -> None:
        if isinstance(self.objective, TrainingState):
            self.objective.load_training_state(state)
        elif state:
            raise ValueError("it holds the state of an objective that this model does not have")


def default_objective(spec: DataSpec) -> EnergyObjectiveFactory:
    """Without chains where a base distribution covers the data."""
    return ImportanceML if spec.dim <= FEW else PersistentCD


def default_sampler(spec: DataSpec, objective: EnergyObjective) -> ChainSampler:
    """Exact where that is cheap; else the walk that the chains of the training took, at their temperature."""
    if spec.dim <= FEW:
        return MALA()
    if not isinstance(objective, PersistentCD):
        return Langevin()
    return Langevin(step=objective.step, temperature=objective.temperature, gradient_limit=objective.gradient_limit)


def refuse_batch_statistics(network: nn.Module) -> None:
    """Raises ConfigError for a network with batch normalisation, which would couple the chains of a batch."""
    if any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in network.modules()):
        raise ConfigError(
            f"backbone: {type(network).__name__} has batch normalisation, through which chains would see each other: "
            "choose a network without, such as backbone=conv or backbone=mlp"
        )


def _hash_of(module: nn.Module) -> str:
    """A digest of the values of a module's parameters and buffers."""
    digest = hashlib.sha256()
    for value in module.state_dict().values():
        digest.update(value.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
