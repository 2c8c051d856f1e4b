"""The table of `genkit compress`: the file, its parts, the model's promise, and what other compressors need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text as Words
from torch import Tensor

from genkit.coding.general import general_sizes, png_size
from genkit.data.kinds import PAD, Categorical
from genkit.data.spec import DataSpec
from genkit.data.text.kind import Text
from genkit.models.entropy_coding import LABELS, VALUES, Coded

BYTE = 256  # levels
OWN, NET = "the model's own", "values, net of initial bits"
OURS = ("file", VALUES, NET, LABELS, "header", OWN)

Row = dict[str, Any]


def compression_rows(v: Tensor, spec: DataSpec, coded: Coded, size: int, own: float | None) -> list[Row]:
    """One row for each size.

    Args:
        v: (N, *shape) stored values that were coded.
        spec: The data.
        coded: What became of them.
        size: Of the file, in bytes.
        own: Bits that the model's likelihood promises; None where it promises none.
    """
    count, unit = parts_of(v, spec)
    sections = coded.sections
    sizes: dict[str, float] = {"file": size, VALUES: len(sections[VALUES])}
    if "initial_bits" in coded.facts:
        sizes[NET] = len(sections[VALUES]) - coded.facts["initial_bits"] / 8
    if LABELS in sections:
        sizes[LABELS] = len(sections[LABELS])
    sizes["header"] = size - sum(map(len, sections.values()))
    if own is not None:
        sizes[OWN] = own / 8
    sizes |= others(v, spec)
    return [{"score": name, "value": 8 * b / count, "unit": unit, "bytes": round(b)} for name, b in sizes.items()]


def parts_of(v: Tensor, spec: DataSpec) -> tuple[int, str]:
    """The number of parts of the examples that bits are counted for, and the unit: values, tokens, or bytes of text."""
    if isinstance(spec.kind, Text):
        return max(1, int(spec.kind.sizes(v).sum())), "bits/byte"
    if isinstance(spec.kind, Categorical):
        padded = v == spec.kind.special(PAD) if PAD in spec.kind.specials else v < 0
        return max(1, int((~padded).sum())), "bits/token"
    return v.numel(), "bits/dim"


def others(v: Tensor, spec: DataSpec) -> dict[str, int]:
    """Bytes of the same examples by compressors that know no data; text as its bytes, binary images also as bits."""
    if isinstance(spec.kind, Text):
        return general_sizes([b"".join(spec.kind.documents(v))])
    count = spec.kind.count or 0
    plain = v.numpy().astype(np.uint8 if count <= BYTE else np.uint16 if count <= BYTE**2 else np.int64)
    packed = [np.packbits(plain.astype(np.uint8)).tobytes()] if count == 2 else []
    sizes = general_sizes([plain.tobytes(), *packed])
    if spec.modality == "image" and plain.dtype == np.uint8 and v.shape[1] in (1, 3):
        sizes["png"] = png_size(plain.astype(np.uint8), count)
    return sizes


def print_sizes(console: Console, title: str, rows: Sequence[Row]) -> None:
    """Print the rows below a title."""
    sizes = {row["score"]: row["bytes"] for row in rows}
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for name in ("bytes", rows[0]["unit"], ""):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(f"  {row['score']}", f"{row['bytes']:,}", f"{row['value']:.4f}", _remark(row["score"], sizes))
    console.print(Words(title, style="bold"), soft_wrap=True)
    console.print(table, soft_wrap=True)


def _remark(name: str, sizes: Mapping[str, int]) -> str:
    """The share that the values take above what the model promises, or the size of another file in files like ours."""
    if name == OWN:
        values = sizes.get(NET, sizes[VALUES])
        return f"{NET if NET in sizes else VALUES} {values / sizes[name] - 1:+.3%}" if sizes[name] else ""
    return "" if name in OURS else f"{sizes[name] / sizes['file']:.2f} x the file"
