"""Names of runs, folders and pictures, after the classes of their model and data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SOURCES = "genkit.data.sources."


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


def label_in_words(label: str) -> str:
    """ "vae on digits" for the label "vae-digits"."""
    return label.replace("-", " on ", 1)
