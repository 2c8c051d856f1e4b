"""`genkit sample show=…`: a model's reconstructions and latents of held-out examples, as a picture instead of samples.

interpolation    rows of decoded points on the path between the latents of two examples, or between two draws of
                 noise where the model has no encoder but its latents are standard normal
reconstruction   examples above what comes back of them
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from genkit.assembly.latent_space import mapped
from genkit.assembly.restore import Restored
from genkit.assembly.sampling_labels import label_number
from genkit.assembly.sampling_model import dataset_of, title_of
from genkit.config.build import build
from genkit.config.settings import SampleSettings
from genkit.data.dataset import Dataset
from genkit.data.order import drawn
from genkit.data.spec import DataSpec
from genkit.data.split import Split
from genkit.errors import ConfigError, DataError
from genkit.models.base import Decoder, Encoder, GenerativeModel, NormalLatent, Reconstructor
from genkit.models.conditional import labels_for
from genkit.models.interpolation import Interpolation
from genkit.noise import SampleNoise, generator_of
from genkit.report.picture import draw_pairs, draw_rows

PATH = 8  # points on a path, its ends included
REAL_POINTS = 2000  # behind the paths of vectors

Picture = Callable[[Path], None]

# what each picture asks of a model: all abilities of one of these
SHOWS: dict[str, tuple[tuple[type, ...], ...]] = {
    "interpolation": ((Encoder, Decoder), (NormalLatent,)),
    "reconstruction": ((Reconstructor,),),
}


def check_show(model: GenerativeModel, show: str) -> None:
    """Raises ConfigError where the model lacks an ability that the picture needs."""
    if any(all(isinstance(model, ability) for ability in abilities) for abilities in SHOWS[show]):
        return
    if missing := [ability.__name__.lower() for ability in SHOWS[show][0] if not isinstance(model, ability)]:
        raise ConfigError(f"show={show}: {type(model).__name__} is no {' and no '.join(missing)}: leave show= out")


@torch.no_grad()
def picture_of(found: Restored, settings: SampleSettings) -> Picture:
    """The tensors that show= names, ready to be drawn into a file."""
    assert settings.show is not None
    check_show(found.model, settings.show)
    shows = {"interpolation": _interpolation, "reconstruction": _reconstruction}
    return shows[settings.show](found, settings)


def _interpolation(found: Restored, settings: SampleSettings) -> Picture:
    """n pictures in rows of `PATH`; the two ends of a row share their label where the model takes labels."""
    model, rows = found.model, -(-settings.n // PATH)
    assert isinstance(model, Decoder)
    between = build(settings.interpolation, at="interpolation", expect=Interpolation, plugins=settings.plugins)
    y = labels_for(model, range(rows), label_number(model.spec, settings.y))
    z = _ends(found, settings, rows, y)
    points = between(z[0::2], z[1::2], torch.linspace(0, 1, PATH)).flatten(0, 1)
    labels = None if y is None else y.repeat_interleave(PATH)
    x = mapped(model, model.decode, points, labels, settings.batch_size).unflatten(0, (rows, PATH))
    real, title = _background(found, settings), f"{title_of(found)}, interpolation of latents along each row"
    return partial(draw_rows, rows=x, spec=model.spec, real=real, title=title)


def _reconstruction(found: Restored, settings: SampleSettings) -> Picture:
    """n held-out examples, those of one label with y=, above their reconstructions."""
    model, n = found.model, settings.n
    assert isinstance(model, Reconstructor)
    y = labels_for(model, range(n), label_number(model.spec, settings.y))
    x = _held_out(found, settings, n, y)
    restored = mapped(model, model.reconstruct, x, y, settings.batch_size)
    title = f"{title_of(found)}, held-out examples"
    return partial(draw_pairs, x=x, reconstruction=restored, spec=model.spec, title=title)


def _ends(found: Restored, settings: SampleSettings, rows: int, y: Tensor | None) -> Tensor:
    """Latents (2 rows, D): the two ends of each path, both of the label of its row."""
    model = found.model
    if not isinstance(model, Encoder):
        assert isinstance(model, NormalLatent)
        return SampleNoise(settings.seed, range(2 * rows))(model.latent_dim)
    both = None if y is None else y.repeat_interleave(2)
    x = _held_out(found, settings, 2 * rows, both)
    return mapped(model, model.encode, x, both, settings.batch_size)


def _background(found: Restored, settings: SampleSettings) -> Tensor | None:
    """Real points beside the paths of vectors; images need none."""
    if found.model.spec.drawing != "scatter":
        return None
    return real_points(dataset_of(found, settings.data, settings.plugins), found.model.spec)


def real_points(dataset: Dataset, spec: DataSpec) -> Tensor:
    """Some held-out points in model units, to be drawn behind those of a model."""
    test = dataset.split("test")
    return spec.scale(drawn(test, min(len(test), REAL_POINTS), seed=0).x)


def _held_out(found: Restored, settings: SampleSettings, n: int, y: Tensor | None) -> Tensor:
    """n examples (n, *shape) of the test split, in an order of the seed; with y (n,) those of its labels.

    Raises DataError where there are too few.
    """
    test = dataset_of(found, settings.data, settings.plugins).split("test")
    order = torch.randperm(len(test), generator=generator_of(settings.seed, "show"))
    pick = order[:n].tolist() if y is None else list(_labelled(test, order, y))
    if len(pick) < n:
        raise DataError(f"n={settings.n}: the test split has too few examples: choose a smaller n")
    return found.model.spec.scale(test.take(torch.tensor(pick)).x)


def _labelled(split: Split, order: Tensor, y: Tensor) -> Iterator[int]:
    """For every label of y the next example in `order` that has it, as long as there is one."""
    assert split.labels is not None
    queues = {label: iter(order[split.labels[order] == label].tolist()) for label in y.unique().tolist()}
    for label in y.tolist():
        found: int | None = next(queues[label], None)
        if found is None:
            return
        yield found
