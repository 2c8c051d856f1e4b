"""`genkit decompress`: the examples that `genkit compress` coded, byte for byte."""

from __future__ import annotations

from pathlib import Path

from rich.progress import Progress

from genkit.assembly.closing_lines import close
from genkit.assembly.compressed_file import Decompressed, decompressed, model_of_file, read_header
from genkit.assembly.output_folder import check_out, make_out
from genkit.assembly.sampling_model import device_of, label_of, title_of
from genkit.config.memory import memory_errors
from genkit.config.settings import DecompressSettings
from genkit.data.samples import ROWS, SAMPLES, write_samples
from genkit.data.tables.samples import written_rows
from genkit.data.text.samples import TXT, written_text
from genkit.errors import ConfigError
from genkit.printing import shown
from genkit.report.console import make_console
from genkit.report.picture import draw, picture_name
from genkit.tensor_cores import allow_tf32

PICTURED = 64


def run(settings: DecompressSettings) -> None:
    """Write samples.npz with the stored values, and a picture; of a table also rows, of text also lines."""
    decompress(settings)


def decompress(settings: DecompressSettings) -> Path:
    """As `run`; returns the folder."""
    console = make_console()
    check_out(settings.out)
    if settings.input is None:
        raise ConfigError("genkit decompress: which file? try: genkit decompress FILE ckpt=RUN")
    container, size = read_header(settings.input)  # refused before any model is read
    assert settings.ckpt is not None  # the newest run where none is named
    found = model_of_file(settings.input, container, settings.ckpt, settings.plugins)
    allow_tf32(False)
    found.model.requires_grad_(False).to(device_of(settings.device))
    with (
        memory_errors("decompress on another device (device=), or compress with a smaller batch_size="),
        Progress(console=console, transient=True, disable=not console.is_interactive) as bar,
    ):
        task = bar.add_task("decompressing", total=container.header["n"])
        content = decompressed(settings.input, container, size, found, lambda n: bar.advance(task, n))
    folder = make_out(settings.out, "decompress", label_of(found), lambda place: _write(place, content))
    made: dict[str, object] = {"array": folder / SAMPLES, "picture": folder / picture_name(found.model.spec)}
    made |= {name: folder / file for name, file in (("table", ROWS), ("text", TXT)) if (folder / file).exists()}
    count = "1 example" if len(content.v) == 1 else f"{len(content.v):,} examples"
    close(console, f"{count} out of {size:,} bytes, as they were: {shown(folder)}", made, [])
    return folder


def _write(folder: Path, content: Decompressed) -> None:
    spec, v = content.found.model.spec, content.v
    write_samples(folder / SAMPLES, spec, v, content.y)
    with written_rows(folder / ROWS, spec) as append_rows, written_text(folder, spec) as append_text:
        append_rows(v)
        append_text(v)
    shown_first = spec.scale(v[:PICTURED])
    draw(folder / picture_name(spec), shown_first, spec, title=f"decompressed by {title_of(content.found)}")
