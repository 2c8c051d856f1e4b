r"""The discriminator: a network from data to features h, and a head that judges them.

.. math:: h = s(f(x)), \qquad D(x, y) = \text{head}(h, y)

Heads differ in how a label enters:

* concatenation: the network itself takes the label, h = s(f(x, y)), and D = w·h + b (Mirza & Osindero 2014). In our
  networks a label adds E e_y before a nonlinearity, which is what concatenating e_y to that layer's input does;
* projection: D = w·h + b + e_y·h, the form of log p(y|x)p(x) − log q(y|x)q(x) for log-linear classes;
* auxiliary classifier: D = w·h + b knows no label, and V h must recognise it, in real and generated data.

Minibatch standard deviation tells each example how varied its group is, so that a generator of few modes is seen.
"""

from abc import ABC, abstractmethod
from math import gcd
from typing import ClassVar, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genkit.component import Component, NonNegativeFloat
from genkit.data.spec import DataSpec
from genkit.errors import ConfigError
from genkit.models.gan.latent_code import LatentCode
from genkit.nn.backbone import BackboneFactory

GROUP = 4  # examples over which a minibatch standard deviation is taken, as in Karras et al. 2017
TINY = 1e-8  # variance at which its root still has a derivative


class Head(nn.Module, Component, ABC):
    """Features h (B, F) and labels y (B,) to logits (B,).

    Attributes:
        labels_in_trunk: Whether the network before the head takes the labels.
    """

    labels_in_trunk: ClassVar[bool] = False

    def __init__(self, *, features: int, num_classes: int | None) -> None:
        super().__init__()
        self.linear = nn.Linear(features, 1)

    @abstractmethod
    def forward(self, h: Tensor, y: Tensor | None) -> Tensor:
        """(B, F), (B,) int64 to (B,)."""

    def recognition(self, h: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        """Weighted terms of shape () that both players minimise on h (B, F) of examples labelled y; default none."""
        return {}


class HeadFactory(Protocol):
    """The type of the `conditioning` argument, finished with the sizes."""

    def __call__(self, *, features: int, num_classes: int | None) -> Head: ...


def labels_needed(head: Head, num_classes: int | None) -> int:
    """Raises ConfigError for a model without labels."""
    if num_classes is None:
        raise ConfigError(f"model.conditioning={type(head).__name__} needs labels: set model.conditional=true")
    return num_classes


class Concatenation(Head):
    """The label enters the network with the data; without labels, the plain discriminator.

    References: Conditional Generative Adversarial Nets (Mirza & Osindero 2014, 1411.1784).

    Arguments:
        features: F.
        num_classes: Number of labels, None without labels.
    """

    labels_in_trunk = True

    def forward(self, h: Tensor, y: Tensor | None) -> Tensor:
        return self.linear(h)[:, 0]


class Projection(Head):
    """w·h + b + e_y·h.

    References: cGANs with Projection Discriminator (Miyato & Koyama 2018, 1802.05637).

    Arguments:
        features: F.
        num_classes: Number of labels.

    Raises ConfigError without labels.
    """

    def __init__(self, *, features: int, num_classes: int | None) -> None:
        super().__init__(features=features, num_classes=num_classes)
        self.label = nn.Embedding(labels_needed(self, num_classes), features)

    def forward(self, h: Tensor, y: Tensor | None) -> Tensor:
        assert y is not None
        return self.linear(h)[:, 0] + (self.label(y) * h).sum(1)


class AuxiliaryClassifier(Head):
    """w·h + b beside class scores V h, which are trained on real and generated examples alike.

    References: Conditional Image Synthesis With Auxiliary Classifier GANs (Odena et al. 2016, 1610.09585).

    Arguments:
        features: F.
        num_classes: Number of labels.
        weight: Of the classifier's cross entropy in both players' losses.

    Raises ConfigError without labels.
    """

    def __init__(self, *, features: int, num_classes: int | None, weight: NonNegativeFloat = 1.0) -> None:
        super().__init__(features=features, num_classes=num_classes)
        self.weight = weight
        self.classes = nn.Linear(features, labels_needed(self, num_classes))

    def forward(self, h: Tensor, y: Tensor | None) -> Tensor:
        return self.linear(h)[:, 0]

    def recognition(self, h: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        assert y is not None
        return {"classification": self.weight * F.cross_entropy(self.classes(h), y)}


def minibatch_std(h: Tensor) -> Tensor:
    """The standard deviation within each example's group, averaged over features: (B, F) to (B, 1).

    References: Progressive Growing of GANs (Karras et al. 2017, 1710.10196).

    Groups have four examples, as there, where B is a multiple of four, and two where it is even otherwise. An odd batch
    is split into as few groups of at most four as it takes, whose sizes differ by at most one. Example i is in group
    i modulo the number of groups; one that is alone in its group deviates by nothing.
    """
    count = len(h)
    size = gcd(count, GROUP)
    groups = count // size if size > 1 else -(-count // GROUP)
    if count % groups == 0:
        members = h.unflatten(0, (-1, groups))  # (size, groups, F)
        variance = (members - members.mean(0)).square().mean(0)
        return (variance + TINY).sqrt().mean(1, keepdim=True).repeat(len(members), 1)
    group = torch.arange(count, device=h.device) % groups
    sizes = group.bincount(minlength=groups).to(h).unsqueeze(1)
    zeros = h.new_zeros(groups, h.shape[1])
    mean = zeros.index_add(0, group, h) / sizes
    variance = zeros.index_add(0, group, (h - mean[group]).square()) / sizes
    return (variance + TINY).sqrt().mean(1, keepdim=True)[group]


class DiscriminatorOutput(NamedTuple):
    """The output of a discriminator: logits (B,) and the features (B, F) behind them."""

    logits: Tensor
    h: Tensor


class Discriminator(nn.Module):
    """Data (B, *shape) and labels (B,) to a `DiscriminatorOutput`.

    Arguments:
        spec: The data.
        network: Makes the network from data to features.
        head: Makes the head.
        features: F.
        num_classes: Number of labels, None without labels.
        varied: Whether the minibatch standard deviation is a feature.
        code: The latent code that it must recover from generated data, None for none.
    """

    def __init__(
        self,
        *,
        spec: DataSpec,
        network: BackboneFactory,
        head: HeadFactory,
        features: int,
        num_classes: int | None,
        varied: bool,
        code: LatentCode | None,
    ) -> None:
        super().__init__()
        self.head = head(features=features, num_classes=num_classes)
        in_trunk = num_classes if self.head.labels_in_trunk else None
        self.trunk = network(in_shape=spec.shape, out_shape=(features,), num_classes=in_trunk)
        self.join = nn.Linear(features + 1, features) if varied else None
        self.recover = code.recogniser(features) if code is not None else None

    def forward(self, x: Tensor, y: Tensor | None = None) -> DiscriminatorOutput:
        h = F.silu(self.trunk(x, y=y if self.head.labels_in_trunk else None))
        if self.join is not None:
            h = F.silu(self.join(torch.cat((h, minibatch_std(h)), dim=1)))
        return DiscriminatorOutput(self.head(h, y), h)
