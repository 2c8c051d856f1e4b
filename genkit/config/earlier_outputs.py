"""Autoencoders of version 3, whose outputs had no bounds, in the words of version 4, which squashes them by default.

A configuration that says which it has keeps it.
"""

from __future__ import annotations

from typing import Any

from genkit.config.names import TARGET, each_node

AUTOENCODER = "genkit.models.autoencoder.autoencoder.Autoencoder"


def with_open_outputs(document: dict[str, Any]) -> dict[str, Any]:
    """A document of version 3 as one of version 4."""
    changed: dict[str, Any] = each_node(
        document, lambda node: {"squash_output": False, **node} if node[TARGET] == AUTOENCODER else node
    )
    return changed
