r"""Maximum likelihood with chains: lower the energy of data, raise it where the model's own chains are.

.. math:: -\nabla \log p(u) = \nabla E(u) - \mathbb{E}_{v \sim p} \nabla E(v), \qquad
          \text{loss} = \overline{E(u)} - \overline{E(v)} + \alpha \big(\overline{E(u)^2} + \overline{E(v)^2}\big)

with v the ends of Langevin chains that go on from where the chains of earlier steps ended (persistent contrastive
divergence). They are kept in a buffer, a part of which starts afresh from a base distribution each time. The last term
holds the energy near 0. The buffer is state of the training: saved for resume, never averaged, never exported.

Chains that cannot follow the model are how such a training ends: their energies leave those of data, and every sample
is lost at once. A gap wider than a limit, or energies that are not finite, therefore end the training with the cause.

References: Training Restricted Boltzmann Machines using Approximations to the Likelihood Gradient (Tieleman 2008);
Implicit Generation and Modeling with Energy-Based Models (Du & Mordatch 2019, 1903.08689); Your Classifier is Secretly
an Energy Based Model (Grathwohl et al. 2019, 1912.03263).
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from genkit.batch_noise import integers, normal_like, uniform
from genkit.component import Count, NonNegativeFloat, PositiveFloat, Probability
from genkit.models.energy.base_distribution import FEW, default_base
from genkit.models.energy.langevin import Temperature, drift, slope
from genkit.models.energy.objective import EnergyObjective, LogDensities, under
from genkit.models.guarded import Guarded
from genkit.models.training_state import TrainingState
from genkit.noise import generator_of
from genkit.ranks import rows_of_all, world

STEPS, STEP = 20, 0.05  # of a chain between two steps of the training; ε in standard deviations of the data
GRADIENT_LIMIT, DATA_NOISE = 0.1, 0.03  # in standard deviations of the data
RESTARTS, ENERGY_L2, LARGEST_GAP = 0.05, 0.01, 50.0
COLD = 0.01  # temperature of chains in many dimensions
CHAINS = 10  # in the buffer for each example of a batch


class PersistentCD(EnergyObjective, TrainingState, Guarded):
    """Persistent contrastive divergence by Langevin chains.

    References: Tieleman 2008; Du & Mordatch 2019, 1903.08689.

    Arguments:
        shape, num_classes: As `EnergyObjective`.
        steps: Of the chains in each step of the training.
        step: ε, in standard deviations of the data.
        temperature: T of the chains; below 1 they draw likelier points than the model's. None takes 1 up to four
            values, else 0.01: chains in many dimensions do not arrive otherwise.
        gradient_limit: Largest move of a coordinate along the gradient in a step, in standard deviations.
        restarts: Share of the chains that start from the base.
        data_noise: Standard deviation of the noise on data, in standard deviations of the data.
        energy_l2: α.
        largest_gap: Between the mean energies of data and chains, in nats, beyond which the training ends.
    """

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        num_classes: int | None,
        steps: Count = STEPS,
        step: PositiveFloat = STEP,
        temperature: Temperature | None = None,
        gradient_limit: PositiveFloat = GRADIENT_LIMIT,
        restarts: Probability = RESTARTS,
        data_noise: NonNegativeFloat = DATA_NOISE,
        energy_l2: NonNegativeFloat = ENERGY_L2,
        largest_gap: PositiveFloat = LARGEST_GAP,
    ) -> None:
        super().__init__(shape=shape, num_classes=num_classes)
        self.steps, self.step, self.gradient_limit = steps, step, gradient_limit
        self.temperature = temperature or (1.0 if math.prod(shape) <= FEW else COLD)
        self.restarts, self.data_noise, self.energy_l2 = restarts, data_noise, energy_l2
        self.largest_gap, self.base = largest_gap, default_base(shape)
        self.chains: Tensor | None = None  # (K M, *shape), those of each label side by side; no buffer: see above

    def losses(self, log_densities: LogDensities, u: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        u = u + self.data_noise * normal_like(u)
        v = self._chains_of(log_densities, u, y) if self.training else self._from_base(log_densities, u, y)
        of_data, of_chains = log_densities(torch.cat([u, v])).split([len(u), len(v)])
        return self._terms(-self._log_density(of_data, y), -self._log_density(of_chains, y))

    def _log_density(self, log_densities: Tensor, y: Tensor | None) -> Tensor:
        """log p̃ (N,) of the chains' density, from those under each label (N, K)."""
        return under(log_densities, y)

    def _terms(self, of_data: Tensor, of_chains: Tensor) -> dict[str, Tensor]:
        gap = of_chains.mean() - of_data.mean()
        held = of_data.square().mean() + of_chains.square().mean()
        return {"loss": self.energy_l2 * held - gap, "energy_gap": gap}

    def lost(self, terms: Mapping[str, Tensor]) -> str | None:
        """The cause where the energies of data and chains have parted."""
        gap = abs(terms["energy_gap"].item())
        if gap <= self.largest_gap:
            return None
        what = f"are {gap:.3g} nats apart" if gap < math.inf else "are not finite"
        return (
            f"the energies of data and chains {what} (model.objective.largest_gap={self.largest_gap:g}): the chains do "
            "not follow the model: lower optimizer.lr, or raise model.objective.steps or model.objective.energy_l2"
        )

    def _walk(self, log_densities: LogDensities, v: Tensor, y: Tensor | None) -> Tensor:
        """The ends of `steps` steps from v (B, *shape)."""

        def log_density(u: Tensor) -> Tensor:
            return self._log_density(log_densities(u), y)

        for _ in range(self.steps):
            _, gradient = slope(log_density, v)
            moved = drift(gradient, self.step, self.temperature, self.gradient_limit)
            v = v + moved + self.step * normal_like(v)
        return v

    def _from_base(self, log_densities: LogDensities, u: Tensor, y: Tensor | None) -> Tensor:
        """Chains (B, *shape) that start afresh, for a validation, which moves nothing."""
        return self._walk(log_densities, self.base.in_training(len(u), self.shape, u.device).to(u), y)

    def _chains_of(self, log_densities: LogDensities, u: Tensor, y: Tensor | None) -> Tensor:
        """One chain for each example (B, *shape), of its label where chains have labels, moved on in the buffer."""
        chains = self._buffer(u)
        slots = integers(len(chains) // self._kinds, len(u), device=u.device)
        if self._kinds > 1 and y is not None:
            slots = slots + y * (len(chains) // self._kinds)
        fresh = self.base.in_training(len(u), self.shape, u.device).to(u)
        afresh = uniform(len(u), device=u.device) < self.restarts
        start = torch.where(afresh.reshape(-1, *[1] * (u.ndim - 1)), fresh, chains[slots])
        ends = self._walk(log_densities, start, y)
        self._keep(chains, rows_of_all(slots), rows_of_all(ends))
        return ends

    @staticmethod
    def _keep(chains: Tensor, slots: Tensor, ends: Tensor) -> None:
        """Puts ends (N, *shape) into their slots (N,): of several in one slot the last, and none that is not finite."""
        place = torch.arange(len(slots), device=slots.device)
        finite = torch.isfinite(ends).flatten(1).all(1)
        last = torch.full((len(chains),), -1, device=slots.device)
        last = last.scatter_reduce(0, slots, torch.where(finite, place, -1), "amax")
        moved = (last >= 0).reshape(-1, *[1] * (chains.ndim - 1))
        chains.copy_(torch.where(moved, ends[last.clamp(min=0)].to(chains), chains))

    @property
    def _kinds(self) -> int:
        """Of chains: one for each label."""
        return 1 if self.num_classes is None else self.num_classes

    def _buffer(self, like: Tensor) -> Tensor:
        """The chains; at the first step of a training ten for each example, of each label, from the base."""
        if self.chains is None:
            generator, n = generator_of(0, "chains"), CHAINS * len(like) * world() * self._kinds
            noise = torch.randn(n, 1 + like[0].numel(), generator=generator)
            points = self.base.from_noise(1, self.shape, _Rows(noise))
            self.chains = points[:, 0].to(like)
        return self.chains

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        """The chains move to another device with the module."""
        if self.chains is not None:
            self.chains = fn(self.chains)
        return super()._apply(fn, recurse)

    def training_state(self) -> dict[str, Tensor]:
        return {} if self.chains is None else {"chains": self.chains}

    def load_training_state(self, state: Mapping[str, Tensor]) -> None:
        chains = state.get("chains")
        if state.keys() - {"chains"} or (state and not self._holds(chains)):
            raise ValueError(f"its chains are not those of examples of shape {self.shape}")
        self.chains = None if chains is None else chains.clone()

    def _holds(self, chains: Any) -> bool:
        fits = isinstance(chains, Tensor) and chains.is_floating_point() and tuple(chains.shape[1:]) == self.shape
        return fits and len(chains) > 0 and len(chains) % self._kinds == 0 and bool(torch.isfinite(chains).all())


class _Rows:
    """Noise from given rows (n, N), each number once."""

    def __init__(self, numbers: Tensor) -> None:
        self.numbers, self.at = numbers, 0

    def __call__(self, *shape: int) -> Tensor:
        size = torch.Size(shape).numel()
        self.at += size
        return self.numbers[:, self.at - size : self.at].reshape(len(self.numbers), *shape)


class JEM(PersistentCD):
    """A classifier whose logits are energies: −log p(y | x) besides the chains' −log p(x), p(x) = Σ_y p(x, y).

    References: Grathwohl et al. 2019, 1912.03263.

    Arguments: as `PersistentCD`, and
        classification: Weight of −log p(y | x).
    """

    joint: ClassVar[bool] = True
    always_labelled: ClassVar[bool] = True

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        num_classes: int | None,
        steps: Count = STEPS,
        step: PositiveFloat = STEP,
        temperature: Temperature | None = None,
        gradient_limit: PositiveFloat = GRADIENT_LIMIT,
        restarts: Probability = RESTARTS,
        data_noise: NonNegativeFloat = DATA_NOISE,
        energy_l2: NonNegativeFloat = ENERGY_L2,
        largest_gap: PositiveFloat = LARGEST_GAP,
        classification: NonNegativeFloat = 1.0,
    ) -> None:
        super().__init__(
            shape=shape,
            num_classes=num_classes,
            steps=steps,
            step=step,
            temperature=temperature,
            gradient_limit=gradient_limit,
            restarts=restarts,
            data_noise=data_noise,
            energy_l2=energy_l2,
            largest_gap=largest_gap,
        )
        self.classification = classification

    @property
    def _kinds(self) -> int:
        return 1

    def _log_density(self, log_densities: Tensor, y: Tensor | None) -> Tensor:
        return torch.logsumexp(log_densities, 1)

    def losses(self, log_densities: LogDensities, u: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        assert y is not None, "a conditional model has checked its labels"
        terms = super().losses(log_densities, u, None)
        logits = log_densities(u + self.data_noise * normal_like(u))
        missed = F.cross_entropy(logits, y)
        accuracy = (logits.argmax(1) == y).to(missed).mean()
        loss = terms["loss"] + self.classification * missed
        return {**terms, "loss": loss, "cross_entropy": missed, "accuracy": accuracy}
