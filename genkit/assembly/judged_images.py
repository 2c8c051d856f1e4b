"""The images of a study: held-out real ones, and as many of each model or file, of the same classes in the same order.

All are stored values: what a model draws is quantised as a file of its samples would be, and becomes a PNG by the same
function as the real images.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import Tensor

from genkit.assembly.data_changes import say_changed
from genkit.assembly.reference_data import check_sources, paths_in, reference_of, unique_names
from genkit.assembly.restore import Restored
from genkit.assembly.sampling_model import label_of, provenance, restore_for_sampling
from genkit.checkpoint.newest import each_finished
from genkit.config.settings import JudgeSettings
from genkit.data.samples import read_samples
from genkit.data.spec import DataSpec
from genkit.data.split import Split
from genkit.errors import ConfigError, DataError
from genkit.evaluation.reference import Reference
from genkit.evaluation.source import CHUNK, ModelSource
from genkit.models.conditional import Conditional, labels_for
from genkit.noise import SampleNoise, generator_of
from genkit.printing import shown

REAL, CONTROL = "real", "real (control)"


@dataclass(frozen=True)
class JudgedImages:
    """Images of a study.

    Attributes:
        spec: Of the data.
        reference: Facts of the real data for records.
        data, label: Names of the data, and of model and data for a folder.
        images: Source -> stored values (n, C, H, W); the real ones come first.
        facts: Source -> what records say of it.
        unmatched: Sources whose classes are not those of the real images.
    """

    spec: DataSpec
    reference: dict[str, Any]
    data: str
    label: str
    images: dict[str, Tensor]
    facts: dict[str, dict[str, Any]]
    unmatched: tuple[str, ...]


def judged_images(settings: JudgeSettings, console: Console) -> JudgedImages:
    """Choose the real images, and draw or read the others.

    Raises:
        ConfigError: nothing or too much is named, or the data has too few images.
        DataError: what is named holds no images.
    """
    checkpoints = [run for path in paths_in(settings.ckpt) for run in each_finished(path)]
    files = paths_in(settings.samples)
    check_sources("judge", "judged", checkpoints, files, settings)
    models = [restore_for_sampling(path, settings, console) for path in checkpoints]
    reference = reference_of(settings, models)
    if reference.dataset is not None and models:
        say_changed(models, reference.dataset, console)
    if reference.spec.drawing != "grid":
        what = f"{reference.name} is {reference.spec.words}"
        raise DataError(f"genkit judge shows images, such as data=digits or data=images; {what}: genkit eval scores it")
    real, control = _real(reference, settings)
    images, facts, matched = {REAL: real.x}, {REAL: dict[str, Any]()}, {REAL: True}
    names = unique_names([found.model.label for found in models], checkpoints) if models else unique_names(
        [Path(path).stem for path in files], files)  # fmt: skip
    for name in names:
        if name in (REAL, CONTROL):
            raise ConfigError(f"samples={name}: that is what the real images are called: rename the file")
    for name, found in zip(names, models, strict=False):
        images[name], matched[name] = _drawn(found, settings, reference, real.y)
        facts[name] = ModelSource(found.model, settings.n, name, origin=provenance(found, settings)).facts(real.y) or {}
    for name, path in zip(names, files, strict=False):
        images[name], matched[name] = _read(path, settings, reference.spec, real.y)
        facts[name] = {"family": "samples", "file": Path(path).name}
    if control is not None:
        images[CONTROL], matched[CONTROL] = control
        facts[CONTROL] = {}
    unmatched = tuple(name for name, same in matched.items() if not same)
    label = label_of(models[0]) if len(models) == 1 else f"{'-'.join(names)[:30]}-{reference.name}"
    return JudgedImages(reference.spec, reference.facts(), reference.name, label, images, facts, unmatched)


def _real(reference: Reference, settings: JudgeSettings) -> tuple[Any, tuple[Tensor, bool] | None]:
    """n held-out examples, and n others of the same classes where they are asked for."""
    needed, n = settings.n * (1 + settings.control), settings.n
    if needed > len(reference.data):
        raise ConfigError(f"n={n}: {reference.name} has {len(reference.data):,} held-out images, {needed:,} are needed")
    order = torch.randperm(len(reference.data), generator=generator_of(settings.seed, "judge", "real"))
    real = reference.data.take(order[:n])
    if not settings.control:
        return real, None
    rest = reference.data[order[n:]]
    chosen, matched = _chosen(rest, n, real.y, settings.seed, CONTROL)
    return real, (chosen, matched)


def _drawn(
    found: Restored, settings: JudgeSettings, reference: Reference, labels: Tensor | None
) -> tuple[Tensor, bool]:
    """n samples (n, *shape), sample i of the class of real image i where the model is told classes."""
    model, n = found.model, settings.n
    ModelSource(model, n, model.label).check(reference.spec)
    told = isinstance(model, Conditional) and model.num_classes is not None
    y = (
        (labels if labels is not None else labels_for(model, range(n), None, like=None, seed=settings.seed))
        if told
        else None
    )
    device, parts = next(iter(model.parameters())).device, []
    with torch.no_grad():
        for low in range(0, n, CHUNK):
            places = range(low, min(low + CHUNK, n))
            own = None if y is None else y[low : places.stop]
            noise = SampleNoise(settings.seed, places, device)
            x = model.sample(len(places), y=None if own is None else own.to(device), noise=noise).cpu()
            parts.append(reference.spec.unscale(x, own))
    return torch.cat(parts), labels is None or told


def _read(path: str, settings: JudgeSettings, spec: DataSpec, labels: Tensor | None) -> tuple[Tensor, bool]:
    """n samples of a file."""
    samples = read_samples(path, spec)
    if len(samples) < settings.n:
        raise ConfigError(f"n={settings.n}: {shown(path)} holds {len(samples):,} samples: choose a smaller n")
    return _chosen(samples, settings.n, labels, settings.seed, Path(path).name)


def _chosen(split: Split, n: int, labels: Tensor | None, seed: int, name: str) -> tuple[Tensor, bool]:
    """n examples at random, the i-th of class labels[i] where there are enough of each; and whether they are."""
    order = torch.randperm(len(split), generator=generator_of(seed, "judge", name))
    if labels is None or split.labels is None:
        return split.take(order[:n]).x, labels is None
    left: Mapping[int, list[int]] = {label: [] for label in set(labels.tolist())}
    for i in order.tolist():
        left.get(int(split.labels[i]), []).append(i)
    if any(len(left[label]) < count for label, count in _counted(labels).items()):
        return split.take(order[:n]).x, False
    return split.take(torch.tensor([left[label].pop() for label in labels.tolist()])).x, True


def _counted(labels: Tensor) -> dict[int, int]:
    values, counts = labels.unique(return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))
