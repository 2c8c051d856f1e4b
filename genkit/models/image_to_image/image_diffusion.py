r"""Diffusion of an image that is given another one: the network sees the condition as further channels,

.. math:: D(x_t, t, c), \qquad D(x_t, t, c) \to E[x \mid x_t, c],

and everything else is that of diffusion without a condition: schedule, preconditioning, objective and samplers.

References: Image Super-Resolution via Iterative Refinement (Saharia et al. 2021, 2104.07636); Palette: Image-to-Image
Diffusion Models (Saharia et al. 2021, 2111.05826).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from torch import Tensor, nn

from genkit.data.spec import Batch, DataSpec
from genkit.diffusion.objective import DenoisingObjective
from genkit.diffusion.parametrisation import DenoiserFactory
from genkit.diffusion.schedule import Schedule
from genkit.models.base import Noise, Stepwise
from genkit.models.conditional_on_image import ImageToImage
from genkit.models.diffusion import Diffusion, Solver
from genkit.nn.backbone import BackboneFactory
from genkit.nn.default import default_backbone
from genkit.nn.with_condition import WithCondition


class ImageDiffusion(ImageToImage, Stepwise):
    """Denoising diffusion of images given others, its defaults those of `Diffusion`.

    Arguments:
        spec: The data, pairs of images.
        backbone: The network, which is given the condition's channels too; None takes a U-Net.
        schedule, denoiser, objective, sampler: As of `Diffusion`.
    """

    costly = True

    def __init__(
        self,
        *,
        spec: DataSpec,
        backbone: BackboneFactory | None = None,
        schedule: Schedule | None = None,
        denoiser: DenoiserFactory | None = None,
        objective: DenoisingObjective | None = None,
        sampler: Solver = None,
    ) -> None:
        super().__init__(spec)
        network = partial(WithCondition, network=backbone or default_backbone, condition=self.condition_shape)
        self.diffusion = Diffusion(
            spec=spec, backbone=network, schedule=schedule, denoiser=denoiser, objective=objective, sampler=sampler
        )

    @property
    def network(self) -> WithCondition:
        """That of the denoiser."""
        found = self.diffusion.denoiser.backbone
        assert isinstance(found, WithCondition)
        return found

    def compilable(self) -> Iterable[nn.Module]:
        return [self.network.network] if self.diffusion.compilable() else ()

    def initialise(self, batch: Batch) -> None:
        super().initialise(batch)
        self.diffusion.initialise(batch)

    def losses(self, batch: Batch, phase: str) -> dict[str, Tensor]:
        with self.network.given(batch["c"]):
            return self.diffusion.losses(batch, phase)

    def from_image(self, c: Tensor, *, noise: Noise) -> Tensor:
        with self.network.given(self.checked(c)):
            x = self.diffusion.draw(len(c), noise=noise)
        self.evaluations = self.diffusion.evaluations
        return x
