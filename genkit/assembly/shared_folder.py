"""One run folder of several processes: the first one owns it, the others know where it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from genkit.checkpoint.run_folder import RunFolder
from genkit.ranks import from_first


class FollowedFolder(RunFolder):
    """The run folder of several processes, in those that do not own it: what they have to say of it is left unsaid."""

    def update(self, **fields: Any) -> None:
        self.info = self.info | fields

    def write_config(self, text: str) -> None: ...

    def close(self) -> None: ...


def shared(make: Callable[[], RunFolder]) -> RunFolder:
    """The run folder that the first of several processes makes or opens, and owns.

    Raises:
        RankError: in the others, where it failed in the first one.
    """
    made: list[RunFolder] = []

    def facts() -> tuple[Path, dict[str, Any]]:
        made.append(make())
        return made[0].path, made[0].info

    path, info = from_first(facts)
    return made[0] if made else FollowedFolder(path, info)
