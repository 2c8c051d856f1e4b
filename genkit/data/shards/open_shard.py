"""A shard by the name of its file."""

from __future__ import annotations

from pathlib import Path

from genkit.data.shards.parquet_shard import SUFFIX, ParquetShard
from genkit.data.shards.shard import Shard
from genkit.data.shards.zip_shard import ZipShard


def open_shard(path: Path) -> Shard:
    """The images of a file; raises as its class."""
    return ParquetShard(path) if path.suffix == SUFFIX else ZipShard(path)
