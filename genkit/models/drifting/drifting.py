r"""Drifting models: one network from noise to data, whose samples are moved a little at every step of its training.

What a sampler does at sampling time in other models, step by step, is done here by the training itself. At each step
the samples x = f(z) of a batch are moved along a field V that vanishes where they are distributed as the data
(`drift_field.py`), and the generator learns where they came to:

.. math:: \min_f \; E_z \| f(z) - \mathrm{sg}(f(z) + V_{p,q}(f(z))) \|^2, \qquad z \sim N(0, I).

No second network judges, there is no time and no noise level, and a sample costs one evaluation. What is compared are
distances in the space of the data, so the data has to be one whose distances mean something: points, small images. With
labels, a sample is moved by the examples and the samples of its own label alone.
"""

import torch
from torch import Tensor

from genkit.batch_noise import normal
from genkit.component import Width
from genkit.data.spec import Batch, DataSpec, check_values
from genkit.models.base import Conditional, GenerativeModel, Noise, NormalLatent, classes_of
from genkit.models.drifting.drift_field import DriftField
from genkit.models.latent_size import default_noise_dim
from genkit.models.latent_variable import StandardLatent
from genkit.nn.backbone import BackboneFactory
from genkit.nn.default import critical_backbone


class Drifting(GenerativeModel, NormalLatent, StandardLatent, Conditional):
    """Generator in one evaluation, trained by a field that moves its samples to the data.

    References: Generative Modeling via Drifting (Deng et al. 2026, 2602.04770).

    Arguments:
        spec: The data.
        latent_dim: Size of z; None chooses by the data: 32, for 32x32 in colour 64.
        backbone: The generator; None takes an MLP for images of up to 1,024 values, strided convolutions for larger
            ones in colour, and otherwise what the data asks for.
        field: What moves the samples; None takes the DriftField.
        conditional: Whether to use the data's labels.
    """

    def __init__(
        self,
        *,
        spec: DataSpec,
        latent_dim: Width | None = None,
        backbone: BackboneFactory | None = None,
        field: DriftField | None = None,
        conditional: bool = False,
    ) -> None:
        super().__init__(spec)
        latent_dim = latent_dim or default_noise_dim(spec)
        self.latent_dim, self.latent_size = latent_dim, latent_dim
        self.num_classes = classes_of(spec, conditional)
        network = backbone or critical_backbone(spec.shape)
        self.generator = network(in_shape=(latent_dim,), out_shape=spec.shape, num_classes=self.num_classes)
        self.field = field or DriftField()

    def losses(self, batch: Batch, phase: str) -> dict[str, Tensor]:
        """ "loss", a square of what is normalised, and "drift", how far samples are from rest."""
        x, y = batch["x"], self.labels_of(batch)
        made = self.decode(normal(len(x), self.latent_dim, device=x.device), y).to(x.dtype)
        alike = torch.ones(len(x), len(x), dtype=torch.bool, device=x.device) if y is None else y[:, None] == y[None]
        others = alike & ~torch.eye(len(x), dtype=torch.bool, device=x.device)  # no sample is moved by itself
        drift = self.field(made, x, made, alike, others)
        target = made.detach() + drift.displacement
        return {"loss": (made - target).square().flatten(1).sum(1).mean(), "drift": drift.size}

    def draw(self, n: int, *, y: Tensor | None = None, noise: Noise) -> Tensor:
        return self.decode(noise(self.latent_dim), y)

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """f(z), squashed into the data's range: in training as in sampling."""
        check_values(z, (self.latent_dim,), "decode")
        self.check_labels(y, len(z))
        return self.spec.squash(self.generator(z, y=y))

    def from_latent(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return self.decode(z, y)
