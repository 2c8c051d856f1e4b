"""Opening a page in the browser of the person at this machine, where there is one with a screen."""

from __future__ import annotations

import os
import sys
import webbrowser

_SCREEN = ("DISPLAY", "WAYLAND_DISPLAY")


def open_page(address: str) -> bool:
    """Open an address; False where there is no graphical browser.

    Without a screen Python would take a browser of the terminal, which takes the terminal from the command.
    """
    if sys.platform not in ("darwin", "win32") and not any(os.environ.get(name) for name in _SCREEN):
        return False
    try:
        return webbrowser.open(address)
    except webbrowser.Error:
        return False
