"""The port of a local server, as it is typed."""

from __future__ import annotations

from genkit.errors import ConfigError

LARGEST_PORT = 2**16 - 1


def port_of(text: str) -> int:
    """The number of `port=`; 0 stands for one that is free. Raises ConfigError where it is none."""
    if not (text.isascii() and text.isdecimal() and int(text) <= LARGEST_PORT):
        raise ConfigError(f"port={text}: a number from 0 to {LARGEST_PORT:,}")
    return int(text)
