"""What every test may rely on, whoever started the tests."""

import signal
from collections.abc import Sequence
from typing import Any

from hydra._internal.hydra import Hydra

# under nohup, and in some jobs, SIGHUP is ignored, and every process that a test starts would inherit that
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Hydra composes every command line twice, the first time only to read `hydra.mode`, which no YAML of genkit sets: its
# answer is None unless the command line sets it. The second composition, the one that is used, stays Hydra's own.
_composed_mode = Hydra.get_mode


def _typed_mode(self: Hydra, config_name: str | None, overrides: list[str]) -> Any:
    return _composed_mode(self, config_name, overrides) if _sets_mode(overrides) else None


def _sets_mode(overrides: Sequence[str]) -> bool:
    return any("hydra" in word for word in overrides)


Hydra.get_mode = _typed_mode  # type: ignore[method-assign]
