"""Requests to the local server, and its answers.

The headers of every answer keep a page from reaching anything but this server: nothing is loaded from elsewhere, sent
elsewhere, framed, or told to other pages by a referrer (Content Security Policy, level 3).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from genkit.errors import ConfigError

POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
HTML, JSON, TEXT, PNG = "text/html; charset=utf-8", "application/json", "text/plain; charset=utf-8", "image/png"


@dataclass(frozen=True)
class Request:
    """One request, its address already checked.

    Attributes:
        method: GET or POST.
        path: Behind the token, without a leading slash: "" is the page that the server begins with.
        query: What stands behind "?", the last value of each name.
        body: Of a POST.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def json(self) -> dict[str, Any]:
        """The body as an object of JSON; raises ConfigError where it is none."""
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{self.path or 'the body'}: not JSON: {error}") from error
        if not isinstance(found, dict):
            raise ConfigError(f"{self.path or 'the body'}: no object of JSON")
        return found


@dataclass(frozen=True)
class Reply:
    """One answer.

    Attributes:
        body: Its bytes.
        kind: Their media type.
        status: Of HTTP.
    """

    body: bytes
    kind: str = HTML
    status: int = 200

    @classmethod
    def page(cls, text: str) -> Reply:
        """A page of HTML."""
        return cls(text.encode())

    @classmethod
    def of_json(cls, value: Any) -> Reply:
        """A value as JSON; raises ValueError for numbers that JSON lacks."""
        return cls(json.dumps(value, allow_nan=False).encode(), JSON)

    @classmethod
    def text(cls, text: str, status: int = 200) -> Reply:
        """One line of plain text."""
        return cls(f"{text}\n".encode(errors="backslashreplace"), TEXT, status)


Route = Callable[[Request], Reply]
