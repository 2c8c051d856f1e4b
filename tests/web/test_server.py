"""The local server: who gets an answer, what can be read, and what a faulty client cannot do."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from http.client import HTTPConnection

import pytest

from genkit.errors import ConfigError
from genkit.web.browser import open_page
from genkit.web.messages import Reply, Request
from genkit.web.server import Limits, LocalServer

SECRET = b"outside of the folder"


def said(request: Request) -> Reply:
    return Reply.of_json({"method": request.method, "query": dict(request.query), "body": request.body.decode()})


def refused(request: Request) -> Reply:
    raise ConfigError(f"vote: {request.json()!r} is no vote")


def broken(request: Request) -> Reply:
    raise RuntimeError("a fault\nof the page")


ROUTES = {"": lambda request: Reply.page("<p>first"), "said": said, "refused": refused, "broken": broken}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "secret.txt").write_bytes(SECRET)
    inside = tmp_path / "inside"
    (inside / "below").mkdir(parents=True)
    (inside / "a b.json").write_text("[1]")
    (inside / "below" / "picture.png").write_bytes(b"png")
    (inside / ".hidden").write_bytes(SECRET)
    (inside / "leads out").symlink_to(tmp_path / "secret.txt")
    (inside / "up").symlink_to(tmp_path)
    (inside / "leads in").symlink_to(inside / "a b.json")
    os.mkfifo(inside / "pipe")
    return inside


@pytest.fixture
def server(folder):
    with LocalServer(ROUTES, folder, limits=Limits(body=100, seconds=2.0)) as server:
        yield server


def ask(server, path, method="GET", body=None, headers=None):
    connection = HTTPConnection("127.0.0.1", server.port, timeout=5)
    connection.request(method, path, body, headers or {})
    reply = connection.getresponse()
    return reply, reply.read()


def raw(server, request: bytes) -> bytes:
    """All that the server answers to these bytes, the sender then being silent."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        answer = b""
        try:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(65536):
                answer += part
        except OSError:  # closed before it had read all
            pass
        return answer


def test_it_listens_to_this_machine_alone(server):
    assert server.server_address[0] == "127.0.0.1"
    assert server.address == f"http://127.0.0.1:{server.port}/{server.token}/"
    assert len(server.token) >= 20


def test_tokens_differ():
    with LocalServer({}) as one, LocalServer({}) as other:
        assert one.token != other.token


@pytest.mark.parametrize("path", ["/", "", "/said", "//said", "/wrong/", "/wrong/said", "/%00/", "*"])
def test_without_the_token_there_is_nothing(server, path):
    assert ask(server, path)[0].status == 404


def test_the_token_alone_is_no_page(server):
    assert ask(server, f"/{server.token}")[0].status == 404


def test_a_name_elsewhere_is_refused(server):
    for host, status in (
        ("evil.example", 403),
        ("127.0.0.1.evil.example:80", 403),
        ("localhost:9", 200),
        ("[::1]", 200),
    ):
        assert ask(server, f"/{server.token}/", headers={"Host": host})[0].status == status


def test_routes_are_told_what_was_asked(server):
    reply, body = ask(server, f"/{server.token}/said?rater=a%20b&x=", "POST", b"vote")
    assert reply.status == 200
    assert json.loads(body) == {"method": "POST", "query": {"rater": "a b", "x": ""}, "body": "vote"}


def test_the_page_cannot_reach_the_network(server):
    for path in (f"/{server.token}/", "/wrong"):
        reply, _ = ask(server, path)
        policy = dict(part.split(" ", 1) for part in reply.headers["Content-Security-Policy"].split("; "))
        assert policy["default-src"] == "'none'"
        assert not any("http" in sources or "*" in sources for sources in policy.values())
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert reply.headers["Referrer-Policy"] == "no-referrer"


def test_the_head_is_the_head_of_the_answer(server):
    reply, body = ask(server, f"/{server.token}/", "HEAD")
    assert (reply.status, body, reply.headers["Content-Length"]) == (200, b"", "8")


def test_errors_of_a_route_are_one_line(server):
    reply, body = ask(server, f"/{server.token}/refused", "POST", b"{}")
    assert (reply.status, body) == (400, b"vote: {} is no vote\n")
    reply, body = ask(server, f"/{server.token}/refused", "POST", b"[")
    assert reply.status == 400
    assert body.startswith(b"refused: not JSON")
    reply, body = ask(server, f"/{server.token}/broken")
    assert (reply.status, body) == (500, b"internal error: RuntimeError: a fault of the page\n")


@pytest.mark.parametrize("name", ["a%20b.json", "leads%20in"])
def test_files_of_the_folder(server, name):
    reply, body = ask(server, f"/{server.token}/{name}")
    assert (reply.status, body, reply.headers["Content-Type"]) == (200, b"[1]", "application/json")
    assert ask(server, f"/{server.token}/below/picture.png")[1] == b"png"


OUT = ["../secret.txt", "%2e%2e/secret.txt", "below/../../secret.txt", "leads%20out", "up/secret.txt", ".hidden",
       "..%2fsecret.txt", "..%5csecret.txt", "//etc/passwd", "/etc/passwd", "below", "below/", "pipe", "a%20b.json%00",
       "%ff", "x" * 5000, "a%20b.json/", "./a%20b.json"]  # fmt: skip


@pytest.mark.parametrize("name", OUT, ids=range(len(OUT)))
def test_nothing_else_is_served(server, name):
    reply, body = ask(server, f"/{server.token}/{name}")
    assert reply.status == 404
    assert SECRET not in body


def test_a_file_above_the_limit_is_not_served(folder):
    with LocalServer({}, folder, limits=Limits(file=2)) as server:
        assert ask(server, f"/{server.token}/a%20b.json")[0].status == 404


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Content-Length": "101"}, b"x" * 101, 413),
        ({"Content-Length": "9" * 30}, b"", 413),
        ({"Content-Length": "-1"}, b"", 411),
        ({"Content-Length": "+5"}, b"12345", 411),
        ({"Content-Length": "٣"}, b"123", 411),
        ({}, b"", 411),
        ({"Transfer-Encoding": "chunked", "Content-Length": "5"}, b"0\r\n\r\n", 411),
        ({"Content-Length": "10"}, b"12345", 400),
        ({"Content-Length": "5", "X": "x" * 40_000}, b"12345", 431),
        ({"Content-Length": "5", **{f"X{i}": "x" for i in range(200)}}, b"12345", 431),
    ],
)
def test_lengths(server, headers, body, status):
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    answer = raw(server, f"POST /{server.token}/said HTTP/1.1\r\n{head}\r\n".encode() + body)
    assert answer.startswith(f"HTTP/1.0 {status} ".encode())


def test_too_many_fields_of_a_query(server):
    assert ask(server, f"/{server.token}/said?{'&'.join(f'a{i}=' for i in range(60))}")[0].status == 404


def malformed(rng: random.Random, token: str) -> bytes:
    """A request with something wrong in it, now and then one that is right."""
    inside = ["", "said", "%s", "../secret.txt", "%2e%2e%2fsecret.txt", "a%20b.json?x=%", "\x00", "a/" * 500]
    targets = ["/", "*", "http://[", "//", *(f"/{token}/{name}" for name in inside)]
    headers = ["Host: x", "Host:", "Content-Length: -5", "Content-Length: 1e3", "Content-Length: 50", ": x", "none",
               "Transfer-Encoding: chunked", f"X: {'y' * rng.choice([10, 70_000])}", "\x00: \x7f", " folded",
               "Connection: keep-alive", "Upgrade: websocket", "Expect: 100-continue"]  # fmt: skip
    methods = ["GET", "POST", "HEAD", "PUT", "get", "", "\x16\x03\x01", "GET GET", "A" * 70_000]
    versions = ["HTTP/1.1", "HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/9", "HTTP/1.1.1", "", "HTTP/-1.1", "x"]
    match rng.randrange(4):
        case 0:
            return rng.randbytes(rng.randrange(300)) + rng.choice([b"", b"\r\n\r\n", b"\n\n"])
        case 1:  # a good one, damaged
            whole = bytearray(
                f"POST /{token}/said HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nvote".encode()
            )
            for _ in range(rng.randrange(1, 6)):
                whole[rng.randrange(len(whole))] = rng.randrange(256)
            return bytes(whole[: rng.randrange(len(whole) + 1)])
        case _:
            chosen = "".join(f"{rng.choice(headers)}\r\n" for _ in range(rng.randrange(4)))
            line = f"{rng.choice(methods[: rng.choice([3, 9])])} {rng.choice(targets)} {rng.choice(versions)}"
            return f"{line}\r\n{chosen}\r\n".encode() + rng.randbytes(rng.randrange(60))


def test_a_thousand_malformed_requests(server, capfd):
    rng, before = random.Random(0), threading.active_count()
    for _ in range(1000):
        assert SECRET not in raw(server, malformed(rng, server.token))
    assert ask(server, f"/{server.token}/")[1] == b"<p>first"
    for _ in range(50):  # the last thread may still be closing its connection
        if threading.active_count() <= before and not server._open:
            break
        time.sleep(0.05)
    assert threading.active_count() <= before
    assert not server._open
    assert capfd.readouterr() == ("", "")


def test_silent_and_endless_connections_are_closed(folder):
    limits = Limits(seconds=0.3, whole=0.6, connections=3)
    with LocalServer(ROUTES, folder, limits=limits) as server:
        silent = [socket.create_connection(("127.0.0.1", server.port), timeout=5) for _ in range(3)]
        while len(server._open) < 3:
            time.sleep(0.01)
        assert raw(server, f"GET /{server.token}/ HTTP/1.0\r\n\r\n".encode()) == b""  # one too many
        for connection in silent:
            assert connection.recv(10) == b""
            connection.close()
        drip = socket.create_connection(("127.0.0.1", server.port), timeout=5)
        try:
            for _ in range(200):
                drip.sendall(b"X")
                time.sleep(0.05)
        except OSError:
            pass
        else:
            pytest.fail("a connection that sends a byte now and then is never closed")
        assert ask(server, f"/{server.token}/")[0].status == 200


def test_many_at_once(server):
    answers: list[int] = []

    def some() -> None:
        answers.extend(ask(server, f"/{server.token}/said")[0].status for _ in range(20))

    threads = [threading.Thread(target=some) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 160


def test_a_port_that_is_taken(server):
    with pytest.raises(ConfigError, match=f"port={server.port}: .*in use.*leave it out"):
        LocalServer({}, port=server.port)
    with pytest.raises(ConfigError, match="port=70000: there is no such port"):
        LocalServer({}, port=70000)


def test_a_route_can_end_it():
    routes = {}
    with LocalServer(routes) as server:
        server.routes["end"] = lambda request: (server.end_soon(), Reply.text("done"))[1]
        assert not server.wait(0)
        assert ask(server, f"/{server.token}/end")[1] == b"done\n"
        assert server.wait(5)
    with pytest.raises(OSError, match="refused"):
        ask(server, "/")


PROGRAM = """
import sys
import genkit.cli as cli
from genkit.web.server import LocalServer
def serve(argv):
    LocalServer({}).serve(lambda address: print(address, flush=True))
    return 0
import types; sys.modules["served"] = types.SimpleNamespace(run=serve)
cli.VERBS["serve"] = cli.Verb("served:run", "")
sys.argv = ["genkit", "serve"]
sys.exit(cli.main())
"""


def test_an_interrupt_ends_it():
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"http://127.0.0.1:")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (130, b"")


def test_no_screen_no_browser(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("webbrowser.open", lambda address: pytest.fail("no browser of the terminal"))
    assert not open_page("http://127.0.0.1/")
    monkeypatch.setenv("DISPLAY", ":0")
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda address: bool(opened.append(address)) or True)
    assert open_page("http://127.0.0.1/x/")
    assert opened == ["http://127.0.0.1/x/"]
