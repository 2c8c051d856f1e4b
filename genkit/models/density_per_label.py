r"""A density of latents for every label, p(z | y), from which a conditional autoencoder samples.

An encoder that is told the label need not put all labels in the same place, and may leave out of z what the label says.
Drawn from one density of all labels, a z is likely to be another label's than the one that it is decoded with.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from genkit.models.latent_density import LatentDensity, LatentDensityFactory
from genkit.noise import Noise
from genkit.upgrade import Upgradable, upgrade_in_loading


class PerLabel(nn.Module, Upgradable):
    """One density of each label, all of one kind: its buffers, with the label as first dimension.

    Arguments:
        density: Makes one of them.
        latent_dim: D.
        num_classes: K.
    """

    def __init__(self, density: LatentDensityFactory, *, latent_dim: int, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self._one = (density(latent_dim=latent_dim),)  # in a tuple: its own buffers are nobody's state
        for name, value in self._one[0].state_dict().items():
            self.register_buffer(name, value.expand(num_classes, *value.shape).clone())
        upgrade_in_loading(self)

    def of(self, label: int) -> LatentDensity:
        """The density of a label, until another one is asked for."""
        [density] = self._one
        density.load_state_dict({name: value[label] for name, value in self.named_buffers()}, assign=True)
        return density

    def fit(self, z: Tensor, y: Tensor) -> None:
        """Fits each to the latents z (N, D) of its label y (N,); a label with fewer than two is given all of them."""
        for label in range(self.num_classes):
            own, density = z[y == label], self.of(label)
            density.fit(own if len(own) > 1 else z)
            fitted = density.state_dict()
            for name, value in self.named_buffers():
                value[label].copy_(fitted[name])

    def sample(self, noise: Noise, y: Tensor) -> Tensor:
        """Draw (n, D): row i is a function of its label y_i and row i of the noise; of no labels, no rows."""
        replay = Replay(noise)
        # every density draws all rows: a matrix product of some rows would round otherwise than one of all
        drawn = {label: self.of(label).sample(replay.again()) for label in y.unique().tolist() or [0]}
        z = next(iter(drawn.values()))
        for label, rows in drawn.items():
            z = torch.where((y == label)[:, None], rows, z)
        return z

    def upgrade(self, state: dict[str, Any], prefix: str) -> None:
        """A checkpoint of a time when all labels shared one density gives it to each of them."""
        for name, value in self.named_buffers():
            stored = state.get(prefix + name)
            if stored is not None and stored.ndim == value.ndim - 1:
                state[prefix + name] = stored.expand(self.num_classes, *stored.shape)


class Replay:
    """Noise that can be drawn again from its first call on.

    Arguments:
        noise: Where the numbers come from, each once.
    """

    def __init__(self, noise: Noise) -> None:
        self.noise = noise
        self.drawn: list[Tensor] = []

    def again(self) -> Noise:
        """The noise, call by call the same numbers as before."""
        calls = 0

        def replayed(*shape: int) -> Tensor:
            nonlocal calls
            if calls == len(self.drawn):
                self.drawn.append(self.noise(*shape))
            calls += 1
            return self.drawn[calls - 1]

        return replayed


AnyDensity = LatentDensity | PerLabel


def make_density(density: LatentDensityFactory, latent_dim: int, num_classes: int | None) -> AnyDensity:
    """Make one density for a model without labels, one per label for a conditional one."""
    if num_classes is None:
        return density(latent_dim=latent_dim)
    return PerLabel(density, latent_dim=latent_dim, num_classes=num_classes)


def fit_density(density: AnyDensity, z: Tensor, y: Tensor | None) -> None:
    """Fit to latents z (N, D) with labels y (N,), None for a model without labels."""
    if isinstance(density, PerLabel):
        assert y is not None, "a conditional model has checked its labels"
        density.fit(z, y)
    else:
        density.fit(z)


def draw_latents(density: AnyDensity, noise: Noise, y: Tensor | None) -> Tensor:
    """Draw latents (n, D), of labels y (n,) in a conditional model."""
    if isinstance(density, PerLabel):
        assert y is not None, "a conditional model has checked its labels"
        return density.sample(noise, y)
    return density.sample(noise)
