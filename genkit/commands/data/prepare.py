"""`genkit data prepare data=…`: decode, frame and check data once, into arrays that every later command reads."""

from __future__ import annotations

import time

from genkit.assembly.closing_lines import close, next_command
from genkit.assembly.command_line import data_words
from genkit.assembly.labels import dataset_name
from genkit.config.build import build
from genkit.config.settings import DataSettings
from genkit.data.content_split import NAMES
from genkit.data.dataset import Dataset, check_finite
from genkit.report.console import make_console


def run(settings: DataSettings) -> None:
    """Prepare the data, or find it prepared, and print where; raises what building the dataset raises."""
    console = make_console()
    started = time.perf_counter()
    dataset: Dataset = build(settings.data, at="data", expect=Dataset, plugins=tuple(settings.plugins))
    check_finite(dataset)
    folder = dataset.provenance.folder
    if folder is None:
        console.print(f"{dataset_name(settings.data)}: nothing to prepare: it is read at each start", soft_wrap=True)
        return
    seconds = time.perf_counter() - started
    words = data_words()
    close(
        console,
        f"prepared: {sum(len(dataset.split(name)) for name in NAMES):,} examples in {seconds:.1f} s",
        {"folder": folder},
        [next_command(settings.plugins, verb, *words) for verb in ("data show", "train")],
    )
