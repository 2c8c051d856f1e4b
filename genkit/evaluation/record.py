"""One score with everything that makes it a fact: count, reference, features, interval, floor, seed.

The JSON form of a record (schema genkit.eval/1) has, for a metric `fid` in the features `digits`:

    metric, name ("fid[digits]"), source, status ("ok" | "warn" | "n/a: reason" | "not finite"), warnings,
    value, ci95 [lo, hi] | null of the mean that `covers` names, ci95_redrawn [lo, hi] | null with the reference
    redrawn too, bias_corrected (a Fréchet distance from few rows) | null,
    direction ("min" | "max" | "near": best where real data is), unit,
    floor {mean, sd, repeats, kind, score (by the floor's protocol, where the reference is a file)} | null,
    ratio_to_floor (divergences) or difference_to_floor, n_fake, n_ref,
    drawn {of, seed} | null (where n_fake samples were drawn of more in a file),
    evaluations (of the network for one sample, models that sample step by step only), seconds_per_1000 (samples
    drawn), baseline (a trivial row), kind ("exact" | "lower" | "estimate", likelihoods only), dequantisation,
    notes (what has to be known to read the value), params (the choices behind it: k, kernel, …),
    findings (what the data gave besides: a slope, …; of a likelihood with a normaliser of its own log_z, log_z_se and
    log_z_method),
    measures_bound (the metric is a bound by name, such as an ELBO), features {id, normalize, dim, quantize, of a
    classifier of the user's data its accuracy on held-out images, the chance of the largest class, trained_on} | null,
    reference {name, split, n, hash, of text also the hash of the text however it is cut},
    model {family, parameters, labels ("reference shares" | "in turn" | "y=…", conditional ones only), …} | null,
    seed, time_s, env

A likelihood's `kind` speaks of the model's log-density at the point that `dequantisation` names, or of the stored
values where that is "none": "exact" is its value, "lower" a bound.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Literal

import torch

from genkit.evaluation.reference import Floor

if TYPE_CHECKING:
    from genkit.metrics.base import ProbeMetric  # torchmetrics costs a second or two, which reports need not pay

NOT_APPLICABLE = "n/a: "  # a status begins with it where the metric cannot score the source; the reason follows
NOT_FINITE = "not finite"  # the status of a value that is infinite or no number

PAIRS = ("warnings", "notes", "ci95", "ci95_redrawn")  # fields that are tuples

BARE = "inception"  # the one feature space whose Fréchet distance is called plainly "fid"


def display_name(metric: str, features: str | None) -> str:
    """`fid[digits]`: a distance between features is named with them, unless they are Inception's."""
    return metric if features in (None, BARE) else f"{metric}[{features}]"


@dataclass(frozen=True)
class Record:
    """One metric of one source. See the module's text for the fields."""

    metric: str
    name: str
    source: str
    direction: Literal["min", "max", "near"]
    unit: str
    divergence: bool
    reference: dict[str, Any]
    seed: int
    status: str = "ok"
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    value: float | None = None
    ci95: tuple[float, float] | None = None
    ci95_redrawn: tuple[float, float] | None = None
    bias_corrected: float | None = None
    covers: str = ""
    floor: Floor | None = None
    n_fake: int | None = None
    drawn: dict[str, int] | None = None
    n_ref: int | None = None
    evaluations: int | None = None
    seconds_per_1000: float | None = None
    baseline: bool = False
    kind: str | None = None
    dequantisation: str | None = None
    params: dict[str, Any] = field(default_factory=dict)
    findings: dict[str, Any] = field(default_factory=dict)
    measures_bound: bool = False
    features: dict[str, Any] | None = None
    model: dict[str, Any] | None = None
    time_s: float = 0.0

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Record:
        """The record whose fields another process sent, as `dataclasses.asdict` has them, by JSON."""
        pairs = {key: tuple(value) for key, value in fields.items() if key in PAIRS and value is not None}
        floor = fields["floor"]
        return cls(
            **{
                **fields,
                **pairs,
                "floor": None if floor is None else Floor(**{**floor, "values": tuple(floor["values"])}),
            }
        )

    @property
    def scored(self) -> bool:
        return self.value is not None

    @property
    def ratio_to_floor(self) -> float | None:
        """value / floor of a divergence; None where the floor is not clearly above 0 (unbiased estimators)."""
        if self.value is None or self.floor is None or not self.divergence or self.floor.mean <= self.floor.sd:
            return None
        return self._at_floor / self.floor.mean

    @property
    def difference_to_floor(self) -> float | None:
        """value − floor, where a ratio would say nothing."""
        if self.value is None or self.floor is None or self.ratio_to_floor is not None:
            return None
        return self._at_floor - self.floor.mean

    @property
    def _at_floor(self) -> float:
        """The value by the protocol of the floor."""
        assert self.value is not None
        assert self.floor is not None
        return self.value if self.floor.score is None else self.floor.score

    def to_json(self) -> dict[str, Any]:
        node = asdict(self)
        del node["divergence"]
        return {
            **node,
            "floor": None if self.floor is None else self.floor.to_json(),
            "ratio_to_floor": self.ratio_to_floor,
            "difference_to_floor": self.difference_to_floor,
            "env": environment(),
        }


def blank(identifier: str, metric: ProbeMetric, **facts: Any) -> Record:
    """A record of a metric without a value yet."""
    return Record(
        metric=identifier,
        direction="near" if metric.best_at_floor else "max" if metric.higher_is_better else "min",
        unit=metric.units,
        divergence=metric.divergence,
        covers=metric.covers,
        measures_bound=metric.measures_bound,
        **facts,
    )


@cache
def environment() -> dict[str, str]:
    """Versions that a value may depend on."""
    try:
        genkit = version("genkit-toolkit")
    except PackageNotFoundError:  # run from a source tree that was never installed
        genkit = "source"
    return {"genkit": genkit, "torch": torch.__version__, "python": platform.python_version()}
