"""One connection of the local server: a request of bounded size, the check of its address, an answer, the end.

Requests are read by the standard library's `BaseHTTPRequestHandler` as HTTP/1.0, one for each connection, so there is
no second request that a wrong length could hide. Every refusal is one line of plain text that repeats nothing of what
was sent.
"""

from __future__ import annotations

import hmac
from http import HTTPStatus
from http.client import LineTooLong
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import parse_qs, unquote, urlsplit

from genkit.errors import GenkitError
from genkit.printing import one_line
from genkit.web.files import file_of
from genkit.web.messages import HEADERS, TEXT, Reply, Request

if TYPE_CHECKING:
    from genkit.web.server import LocalServer

OWN_NAMES = {"127.0.0.1", "localhost", "[::1]"}  # a page elsewhere whose name leads here has another one
METHODS = {"GET", "HEAD", "POST"}


class Refusal(Exception):
    """A request that is answered by a status alone."""

    def __init__(self, status: HTTPStatus) -> None:
        self.status = status


class BoundedHead:
    """A file whose lines may have so many bytes together, as `http.client` reads headers; the body is not counted.

    Args:
        file: What is read.
        most: Bytes of the lines; one more raises LineTooLong, which the standard library answers.
    """

    def __init__(self, file: BinaryIO, most: int) -> None:
        self._file, self._left = file, most
        self.read, self.close = file.read, file.close
        self._first = True

    @property
    def closed(self) -> bool:
        return self._file.closed

    def readline(self, size: int = -1) -> bytes:
        line = self._file.readline(size)
        self._left -= len(line)
        if self._left < 0 and not self._first:  # the first line has a limit of the standard library's own
            raise LineTooLong("header")
        self._first = False
        return line


class Connection(BaseHTTPRequestHandler):
    """A request and its answer; `server` is the `LocalServer` that was asked."""

    server_version, sys_version = "genkit", ""
    protocol_version = "HTTP/1.0"
    server: LocalServer

    def setup(self) -> None:
        super().setup()
        self.connection.settimeout(self.server.limits.seconds)
        self.rfile = BoundedHead(self.rfile, self.server.limits.head)  # type: ignore[assignment, arg-type]

    def do_GET(self) -> None:
        self._answer()

    do_HEAD = do_POST = do_GET

    def _answer(self) -> None:
        try:
            reply = self._reply()
        except Refusal as refusal:
            self.send_error(refusal.status)
            return
        except GenkitError as error:  # of who asked
            reply = Reply.text(str(error), HTTPStatus.BAD_REQUEST)
        except Exception as error:  # a route's own: told to who asked, and the server goes on
            said = one_line(f"{type(error).__name__}: {error}")
            reply = Reply.text(f"internal error: {said}", HTTPStatus.INTERNAL_SERVER_ERROR)
        self._send(reply)

    def _reply(self) -> Reply:
        path, query = self._place()
        route = self.server.routes.get(path)
        body = self._body() if self.command == "POST" else b""
        if route is not None:
            method = "GET" if self.command == "HEAD" else self.command
            return route(Request(method, path, query, body))
        found = None
        if self.server.folder is not None and self.command != "POST":
            found = file_of(self.server.folder, path, self.server.limits.file)
        if found is None:
            raise Refusal(HTTPStatus.NOT_FOUND)
        return found

    def _place(self) -> tuple[str, dict[str, str]]:
        """The path behind the token, and the query; raises Refusal for a wrong token or a foreign name."""
        host = self.headers.get("Host", "127.0.0.1")
        if (host if host.endswith("]") else host.rpartition(":")[0] or host) not in OWN_NAMES:
            raise Refusal(HTTPStatus.FORBIDDEN)
        try:
            parts = urlsplit(self.path)
            token, slash, path = parts.path.removeprefix("/").partition("/")
            path = unquote(path, errors="strict")
            query = parse_qs(parts.query, keep_blank_values=True, max_num_fields=self.server.limits.fields)
        except ValueError as error:
            raise Refusal(HTTPStatus.NOT_FOUND) from error
        if not hmac.compare_digest(token.encode(errors="replace"), self.server.token.encode()) or not slash:
            raise Refusal(HTTPStatus.NOT_FOUND)
        return path, {name: values[-1] for name, values in query.items()}

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        if "Transfer-Encoding" in self.headers or not (length.isascii() and length.isdigit()):
            raise Refusal(HTTPStatus.LENGTH_REQUIRED)
        if len(length) > 12 or int(length) > self.server.limits.body:
            raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise Refusal(HTTPStatus.BAD_REQUEST)
        return body

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", reply.kind)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse in one line; of the standard library's own refusals too."""
        self.close_connection = True
        status = HTTPStatus(code)
        body = f"{code} {status.phrase}\n".encode()
        self.send_response(status)
        for name, value in {**HEADERS, "Content-Type": TEXT, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if getattr(self, "command", None) != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the terminal is the command's."""
