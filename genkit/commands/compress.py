"""`genkit compress`: examples as bits, by the probabilities that a model gives them, without loss.

The better the model, the smaller the file: −log₂ P bits an example. Beside the size of the file stands what the model
itself promises, and what compressors that know no model need.
"""

from __future__ import annotations

import math
import time
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import Progress
from torch import Tensor

from genkit.assembly.closing_lines import close, next_command
from genkit.assembly.compressed_file import SUFFIX, compressed_file
from genkit.assembly.compression_table import Row, compression_rows, print_sizes
from genkit.assembly.examples import Subject, subject_of
from genkit.assembly.sampling_model import title_of
from genkit.assembly.use_results import result_folder, write_facts, write_scores
from genkit.config.memory import memory_errors, smaller_batch
from genkit.config.settings import CompressSettings
from genkit.errors import ConfigError
from genkit.models.base import Density
from genkit.models.conditional import Conditional
from genkit.models.entropy_coding import Coded, encode, why_not
from genkit.printing import shown
from genkit.report.console import make_console
from genkit.storage.atomic import whole_file

FILE = f"examples{SUFFIX}"


def run(settings: CompressSettings) -> None:
    """Write the file, and print its size beside others."""
    compress(settings)


def compress(settings: CompressSettings) -> Path:
    """As `run`; returns the file."""
    console = make_console()
    _refuse_in_use(settings.out)
    subject = subject_of("compress", settings, console)
    if reason := why_not(subject.found.model):
        raise ConfigError(f"genkit compress: this model cannot: {reason}; genkit list uses shows which can")
    labels = _labels(subject, settings)
    started = time.perf_counter()
    with memory_errors(smaller_batch("batch_size", min(settings.batch_size, len(subject.v)))):
        own = _own_bits(subject, labels)
        coded = _encoded(subject, labels, settings, console)
    file = compressed_file(subject.found, settings.weights, subject.v, coded)
    rows = compression_rows(subject.v, subject.found.model.spec, coded, len(file), own)
    facts = {"seconds": round(time.perf_counter() - started, 3), **coded.facts}

    def fill(folder: Path) -> None:
        _write(folder / FILE, file)
        write_facts(folder / "compress.json", subject, facts)
        write_scores(folder, rows, {"source": subject.source, "n": len(subject.v), **facts})

    made = result_folder("compress", subject, fill) / FILE if settings.out is None else None
    path = made or _write(Path(settings.out or FILE), file)
    _tell(console, subject, rows, path)
    return path


def _refuse_in_use(out: str | None) -> None:
    if out is None:
        return
    if Path(out).is_dir():
        raise ConfigError(f"out={shown(out)}: a folder; give the name of a file, such as out={shown(out)}/{FILE}")
    if Path(out).exists():
        raise ConfigError(f"out={shown(out)}: there is such a file: choose another name")


def _write(path: Path, data: bytes) -> Path:
    with whole_file(path) as file:
        file.write(data)
    return path


def _labels(subject: Subject, settings: CompressSettings) -> Tensor | None:
    """The labels that go into the file: those that the model needs, else those that are asked for."""
    given = subject.conditions
    if given is not None or not settings.labels:
        if settings.labels is False and given is not None:
            raise ConfigError("labels=false: this model is conditional, and its labels are needed to decompress")
        return given
    if subject.y is None:
        raise ConfigError(f"labels=true: {shown(subject.source)} has no labels: leave it out")
    return subject.y


def _encoded(subject: Subject, labels: Tensor | None, settings: CompressSettings, console: Console) -> Coded:
    with Progress(console=console, transient=True, disable=not console.is_interactive) as bar:
        task = bar.add_task("compressing", total=len(subject.v))
        count = None if labels is None else max(int(labels.max()) + 1, subject.found.model.spec.num_classes or 1)
        return encode(
            subject.found.model,
            subject.v,
            labels,
            block=settings.batch_size,
            num_labels=count,
            watch=lambda n: bar.advance(task, n),
        )


@torch.no_grad()
def _own_bits(subject: Subject, labels: Tensor | None) -> float | None:
    """Bits that the model's own likelihood promises for all examples; None where it speaks of none."""
    model = subject.found.model
    if not isinstance(model, Density):
        return None
    conditional = isinstance(model, Conditional) and model.num_classes is not None
    device = next(model.parameters()).device
    size, bits = subject.settings.batch_size, 0.0
    for first in range(0, len(subject.v), size):
        v = subject.v[first : first + size].to(device)
        y = labels[first : first + size].to(device) if conditional and labels is not None else None
        nats = model.nll(v, y, seed=subject.settings.seed, first=first).double()
        bits += float(nats.sum()) / math.log(2)
    return bits - len(subject.v) * model.spec.dim * model.spec.kind.log_volume / math.log(2)


def _tell(console: Console, subject: Subject, rows: list[Row], path: Path) -> None:
    found, settings = subject.found, subject.settings
    what = f"{len(subject.v):,} examples of {found.model.spec.words}"
    print_sizes(console, f"{title_of(found)}: {shown(subject.source)}, {what}", rows)
    back = next_command(settings.plugins, "decompress", f"input={path}", f"ckpt={found.checkpoint.path}")
    close(console, f"{len(subject.v):,} examples: {shown(path)}", {"file": path}, [back])
