r"""An energy at all noise levels, trained by denoising: a diffusion model whose score is the gradient of a scalar.

.. math:: p_\sigma(x) \propto e^{-E_\sigma(x)}, \qquad \nabla_x \log p_\sigma(x) = \frac{D(x, \sigma) - x}{\sigma^2}

No chain is run in training, so none diverges, and every sampler, guidance and likelihood of `genkit.diffusion` works on
it as on any denoiser. Besides it says how likely an example is without an integration: E at a small noise level, in one
evaluation. What scores cannot see is the share of modes that lie far apart: E compares within a mode, and between modes
that some level of noise joins.

References: Salimans & Ho 2021; Song & Ermon 2019, 1907.05600; Karras et al. 2022, 2206.00364.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from genkit.component import PositiveFloat, Probability
from genkit.data.spec import DataSpec, check_values
from genkit.diffusion.denoiser import expand_to
from genkit.diffusion.energy_denoiser import EnergyDenoiser
from genkit.diffusion.guidance import EVERYWHERE
from genkit.diffusion.likelihood import DiffusionLikelihood
from genkit.diffusion.objective import DenoisingObjective
from genkit.diffusion.schedule import Schedule
from genkit.errors import ConfigError
from genkit.models.diffusion import Diffusion, GuidanceInterval, GuidanceScale, Solver
from genkit.models.energy_function import Energy
from genkit.models.label_dropout import LABEL_DROPOUT
from genkit.models.score_function import ScoreFunction
from genkit.nn.backbone import BackboneFactory
from genkit.nn.default import quick_backbone


class EnergyDiffusion(Diffusion, Energy, ScoreFunction):
    """Diffusion by the gradient of an energy.

    References: Salimans & Ho 2021; Vincent 2011.

    Arguments:
        spec: The data.
        backbone: g, whose scalar is differentiated; None takes what the data asks for.
        schedule: None takes KarrasSchedule.
        objective: What is minimised; None takes Denoising with log-normal noise levels.
        sampler: None takes HeunSampler.
        likelihood: Of `log_prob`; None takes FlowLikelihood.
        conditional: Whether to use the data's labels.
        label_dropout: Share of training examples shown without their label, so that guidance is possible.
        guidance_scale: Classifier-free guidance w in sampling a conditional model; 1 is none.
        guidance_interval: Least and greatest noise level at which to guide.
        clip_denoised: Whether to clip the posterior mean into the data's range in sampling.
        energy_level: Noise level of `energy`, in standard deviations of the data.
    """

    def __init__(
        self,
        *,
        spec: DataSpec,
        backbone: BackboneFactory | None = None,
        schedule: Schedule | None = None,
        objective: DenoisingObjective | None = None,
        sampler: Solver = None,
        likelihood: DiffusionLikelihood | None = None,
        conditional: bool = False,
        label_dropout: Probability = LABEL_DROPOUT,
        guidance_scale: GuidanceScale = 1.0,
        guidance_interval: GuidanceInterval = EVERYWHERE,
        clip_denoised: bool = False,
        energy_level: PositiveFloat = 0.1,
    ) -> None:
        super().__init__(
            spec=spec,
            backbone=backbone or quick_backbone(spec.shape),
            schedule=schedule,
            denoiser=EnergyDenoiser,
            objective=objective,
            sampler=sampler,
            likelihood=likelihood,
            conditional=conditional,
            label_dropout=label_dropout,
            guidance_scale=guidance_scale,
            guidance_interval=guidance_interval,
            clip_denoised=clip_denoised,
        )
        self.energy_level = energy_level

    def compilable(self) -> Iterable[nn.Module]:
        return ()

    @property
    def least_level(self) -> float:
        """σ of the energy, no less than the schedule's least one."""
        least = self.denoiser.schedule.level(torch.zeros(())).item()
        return max(least, self.energy_level * float(self.denoiser.data_std))

    def energy(self, x: Tensor, y: Tensor | None = None, *, level: float | None = None) -> Tensor:
        """E (B,) at a noise level σ in model units, by default the least one; of no label where y is None."""
        check_values(x, self.spec.shape, "energy")
        x_t, t = self._at(x, level)
        assert isinstance(self.denoiser, EnergyDenoiser)
        return self.denoiser.energy(x_t, t, self._labels_or_none(x, y))

    def score(self, x: Tensor, y: Tensor | None = None, *, level: float | None = None) -> Tensor:
        check_values(x, self.spec.shape, "score")
        x_t, t = self._at(x, level)
        sigma = expand_to(self.denoiser.schedule.level(t), x)
        return (self.denoiser(x_t, t, self._labels_or_none(x, y)) - x) / sigma**2

    def _at(self, x: Tensor, level: float | None) -> tuple[Tensor, Tensor]:
        """x_t = α x (B, *shape) and the time (B,) of a noise level.

        Raises ConfigError for one that the schedule does not have.
        """
        schedule, sigma = self.denoiser.schedule, self.least_level if level is None else level
        low, high = (float(schedule.level(torch.tensor(end))) for end in (0.0, 1.0))
        if not 0.999 * low <= sigma <= 1.001 * high:
            raise ConfigError(f"level={sigma:g}: this model knows the noise levels from {low:g} to {high:g}")
        t = schedule.time(torch.full((len(x),), sigma, device=x.device, dtype=x.dtype))
        alpha, _ = schedule(t)
        return expand_to(alpha, x) * x, t

    def _labels_or_none(self, x: Tensor, y: Tensor | None) -> Tensor | None:
        """The labels as the network takes them: those of no label where none are given and some were withheld."""
        if y is None and self.num_classes is not None and self.label_dropout > 0:
            return torch.full((len(x),), self.num_classes, device=x.device)
        self.check_labels(y, len(x))
        return y
