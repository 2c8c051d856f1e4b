r"""A latent code that a GAN's discriminator must recover: part of the latent then means something.

.. math:: \max I(c; G(z, c)) \ge E \log Q(c \mid G(z, c)) + H(c)

The code c is a function of the first coordinates of the standard normal z, so that every latent is still normal: the
largest of K coordinates chooses one of K categories, and Φ of the next ones makes uniform values in (−1, 1). The
recogniser Q shares the discriminator's features: scores of the categories, and means of the values, normal around them.
"""

import torch
from torch import Tensor, nn

from genkit.component import Component, NonNegativeFloat, NonNegativeInt
from genkit.errors import ConfigError


class LatentCode(Component):
    """The code in a latent, and how well it is recovered.

    References: InfoGAN (Chen et al. 2016, 1606.03657).

    Arguments:
        categories: K, 0 for no categorical code.
        values: Number of uniform values.
        weight: λ of the mutual information's bound in both players' losses.
    """

    def __init__(
        self, categories: NonNegativeInt = 10, values: NonNegativeInt = 2, weight: NonNegativeFloat = 1.0
    ) -> None:
        self.categories, self.values, self.weight = categories, values, weight

    def check(self, latent_dim: int) -> None:
        """Raises ConfigError where the latent has no room for the code, or the code is empty."""
        size = self.categories + self.values
        if not 0 < size <= latent_dim:
            raise ConfigError(
                f"model.code: {self.categories} categories and {self.values} values need 1 to {latent_dim} coordinates "
                "of the latent: change them, or model.latent_dim"
            )

    def encode(self, z: Tensor) -> Tensor:
        """Latent (B, latent_dim), standard normal, to the generator's input of the same shape: code, then the rest."""
        chosen, values, rest = z.split((self.categories, self.values, z.shape[1] - self.categories - self.values), 1)
        if self.categories:
            chosen = torch.zeros_like(chosen).scatter(1, chosen.argmax(1, keepdim=True), 1.0)
        return torch.cat((chosen, 2 * torch.special.ndtr(values) - 1, rest), dim=1)

    def recogniser(self, features: int) -> nn.Linear:
        """Q: features (B, F) to scores and means (B, categories + values)."""
        return nn.Linear(features, self.categories + self.values)

    def loss(self, guess: Tensor, z: Tensor) -> Tensor:
        """−λ E log Q(c | x) of shape (), up to a constant, from `recogniser`'s output and the encoded latent."""
        scores, means = guess.split((self.categories, self.values), 1)
        chosen, values = z[:, : self.categories], z[:, self.categories : self.categories + self.values]
        log_q = (scores.log_softmax(1) * chosen).sum(1) - 0.5 * (means - values).square().sum(1)
        return -self.weight * log_q.mean()
