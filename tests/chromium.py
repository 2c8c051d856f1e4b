"""A headless Chromium for tests of pages, spoken to through a pipe by the DevTools protocol: no library is needed."""

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
         "--disable-extensions", "--disable-background-networking", "--hide-scrollbars", "--remote-debugging-pipe",
         "--disable-component-update", "--disable-sync", "--no-default-browser-check", "--mute-audio")  # fmt: skip
PATIENCE = 60.0  # seconds until something is taken for lost, on a busy machine


def executable() -> str | None:
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Browser:
    """One browser; `page()` opens a tab."""

    def __init__(self, profile: Path) -> None:
        name = executable()
        if name is None:
            pytest.skip("no Chromium here: install chromium to have pages tested")
        to_browser, from_browser = os.pipe(), os.pipe()
        command = " ".join(["exec", '"$0"', '"$@"', f"3<&{to_browser[0]}", f"4>&{from_browser[1]}"])
        arguments = [*FLAGS, f"--user-data-dir={profile}", "about:blank"]
        self.process = subprocess.Popen(
            ["bash", "-c", command, name, *arguments],
            pass_fds=(to_browser[0], from_browser[1]),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser[0])
        os.close(from_browser[1])
        self._out, self._in = to_browser[1], from_browser[0]
        self._number, self._rest = 0, b""
        self.events: list[dict] = []

    def call(self, method: str, session: str | None = None, **params):
        """The result of a command; events that come before it are kept."""
        self._number += 1
        number = self._number
        message = {"id": number, "method": method, "params": params, **({"sessionId": session} if session else {})}
        os.write(self._out, json.dumps(message).encode() + b"\0")
        ends = time.monotonic() + PATIENCE
        while time.monotonic() < ends:
            found = self._next(ends)
            if found.get("id") == number:
                assert "error" not in found, found
                return found["result"]
            self.events.append(found)
        raise TimeoutError(method)

    def _next(self, ends: float) -> dict:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._in], [], [], max(0.0, ends - time.monotonic()))
            if not ready:
                raise TimeoutError("the browser says nothing")
            part = os.read(self._in, 1 << 20)
            if not part:
                pytest.skip("Chromium does not start here")
            self._rest += part
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    def page(self, address: str, width: int = 1400, height: int = 900, scheme: str = "light") -> "Page":
        return Page(self, address, width, height, scheme)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self._out)
        self.process.terminate()
        self.process.wait(PATIENCE)
        os.close(self._in)


class Page:
    """A tab, loaded."""

    def __init__(self, browser: Browser, address: str, width: int, height: int, scheme: str) -> None:
        self.browser = browser
        target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.look(width, height, scheme)
        self.call("Page.navigate", url=address)
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    def call(self, method: str, **params):
        return self.browser.call(method, self.session, **params)

    def look(self, width: int, height: int = 900, scheme: str = "light", medium: str = "screen") -> None:
        """Take another size, light or dark, screen or print."""
        narrow = width < 500
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=narrow)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", media=medium, features=features)

    def run(self, script: str):
        """The value of an expression; of a promise what it resolves to."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def until(self, script: str) -> None:
        """Wait until an expression is true."""
        ends = time.monotonic() + PATIENCE
        while not self.run(script):
            assert time.monotonic() < ends, f"never true: {script}"
            time.sleep(0.02)

    def press(self, key: str) -> None:
        """Press and release a key, as a person does."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, **({"text": key} if len(key) == 1 else {}))

    def tap(self, selector: str) -> None:
        """Click in the middle of an element."""
        place = self.run(
            f"(b => ({{x: b.x + b.width / 2, y: b.y + b.height / 2}}))"
            f"(document.querySelector({json.dumps(selector)}).getBoundingClientRect())"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **place)

    @property
    def problems(self) -> list[str]:
        """Errors of scripts and of the console, and what was asked of other places, so far."""
        self.run("1")  # what came before has been received
        mine = [event for event in self.browser.events if event.get("sessionId") == self.session]
        said = [str(event["params"]) for event in mine if event["method"] == "Runtime.exceptionThrown"]
        logged = [event["params"]["entry"] for event in mine if event["method"] == "Log.entryAdded"]
        said += [entry["text"] for entry in logged if entry["level"] == "error"]
        said += [
            str(event["params"])
            for event in mine
            if event["method"] == "Runtime.consoleAPICalled" and event["params"]["type"] in ("error", "assert")
        ]
        asked = [event["params"]["request"]["url"] for event in mine if event["method"] == "Network.requestWillBeSent"]
        here = ("http://127.0.0.1", "data:", "file:", "blob:", "about:")
        return said + [f"asked {url[:100]}" for url in asked if not url.startswith(here)]

    @property
    def overflows(self) -> bool:
        """True where the page is wider than the window."""
        return self.run("document.documentElement.scrollWidth > innerWidth")

    def screenshot(self, path: Path) -> None:
        found = self.call("Page.captureScreenshot", captureBeyondViewport=False)
        path.write_bytes(base64.b64decode(found["data"]))
