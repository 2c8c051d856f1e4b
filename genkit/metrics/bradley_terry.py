r"""Strengths from paired comparisons: Bradley–Terry (1952), ties by Davidson (1970), order by Davidson & Beaver (1977).

Shown i on the left and j on the right,

.. math:: P(i) \propto e^{\theta_i + \gamma}, \qquad P(j) \propto e^{\theta_j}, \qquad
          P(\text{tie}) \propto \nu\, e^{(\theta_i + \theta_j + \gamma)/2},

so without ties and order effect P(i over j) = σ(θ_i − θ_j). Only differences of strengths are determined; Σθ = 0.

* A model that never loses would have θ = ∞. Half a win and half a loss are added to each pair that was compared.
* Where the graph of comparisons falls apart, strengths of its parts cannot be compared: `components` names them.
* The fit is Newton's method on a concave likelihood, for many sets of counts at once, as a bootstrap has them.
* `order_effect` tests γ = 0 by the likelihood ratio, which is χ² of one degree of freedom.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from math import erfc, sqrt

import torch
from torch import Tensor

from genkit.errors import NumericalError

LEFT, RIGHT, TIE = 0, 1, 2
ADDED = 0.5  # wins and losses of each pair that was compared
LONGEST_STEP, MOST_STEPS, TOLERANCE = 2.0, 100, 1e-10


@dataclass(frozen=True)
class Strengths:
    """A fit of B sets of counts.

    Attributes:
        theta: (B, K), of sum 0.
        gamma: (B,): advantage of the left side; 0 where it was not fitted.
        log_likelihood: (B,) nats, without what is added to the counts.
    """

    theta: Tensor
    gamma: Tensor
    log_likelihood: Tensor


def components(counts: Tensor) -> list[list[int]]:
    """The connected parts of the graph of comparisons, each sorted, from counts (K, K, 3)."""
    n = counts.sum(-1)
    linked = (n + n.T) > 0
    left, found = set(range(len(counts))), []
    while left:
        part, new = set[int](), {min(left)}
        while new:
            part |= new
            new = {j for i in new for j in linked[i].nonzero()[:, 0].tolist()} - part
        found.append(sorted(part))
        left -= part
    return found


def fit(counts: Tensor, compared: Tensor | None = None, order: bool = False) -> Strengths:
    """Strengths by maximum likelihood.

    Args:
        counts: (B, K, K, 3): how often, i on the left and j on the right, the left one, the right one, none was chosen.
        compared: (K, K) bool, which pairs had comparisons at all, in either order; None: those with counts. A bootstrap
            gives those of the data, so that each of its draws has the same prior.
        order: Whether to fit γ.

    Raises:
        NumericalError: it does not converge.
    """
    counts = counts.to(torch.float64)
    k = counts.shape[1]
    pairs = torch.tensor(list(permutations(range(k), 2)))
    n = counts[:, pairs[:, 0], pairs[:, 1]]
    if compared is None:
        total = counts.sum((0, -1))
        compared = (total + total.T) > 0
    added = torch.zeros_like(n[0])
    added[compared[pairs[:, 0], pairs[:, 1]], :2] = ADDED / 2  # in each of both orders
    ties = bool((counts[..., TIE] > 0).any())
    if ties:
        added[compared[pairs[:, 0], pairs[:, 1]], TIE] = ADDED / max(1, int(compared.sum()))
    features = _features(pairs, k, order, ties)
    phi = _newton(features, n + added, k, ties)
    chance = _log_chances(features, phi, ties)
    likelihood = torch.where(n > 0, n * chance, 0.0).sum((1, 2))
    gamma = phi[:, k] if order else phi.new_zeros(len(phi))
    return Strengths(phi[:, :k], gamma, likelihood)


def order_effect(counts: Tensor) -> tuple[float, float]:
    """Advantage γ of the left side, and the p-value of γ = 0, from counts (K, K, 3)."""
    without, with_order = (fit(counts[None], order=order) for order in (False, True))
    ratio = max(0.0, 2 * float(with_order.log_likelihood - without.log_likelihood))
    return float(with_order.gamma), erfc(sqrt(ratio / 2))


def _features(pairs: Tensor, k: int, order: bool, ties: bool) -> Tensor:
    """(P, 3, F): the logit of each outcome of each ordered pair is linear in (θ, γ, log ν)."""
    hot = torch.nn.functional.one_hot(pairs, k).to(torch.float64)
    found = torch.zeros(len(pairs), 3, k + order + ties, dtype=torch.float64)
    found[:, LEFT, :k], found[:, RIGHT, :k], found[:, TIE, :k] = hot[:, 0], hot[:, 1], hot.mean(1)
    if order:
        found[:, LEFT, k], found[:, TIE, k] = 1.0, 0.5
    if ties:
        found[:, TIE, -1] = 1.0
    return found


def _log_chances(features: Tensor, phi: Tensor, ties: bool) -> Tensor:
    """(B, P, 3) log-probabilities."""
    logits = torch.einsum("pof,bf->bpo", features, phi)
    if not ties:
        logits[..., TIE] = -torch.inf
    return logits.log_softmax(-1)


def _newton(features: Tensor, counts: Tensor, k: int, ties: bool) -> Tensor:
    """(B, F): the maximum, Σθ = 0 kept by a term in that direction."""
    size = features.shape[-1]
    phi = counts.new_zeros(len(counts), size)
    total = counts.sum(-1, keepdim=True)
    centring = torch.zeros(size, size, dtype=torch.float64)
    centring[:k, :k] = 1.0
    for _ in range(MOST_STEPS):
        chance = _log_chances(features, phi, ties).exp()
        gradient = torch.einsum("bpo,pof->bf", counts - total * chance, features)
        mean = torch.einsum("bpo,pof->bpf", chance, features)
        second = torch.einsum("bpo,pof,pog->bfg", total * chance, features, features)
        curvature = second - torch.einsum("bp,bpf,bpg->bfg", total[..., 0], mean, mean) + centring
        step = torch.linalg.solve(curvature, gradient)
        longest = step.abs().amax(1, keepdim=True)
        phi = phi + step * (LONGEST_STEP / longest.clamp_min(LONGEST_STEP))
        if float(longest.max()) < TOLERANCE:
            return phi
    raise NumericalError("Bradley–Terry: the fit does not converge")
