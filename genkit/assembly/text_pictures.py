"""Pictures of text that `genkit eval` draws: samples beside held-out text, costs by context, text coloured by costs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from torch import Tensor

from genkit.data.order import drawn
from genkit.data.text.kind import Text
from genkit.data.text.token_rows import Windows
from genkit.evaluation.evaluator import Evaluator
from genkit.evaluation.source import Source, model_values
from genkit.evaluation.token_scores import bits_by_context, excerpts
from genkit.report.picture import draw

Picture = Callable[[Path], None]  # writes itself to a path


def text_pictures(evaluator: Evaluator, sources: Sequence[Source], titles: Mapping[str, str]) -> dict[str, Picture]:
    """By file name: what there is to draw of these sources on text, computed; nothing of other data.

    Args:
        evaluator: After it has scored.
        sources: What it has scored.
        titles: Of each, by its label: model, data and step.
    """
    if not isinstance(evaluator.spec.kind, Text) or not isinstance(evaluator.reference.data, Windows):
        return {}
    found: dict[str, Picture] = {}
    curves: dict[str, Tensor] = {}
    for i, source in enumerate(sources, 1):
        name = partial(file_name, number=i, label=source.label, several=len(sources) > 1)
        if (samples := evaluator.prober.first_fakes.get(id(source))) is not None:
            found[name("samples", ".png")] = _beside_real(evaluator, source, samples, titles[source.label])
        if (bits := bits_by_context(evaluator, source)) is not None:
            curves[source.label] = bits
            found[name("surprise", ".html")] = _coloured(evaluator, source, titles[source.label])
    if curves:
        found["loss_by_context.png"] = partial(
            _curves, curves=curves, title=f"{_one_title(titles)}: cost of a token by its context, {_data(evaluator)}"
        )
    return found


def file_name(stem: str, suffix: str, number: int, label: str, several: bool) -> str:
    """Of a source's picture, numbered and named where there are several sources."""
    return f"{stem}-{number}-{re.sub('[^A-Za-z0-9._-]+', '_', label)}{suffix}" if several else f"{stem}{suffix}"


def _beside_real(evaluator: Evaluator, source: Source, samples: Tensor, title: str) -> Picture:
    """The first samples beside as many held-out examples, drawn at random."""
    spec, data = evaluator.spec, evaluator.reference.data
    real = drawn(data, min(len(samples), len(data)), evaluator.seed).x
    names = ("held out", "samples")
    x, beside = model_values(samples, spec), model_values(real, spec)
    return partial(draw, x=x, spec=spec, real=beside, title=f"{title}, beside {_data(evaluator)}", names=names)


def _coloured(evaluator: Evaluator, source: Source, title: str) -> Picture:
    from genkit.report.surprise import save_surprise

    kind, length = evaluator.spec.kind, evaluator.spec.dim
    assert isinstance(kind, Text)
    note = (
        f"The beginnings of the first held-out documents; {kind.tokenizer.name} as tokens, context {length:,}, stride "
        f"{max(1, length // 2):,}. Point at a token to see its bits."
    )
    title = f"{title}: what each token of {_data(evaluator)} costs"
    return partial(save_surprise, found=excerpts(evaluator, source), kind=kind, title=title, note=note)


def _curves(path: Path, curves: dict[str, Tensor], title: str) -> None:
    from genkit.report.loss_by_context import save_loss_by_context  # matplotlib costs half a second

    save_loss_by_context(path, curves, title)


def _one_title(titles: Mapping[str, str]) -> str:
    """The title of one source, or the names of several."""
    return next(iter(titles.values())) if len(titles) == 1 else ", ".join(titles)


def _data(evaluator: Evaluator) -> str:
    return f"{evaluator.reference.name} {evaluator.reference.split}"
