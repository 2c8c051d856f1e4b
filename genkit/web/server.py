"""A server for pages of the person at this machine.

It binds to the loopback device, so no other machine reaches it, and its address holds a random token, so other users of
this machine, and pages of other origins in the same browser, cannot guess it. It answers what it was handed: functions
by path, and the files of one folder. It is no server for the world: plain HTTP, one request for each connection, a
thread for each, and limits that keep a faulty client from taking memory, threads or time.
"""

from __future__ import annotations

import secrets
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from genkit.errors import ConfigError
from genkit.web.browser import open_page
from genkit.web.handler import Connection
from genkit.web.messages import Route

LOOPBACK = "127.0.0.1"
POLL = 0.05  # seconds between looks at what lasts too long, and at the end


@dataclass(frozen=True)
class Limits:
    """Bounds of what a client may ask for.

    Attributes:
        head: Bytes of all header lines.
        body: Bytes of a body.
        file: Bytes of a file.
        fields: Of a query.
        connections: At the same time; one more is closed unread.
        seconds: Without a byte, after which a connection is closed.
        whole: Seconds after which a connection is closed however lively it is.
    """

    head: int = 32 * 1024
    body: int = 1024 * 1024
    file: int = 256 * 1024 * 1024
    fields: int = 50
    connections: int = 64
    seconds: float = 10.0
    whole: float = 60.0


class LocalServer(socketserver.ThreadingTCPServer):
    """Serve routes and files on the loopback device, within a `with` block.

    >>> with LocalServer({"": lambda request: Reply.page("<p>hello")}) as server:
    ...     print(server.address)
    ...     server.wait()

    Args:
        routes: Path behind the token ("" for the first page) -> function. Several threads may call it at once; a
            GenkitError is answered by its line and status 400, any other error by status 500.
        folder: Files below it are served by their names, where no route has the path.
        port: Of the loopback device; 0: any that is free.
        limits: Of requests.

    Raises:
        ConfigError: the port is taken, or not for this user.
    """

    daemon_threads = True
    allow_reuse_address = True  # of a server that has just ended; one that listens keeps its port
    allow_reuse_port = False
    request_queue_size = 64

    def __init__(
        self,
        routes: Mapping[str, Route],
        folder: Path | None = None,
        port: int = 0,
        limits: Limits | None = None,
    ) -> None:
        self.routes, self.folder, self.limits = dict(routes), folder, limits or Limits()
        self.token = secrets.token_urlsafe(18)  # of the system's secret bits: a seed could be guessed
        self._open: dict[socket.socket, float] = {}
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, args=(POLL,), name="web", daemon=True)
        try:
            super().__init__((LOOPBACK, port), Connection)
        except (OSError, OverflowError) as error:
            reason = error.strerror if isinstance(error, OSError) else "there is no such port"
            raise ConfigError(f"port={port}: {reason}: give another, or leave it out for one that is free") from error

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self.server_address[1])

    @property
    def address(self) -> str:
        """The address of the first page, token included."""
        return f"http://{LOOPBACK}:{self.port}/{self.token}/"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until `stop`, or for so many seconds; True where it ended. Signals are received meanwhile."""
        return self._ended.wait(seconds)

    def stop(self) -> None:
        """Take no more connections and close those that are open."""
        if self._thread.is_alive():
            self.shutdown()
        self._ended.set()
        self.server_close()
        self._close_older_than(0.0)

    def serve(self, say: Callable[[str], object], open_browser: bool = False) -> None:
        """Serve until a signal or a route ends it.

        Args:
            say: Called with the address, once it answers.
            open_browser: Whether to open the first page, where there is a browser with a screen.
        """
        with self:
            say(self.address)
            if open_browser:
                open_page(self.address)
            self.wait()

    def end_soon(self) -> None:
        """Let `wait` return; for a route, whose own answer still goes out."""
        self._ended.set()

    # What socketserver calls, in the server's thread unless said otherwise.

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            full = len(self._open) >= self.limits.connections
            if not full:
                self._open[request] = time.monotonic()
        if full:
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection; called by the thread that answered it."""
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        self._close_older_than(self.limits.whole)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Drop a client that went away or sent too much; anything else is a fault of this program, in one line."""
        error = sys.exception() if sys.version_info >= (3, 12) else sys.exc_info()[1]
        if not isinstance(error, OSError | ValueError):
            with suppress(OSError):
                print(f"genkit: warning: a request failed: {type(error).__name__}", file=sys.stderr)

    def _close_older_than(self, seconds: float) -> None:
        """End the reading and writing of connections; their threads then close them."""
        now = time.monotonic()
        with self._lock:
            overdue = [connection for connection, since in self._open.items() if now - since >= seconds]
            for connection in overdue:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
