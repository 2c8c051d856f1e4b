"""Build the metrics and the features that a command line of `eval` or `train` names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from genkit.config.build import build
from genkit.config.hydra.launch import current_job
from genkit.data.spec import DataSpec
from genkit.errors import ConfigError
from genkit.features.base import FeatureExtractor
from genkit.features.default import default_features
from genkit.metrics.base import ProbeMetric


def metrics_of(nodes: Mapping[str, Any], plugins: Sequence[str], trusted: bool = True) -> dict[str, ProbeMetric]:
    """The metrics of the nodes below `metric`, by name."""
    return {
        name: build(node, at=f"metric.{name}", expect=ProbeMetric, plugins=plugins, trusted=trusted)
        for name, node in nodes.items()
    }


def features_of(
    node: Any, spec: DataSpec, own: str | None, plugins: Sequence[str], trusted: bool = True
) -> FeatureExtractor:
    """features=…, else the network that the data names, or what stands in for it."""
    if node is None:
        return default_features(spec, own)
    return build(node, at="features", expect=FeatureExtractor, plugins=plugins, trusted=trusted)


def metrics_named() -> bool:
    """Tell whether this command line names metrics one by one: those may not be skipped, a suite's may.

    Raises ConfigError where it names none, metric=[].
    """
    named = [word for word in current_job().overrides if word.startswith("metric=")]
    if empty := [word for word in named if not word.partition("=")[2].strip("[] ")]:
        raise ConfigError(f"{empty[0]}: it names no metric: name one, or leave metric= out for those of the data")
    return bool(named) and not any("suite/" in word for word in named)
