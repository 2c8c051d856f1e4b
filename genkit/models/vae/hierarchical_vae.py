r"""Variational autoencoders with a ladder of latents, z_L at the top to z_1 next to the data:

.. math::

    p(x, z) = p(x|z_1, …, z_L)\, \prod_l p(z_l|z_{>l}), \qquad q(z|x) = \prod_l q(z_l|z_{>l}, x), \qquad
    \log p(x) \ge E_q \Big[ \log p(x|z) - \sum_l KL\big(q(z_l|z_{>l}, x)\,\|\,p(z_l|z_{>l})\big) \Big].

The top is standard normal; every other level is normal, its mean and variance functions of the levels above. So the
prior of all latents together is learned and no single normal, and samples from it need no density fitted afterwards.

**Inference goes both ways.** A deterministic pass upwards makes features of x for every level. Inference then walks
down with the generator, and says at each level how the posterior differs from the prior (`ladder.py`). A level that
says nothing costs nothing.

**Coordinates.** z_l = μ + σ ε_l makes the latents a function of independent standard normal ε = (ε_L, …, ε_1). These
are what `encode` and `decode` speak of, and what a path between latents, or a search for some, goes through.

References: Ladder Variational Autoencoders (Sønderby et al. 2016, 1602.02282); the posterior relative to the prior:
NVAE (Vahdat & Kautz 2020, 2007.03898); one walk for both: Very Deep VAEs (Child 2020, 2011.10650).
"""

from functools import partial

import torch
from torch import Tensor

from genkit.batch_noise import normal
from genkit.component import Count, Width
from genkit.data.spec import Batch, DataSpec, check_values
from genkit.errors import ConfigError
from genkit.models.base import (
    Conditional,
    Encoder,
    GenerativeModel,
    LatentBound,
    Noise,
    NormalLatent,
    Reconstructor,
    classes_of,
)
from genkit.models.default_likelihood import default_likelihood
from genkit.models.latent_size import default_latent_dim
from genkit.models.latent_variable import StandardLatent
from genkit.models.likelihood import LikelihoodFactory
from genkit.models.vae.ladder import Ladder, LatentMoments, NormalLadder, Walk
from genkit.models.vae.objective import ELBO, Capacity, Draws, ImportanceWeighted, VariationalObjective
from genkit.models.vae.vae import ELBO_DRAWS, fixed_draws
from genkit.nn.backbone import BackboneFactory
from genkit.nn.default import default_backbone


class HierarchicalVAE(GenerativeModel, LatentBound, NormalLatent, StandardLatent, Encoder, Reconstructor, Conditional):
    """Variational autoencoder with a ladder of Gaussian latents.

    References: Ladder Variational Autoencoders (Sønderby et al. 2016, 1602.02282); NVAE (Vahdat & Kautz 2020,
        2007.03898).

    Arguments:
        spec: The data.
        latent_dims: Sizes of z_1, …, z_L, next to the data first; None takes two levels, of the size that a VAE has and
            of half of it.
        backbone: From x to features, and from the state at the ladder's end to x; None takes what the data asks for.
        width: Of the features and of the state.
        likelihood: p(x | z); None takes what the data asks for.
        objective: What is minimised: `ELBO`, which is taken for None, `Capacity`, or `ImportanceWeighted` that keeps
            all draws.
        conditional: Whether to use the data's labels.
        draw_pixels: Whether samples of data with levels are drawn from p(x | z) or are its mean.
        elbo_draws: Draws of z over which `log_prob` averages: each example's own, a function of (seed, its values).

    Raises:
        ConfigError: without levels, or for an objective that looks at one posterior of all latents.
    """

    def __init__(
        self,
        *,
        spec: DataSpec,
        latent_dims: tuple[Width, ...] | None = None,
        backbone: BackboneFactory | None = None,
        width: Width = 256,
        likelihood: LikelihoodFactory | None = None,
        objective: VariationalObjective | None = None,
        conditional: bool = False,
        draw_pixels: bool = False,
        elbo_draws: Count = ELBO_DRAWS,
    ) -> None:
        super().__init__(spec)
        network, size = backbone or default_backbone, default_latent_dim(spec)
        dims = (size, max(1, size // 2)) if latent_dims is None else latent_dims
        if not dims:
            raise ConfigError("model.latent_dims=[]: name the size of one level or more, such as [16,8]")
        self.objective = objective or ELBO()
        refuse_single_posterior(self.objective)
        self.needs_horizon = self.objective.needs_horizon
        self.latent_dim = self.latent_size = sum(dims)
        self.latent_shape, self.elbo_draws = (self.latent_dim,), elbo_draws
        self.draws_x = draw_pixels or not spec.kind.has_mass
        self.num_classes = classes_of(spec, conditional)
        self.encoder = network(in_shape=spec.shape, out_shape=(width,), num_classes=self.num_classes)
        self.decoder = network(in_shape=(width,), out_shape=spec.shape, num_classes=self.num_classes)
        self.ladder = Ladder(dims, width, self.num_classes)
        self.likelihood = (likelihood or default_likelihood)(spec=spec)
        self.dequantisation = self.likelihood.dequantisation

    def draws(self, x: Tensor, y: Tensor | None, features: list[Tensor], eps: Tensor) -> Draws:
        """Infer all latents of x (B, *shape) from its features at standard normal eps (k, B, D), and decode them."""
        k = len(eps)
        labels = None if y is None else y.repeat(k)
        walk = self.ladder.walk(eps.flatten(0, 1), [h.repeat(k, 1) for h in features], labels)
        out = self.decoder(walk.state, y=labels).to(x.dtype)
        z, prior, q = walk.z.unflatten(0, (k, -1)), _apart(walk.prior, k), _apart(walk.posterior, k)
        return Draws(*q, z, self.likelihood.log_prob(x, out.unflatten(0, (k, -1))), NormalLadder(prior))

    def losses(self, batch: Batch, phase: str) -> dict[str, Tensor]:
        """Those of the objective; outside training also "kl_1", … of the levels, next to the data first."""
        x, y = batch["x"], self.labels_of(batch)
        progress = self.progress if self.training else 1.0
        eps = normal(self.objective.draws(progress), len(x), self.latent_dim, device=x.device, dim=1).to(x)
        features = self._features(x, y)
        if self.training:
            return self.objective.drawn(partial(self.draws, x, y, features), eps, progress)
        drawn = self.draws(x, y, features, eps)
        levels = drawn.kl.mean(0).split(self.ladder.dims[::-1])
        of_levels = {f"kl_{len(levels) - i}": kl.sum() for i, kl in enumerate(levels)}
        return {**self.objective.losses(drawn, progress), **dict(sorted(of_levels.items()))}

    def drawn_log_weights(self, x: Tensor, centre: Tensor, y: Tensor | None, k: int, seed: int) -> Tensor:
        self.check_labels(y, len(x))
        features = self._features(centre, y)
        draws = (self.draws(x, y, features, eps[None]) for eps in fixed_draws(centre, k, self.latent_dim, seed))
        return torch.cat([drawn.log_weights for drawn in draws])

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """ε of the walk in which every level is at its posterior's mean."""
        walk = self._mean_walk(x, y, "encode")
        return (walk.z - walk.prior.mean) * torch.exp(-walk.prior.log_var / 2)

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """The mean of p(x | z) at standard normal coordinates ε (B, D), the top level's first."""
        check_values(z, self.latent_shape, "decode")
        self.check_labels(y, len(z))
        return self.likelihood.mean(self._generated(z, y))

    def reconstruct(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.likelihood.mean(self.decoder(self._mean_walk(x, y, "reconstruct").state, y=y))

    def draw(self, n: int, *, y: Tensor | None = None, noise: Noise) -> Tensor:
        self.check_labels(y, n)
        out = self._generated(noise(self.latent_dim), y)
        return self.likelihood.draw(out, noise(*self.spec.shape)) if self.draws_x else self.likelihood.mean(out)

    def from_latent(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return self.decode(z, y)

    def _features(self, x: Tensor, y: Tensor | None) -> list[Tensor]:
        return self.ladder.features(self.encoder(x, y=y))

    def _mean_walk(self, x: Tensor, y: Tensor | None, name: str) -> Walk:
        check_values(x, self.spec.shape, name)
        self.check_labels(y, len(x))
        return self.ladder.walk(x.new_zeros(len(x), self.latent_dim), self._features(x, y), y)

    def _generated(self, eps: Tensor, y: Tensor | None) -> Tensor:
        """A decoder's output for standard normal eps (B, D) of the priors."""
        return self.decoder(self.ladder.walk(eps, None, y).state, y=y)


def refuse_single_posterior(objective: VariationalObjective) -> None:
    """Raises ConfigError for an objective that needs one posterior of all latents, which a ladder has not.

    In a ladder each posterior depends on the latents drawn above it, so there is no density of z given x that a batch
    could be averaged over, nor a gradient along the path of one latent alone.
    """
    if not isinstance(objective, ELBO | Capacity | ImportanceWeighted):
        name = type(objective).__name__
        raise ConfigError(f"model.objective: {name} needs model=vae: take ELBO, Capacity or ImportanceWeighted")
    if isinstance(objective, ImportanceWeighted) and objective.kept is not None:
        raise ConfigError("model.objective.kept: resampled draws need model=vae: take null, which keeps all")


def _apart(moments: LatentMoments, k: int) -> LatentMoments:
    """Of k draws one after the other, (k B, D) to (k, B, D)."""
    return LatentMoments(*(part.unflatten(0, (k, -1)) for part in moments))
