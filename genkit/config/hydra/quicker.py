"""Two detours of Hydra's that a composition does without; what is composed, and what is refused, stays the same.

OmegaConf reads YAML in pure Python, although the parser in C that PyYAML brings is ten times faster. And for every file
that it opens, Hydra builds a map of the choices so far, which only a choice with an interpolation in its name reads.
Together that is a third of a composition. Neither can be chosen, so both are replaced for the time of a call; a version
of either library that has no such detour composes as it does.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any


@contextlib.contextmanager
def quicker() -> Iterator[None]:
    """Composition without the detours inside the block, and inside another such block."""
    try:
        from hydra._internal import defaults_list
        from omegaconf import _utils

        loader, choices = _utils.get_yaml_loader, defaults_list._create_interpolation_map
    except (ImportError, AttributeError):
        yield
        return
    if choices.__module__ == __name__:
        yield
        return

    def choices_where_read(overrides: Any, defaults: Any, self_added: bool) -> Any:
        read = any(default.is_interpolation() for default in defaults)
        return choices(overrides, defaults, self_added) if read else None

    _utils.get_yaml_loader = lambda: in_c(loader)
    defaults_list._create_interpolation_map = choices_where_read  # type: ignore[assignment]
    try:
        yield
    finally:
        _utils.get_yaml_loader, defaults_list._create_interpolation_map = loader, choices


@cache
def in_c(plain: Callable[[], Any]) -> Callable[[Any], Any]:
    """The loader that `plain` returns, on the parser in C: a function of a stream, as yaml.load takes.

    What the parser in C refuses is read once more in Python, whose messages quote the line. Texts, which are short,
    are read in Python at once, and everything is where PyYAML was built without the parser.
    """
    import yaml

    loader: Callable[[Any], Any] = plain()
    if not yaml.__with_libyaml__:
        return loader
    from yaml.constructor import SafeConstructor
    from yaml.cyaml import CParser
    from yaml.resolver import Resolver

    class LoaderInC(CParser, loader):  # type: ignore[misc, valid-type]
        def __init__(self, stream: Any) -> None:
            CParser.__init__(self, stream)
            SafeConstructor.__init__(self)
            Resolver.__init__(self)
            self.begun = stream

        def get_single_data(self) -> Any:
            try:
                return super().get_single_data()
            except yaml.YAMLError:
                self.begun.seek(0)
                return yaml.load(self.begun, loader)

    return lambda stream: loader(stream) if isinstance(stream, str | bytes) else LoaderInC(stream)
