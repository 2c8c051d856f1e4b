"""`genkit sample`: samples of a checkpoint, as an array, a picture, and a note of where they come from.

With show= a picture of what the model makes of held-out examples takes their place
(`genkit/assembly/latent_pictures.py`).

Samples are streamed into the file batch by batch, so memory does not grow with n; sample i depends on (seed, i) alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import Progress
from torch import Tensor

from genkit.assembly.closing_lines import close, next_command
from genkit.assembly.latent_pictures import Picture, picture_of
from genkit.assembly.launcher import run_processes
from genkit.assembly.note import facts_of, write_note
from genkit.assembly.output_folder import check_out, make_out
from genkit.assembly.processes import for_drawing
from genkit.assembly.prompts import beginnings
from genkit.assembly.restore import Restored
from genkit.assembly.sampling_labels import label_number
from genkit.assembly.sampling_model import label_of, restore_for_sampling, title_of
from genkit.config.memory import memory_errors, smaller_batch
from genkit.config.settings import SampleSettings
from genkit.data.samples import NOTE, ROWS, SAMPLES, SCHEMA, samples_size, stream_samples_to
from genkit.data.tables.samples import written_rows
from genkit.data.text.kind import Text
from genkit.data.text.samples import JSONL, TXT, written_text
from genkit.environment import Report, is_first, report
from genkit.models.base import Growing
from genkit.models.conditional import labels_for
from genkit.models.stream import Beginnings, shared_samples
from genkit.printing import shown
from genkit.ranks import joined
from genkit.report.console import make_console
from genkit.report.live_text import live_text
from genkit.report.picture import draw, picture_name
from genkit.report.preview import print_rows, print_text
from genkit.storage.disk import require_free_disk

PICTURED = 64  # samples in a grid of images, in rows of tokens or among lines
PLAIN_SECONDS = 30.0  # between lines on how far it is, where no bar can be drawn
POINTS = 10_000  # samples in a scatter plot, or behind the distributions of columns
# keys kept beside samples, besides those of how the model samples
DRAWN_WITH = ("n", "seed", "y", "prompt", "prompts", "device")


def run(settings: SampleSettings) -> None:
    """Draw samples and write samples.npz, a picture and samples.json into the output folder; of a table samples.csv, of
    text samples.txt and samples.jsonl.

    With show= it is the picture and its note alone: interpolation.png, interpolation.json.
    """
    sample(settings)


def sample(settings: SampleSettings) -> Path:
    """As `run`, in as many processes as are wanted; returns the output folder."""
    if n := for_drawing(settings):
        return Path(run_processes(n))
    with joined():
        folder = _sample(settings)
        report(Report(str(folder)))
        return folder


def _sample(settings: SampleSettings) -> Path:
    console = make_console()
    check_out(settings.out)
    assert settings.ckpt is not None  # the newest run where none is named
    found = restore_for_sampling(settings.ckpt, settings, console)
    labels_for(found.model, range(1), label_number(found.model.spec, settings.y))  # refused before anything is drawn
    begin = beginnings(found.model, settings)  # refused likewise
    if settings.show is None:
        size = samples_size(found.model.spec, settings.n)  # at most: the file is compressed
        require_free_disk(size, Path(settings.out or "outputs"), "draw fewer (n=)")
    picture = None if settings.show is None else picture_of(found, settings)

    def fill(folder: Path) -> None:
        if picture is None:
            _write(folder, found, settings, console, begin)
        else:
            _show(folder, picture, found, settings)

    with memory_errors(smaller_batch("batch_size", min(settings.batch_size, settings.n))):
        if not is_first():
            return _help(found, settings, begin)
        folder = make_out(settings.out, "sample", label_of(found), fill)
    _close(folder, found, settings, console)
    return folder


def _help(found: Restored, settings: SampleSettings, begin: Beginnings | None) -> Path:
    """Draws this process's share for the first one, which writes; returns no folder."""
    if settings.show is None:
        for _ in _stream(found, settings, begin):
            pass
    return Path()


def _stream(
    found: Restored, settings: SampleSettings, begin: Beginnings | None
) -> Iterator[tuple[Tensor, Tensor | None]]:
    label = label_number(found.model.spec, settings.y)
    return shared_samples(
        found.model,
        settings.n,
        seed=settings.seed,
        batch_size=settings.batch_size,
        y=label,
        begin=begin,
    )


def _close(folder: Path, found: Restored, settings: SampleSettings, console: Console) -> None:
    score = next_command(settings.plugins, "eval", f"ckpt={found.checkpoint.path}")
    if settings.show is not None:
        close(console, f"{settings.show}: {shown(folder)}", {"picture": folder / f"{settings.show}.png"}, [score])
        return
    made = {"picture": folder / picture_name(found.model.spec), "array": folder / SAMPLES}
    if (folder / ROWS).exists():
        made["table"] = folder / ROWS
        print_rows(folder / ROWS, console)
    if (folder / TXT).exists():
        made["text"] = folder / TXT
        if not _streams(found, settings, console):
            print_text(folder / JSONL, console)
    close(console, f"{settings.n:,} samples: {shown(folder)}", made, [score])


def _show(folder: Path, picture: Picture, found: Restored, settings: SampleSettings) -> None:
    picture(folder / f"{settings.show}.png")
    own = {"show": settings.show, "interpolation": settings.interpolation}
    write_note(folder / f"{settings.show}.json", _facts(found, settings) | own)


def _write(folder: Path, found: Restored, settings: SampleSettings, console: Console, begin: Beginnings | None) -> None:
    spec, n = found.model.spec, settings.n
    started = time.perf_counter()
    kept: list[Tensor] = []
    most = POINTS if spec.drawing in ("scatter", "table") else PICTURED

    def stored(
        append_rows: Callable[[Tensor], None], append_text: Callable[[Tensor], None]
    ) -> Iterator[tuple[Tensor, Tensor | None]]:
        with _watched(found, settings, console) as bar:
            task, said, done = bar.add_task("sampling", total=n), time.monotonic(), 0
            for x, y in _stream(found, settings, begin):
                done += len(x)
                if not console.is_interactive and time.monotonic() - said > PLAIN_SECONDS:
                    said = time.monotonic()
                    console.print(f"{done:,} of {n:,} samples")
                if (missing := most - sum(map(len, kept))) > 0:
                    kept.append(x[:missing])
                bar.advance(task, len(x))
                v = spec.unscale(x, y)
                append_rows(v)
                append_text(v)
                yield v, y

    with written_rows(folder / ROWS, spec) as append_rows, written_text(folder, spec) as append_text:
        stream_samples_to(folder / SAMPLES, spec, n, stored(append_rows, append_text))
    part = f", the first {most:,} of {n:,} samples" if spec.drawing == "grid" and n > most else ""
    draw(folder / picture_name(spec), torch.cat(kept), spec, title=title_of(found) + part)
    seconds = round(time.perf_counter() - started, 3)
    write_note(folder / NOTE, _facts(found, settings) | {"seconds": seconds})


def _streams(found: Restored, settings: SampleSettings, console: Console) -> bool:
    """Tell whether the text is shown while it is drawn: one sample, on a terminal."""
    grows = isinstance(found.model, Growing) and isinstance(found.model.spec.kind, Text)
    return grows and settings.n == 1 and settings.show is None and console.is_interactive


@contextmanager
def _watched(found: Restored, settings: SampleSettings, console: Console) -> Iterator[Progress]:
    """A bar of how far it is; of one text on a terminal the text itself, as it is drawn."""
    model, streams = found.model, _streams(found, settings, console)
    with Progress(console=console, transient=True, disable=streams or not console.is_interactive) as bar:
        if not streams or not isinstance(model, Growing) or not isinstance(model.spec.kind, Text):
            yield bar
            return
        with live_text(console, model.spec.kind) as model.watcher:
            yield bar
        model.watcher = None


def _facts(found: Restored, settings: SampleSettings) -> dict[str, Any]:
    return facts_of(found, settings, SCHEMA, {key: settings.config[key] for key in DRAWN_WITH})
