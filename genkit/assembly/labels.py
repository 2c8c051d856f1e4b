"""Names of runs, folders and pictures, after the classes of their model and data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from genkit.printing import shown

SOURCES = "genkit.data.sources."
UNNAMED = ("arrays", "fasta", "hub", "images", "lines", "pairs", "shards", "table", "text")  # data of the user's own
LONGEST = 40  # letters of a name


def class_name(node: Any, absent: str) -> str:
    """ "VAE" for the node of a VAE; `absent` for what is no node."""
    target = node.get("_target_") if isinstance(node, Mapping) else None
    return str(target or absent).rpartition(".")[2]


def dataset_name(node: Any) -> str:
    """ "digits" for a node of Digits, "text" for genkit's own source of text; "data" for what is no node.

    Own sources are called as their files, which are the options of `data=`; the classes of others by their names.
    """
    target = node.get("_target_") if isinstance(node, Mapping) else None
    if isinstance(target, str) and target.startswith(SOURCES):
        return target.removeprefix(SOURCES).partition(".")[0]
    return class_name(node, "data").lower()


def data_in_words(node: Any) -> str:
    """The data's name in a title: "digits", "toy checkerboard", "images cats" for the user's folder of that name."""
    source = dataset_name(node)
    own = node.get("name") if isinstance(node, Mapping) else None
    if not own and source in UNNAMED and isinstance(node, Mapping):
        own = PurePath(str(node.get("root") or "")).name
    return f"{source} {shown(own, LONGEST)}" if isinstance(own, str) and own else source


def title_in_words(model: str, node: Any) -> str:
    """ "vae on toy checkerboard": a model and its data in a title."""
    return f"{model} on {data_in_words(node)}"


def label_in_words(label: str) -> str:
    """ "vae on digits" for the label "vae-digits"."""
    return label.replace("-", " on ", 1)
