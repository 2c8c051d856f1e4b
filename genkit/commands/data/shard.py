"""`genkit data shard data=… out=FOLDER`: images of any source into a few large files, which are read by offset."""

from __future__ import annotations

import time
from pathlib import Path

from genkit.assembly.closing_lines import close, next_command
from genkit.assembly.labels import dataset_name
from genkit.assembly.output_folder import check_out, make_out
from genkit.config.build import build
from genkit.config.settings import ShardDataSettings
from genkit.data.dataset import Dataset
from genkit.data.images.preparation import ImageOptions
from genkit.data.prepared_images import PreparedImages, only_listed
from genkit.data.root import find_root
from genkit.data.shards.split_images import SplitImages
from genkit.data.shards.writing import ShardWriting, Written
from genkit.errors import ConfigError
from genkit.report.console import make_console
from genkit.storage.disk import require_free_disk


def run(settings: ShardDataSettings) -> None:
    """Write the shards and print where; raises what building the dataset and writing raise."""
    console = make_console()
    if settings.out is None:
        raise ConfigError("out= is missing: name a new folder for the shards, out=FOLDER")
    check_out(settings.out)
    started = time.perf_counter()
    writing = writing_of(settings)
    require_free_disk(writing.expected_bytes(), Path(settings.out), "give data.size= for smaller images")
    written: list[Written] = []
    name = dataset_name(settings.data)
    folder = make_out(settings.out, "data", name, lambda place: written.append(writing.write(place)))
    (done,) = written
    seconds = time.perf_counter() - started
    left = f", {len(done.bad):,} left out" if done.bad else ""
    shards = f"{done.shards:,} shard{'s' if done.shards > 1 else ''}"
    close(
        console,
        f"written: {done.images:,} images, {done.bytes:,} bytes, in {shards}, in {seconds:.1f} s{left}",
        {"folder": folder},
        [next_command(settings.plugins, "train", "data=shards", f"data.root={folder}")],
    )


def writing_of(settings: ShardDataSettings) -> ShardWriting:
    """The images that a configuration names: those of its files, of which nothing is prepared, else of its splits."""
    with only_listed():
        dataset: Dataset = build(settings.data, at="data", expect=Dataset, plugins=tuple(settings.plugins))
    if isinstance(dataset, PreparedImages) and dataset.source is not None:
        found = dataset.source
        return ShardWriting(found.path, found.images, found.options, settings.megabytes)
    name = dataset_name(settings.data)
    root = settings.data.get("root")
    source = find_root(root, name, "") if root else Path(name)
    return ShardWriting(source, SplitImages(dataset, name), ImageOptions(labels=None), settings.megabytes)
