"""Beginnings, which are all that models going from the first value to the last can complete."""

from torch import Tensor

from genkit.errors import ConfigError


def check_beginning(known: Tensor) -> None:
    """Raises ConfigError unless what is known of each example, bool (B, T) in the model's order, comes first."""
    if bool((known[:, 1:] & ~known[:, :-1]).any()):
        raise ConfigError("an autoregressive model completes what begins: what is known must come first")
