"""`genkit play`: watch a distribution in the plane being learned.

A short training with `callbacks=playground` (`genkit/training/callbacks/playground.py`): frames of the true density,
the model's, samples from the same noise, and the KL between them, as a page with a slider and an animation. Every key
of `genkit train` is a key of it; live=true shows the frames in a browser while it trains.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from genkit.config.hydra.launch import launch
from genkit.config.hydra.words import parse
from genkit.errors import ConfigError
from genkit.printing import shown
from genkit.report.console import make_console
from genkit.report.playground_page import FRAMES, playground_page
from genkit.storage.regular import read_regular
from genkit.training.callbacks.playground import FOLDER
from genkit.web.browser import open_page
from genkit.web.messages import JSON, Reply, Request, Route
from genkit.web.port import port_of
from genkit.web.server import LocalServer

USAGE = "genkit play [model=MODEL] [data.name=TOY] [live=true] [port=PORT] [open_browser=true] [KEY=VALUE]…"
CALLBACK = "callbacks=playground"
USUAL = {"model": "flow", "data": "toy", "trainer.max_steps": "1000"}  # unless typed
BY_EXPERIMENT = ("model", "data", "trainer.max_steps")  # which one decides, where one is named
LARGEST = 2**24  # bytes of the list of frames
SWITCH = {"true": True, "false": False}


@dataclass(frozen=True)
class PlaySettings:
    """Of `genkit play`.

    Attributes:
        words: Of the training.
        run_dir: Its folder.
        live: Whether the frames are served while it trains, and after it until a signal.
        port: Of the server; 0: one that is free.
        open_browser: Whether to open the page.
    """

    words: tuple[str, ...]
    run_dir: Path
    live: bool
    port: int
    open_browser: bool

    @classmethod
    def of(cls, argv: Sequence[str]) -> Self:
        """Raises ConfigError for a value that a key cannot take, and for a sweep."""
        typed = dict(word.partition("=")[::2] for word in argv if "=" in word)
        own = {key: typed.get(key, "false") for key in ("live", "open_browser")}
        for key, value in own.items():
            if value not in SWITCH:
                raise ConfigError(f"{key}={value}: true or false")
        port = port_of(typed.get("port", "0"))
        if {"-m", "--multirun"} & {*argv}:
            raise ConfigError(f"genkit play: one training at a time; a sweep is genkit train -m {CALLBACK} …")
        if "resume" in typed:
            raise ConfigError(f"resume=: genkit train resume={typed['resume']} goes on, and draws on")
        words = [word for word in argv if word.partition("=")[0] not in ("live", "open_browser", "port")]
        words += [f"{key}={value}" for key, value in usual(typed).items()]
        if "callbacks" not in typed:
            words.append(CALLBACK)
        elif "playground" not in typed["callbacks"]:
            raise ConfigError(f"callbacks={typed['callbacks']}: name playground among them, or leave callbacks= out")
        stamp = f"outputs/play/{time.strftime('%Y%m%d-%H%M%S')}"
        if "run_dir" not in typed:
            words.append(f"run_dir={stamp}")
        live = SWITCH[own["live"]] or SWITCH[own["open_browser"]]
        return cls(tuple(words), Path(typed.get("run_dir", stamp)), live, port, SWITCH[own["open_browser"]])


def usual(typed: Mapping[str, str]) -> dict[str, str]:
    """The words that are added, where nothing that was typed decides the same."""
    found = {key: value for key, value in USUAL.items() if key not in typed}
    if "experiment" in typed:
        found = {key: value for key, value in found.items() if key not in BY_EXPERIMENT}
    if "budget" in typed:
        found.pop("trainer.max_steps", None)
    return found


def run(argv: list[str]) -> int:
    """Train, draw, and serve where that is wanted; returns the exit code."""
    if {"-h", "--help"} & set(argv):
        print(
            f"usage: {USAGE}\n\nwatch a distribution in the plane being learned; every key of genkit train is one of it"
        )
        return 0
    settings = PlaySettings.of(argv)
    console = make_console()
    server = None
    if settings.live:
        folder = settings.run_dir / FOLDER
        server = LocalServer(routes(folder), folder, settings.port)
    with server or nullcontext():
        if server is not None:
            console.print(f"watch at {server.address} (Ctrl-C ends)", soft_wrap=True, highlight=False)
            if settings.open_browser:
                open_page(server.address)
        code = launch("train", "genkit.commands.train:run", parse(list(settings.words), lenient=True))
        if server is not None and code == 0:
            console.print(f"{shown(settings.run_dir)}: the page stays until Ctrl-C", soft_wrap=True, highlight=False)
            server.wait()
    return code


def routes(folder: Path) -> dict[str, Route]:
    """The page, and the list of frames that it asks for; the frames themselves are files of the folder."""

    def page(request: Request) -> Reply:
        return Reply.page(playground_page("A distribution being learned", [], "", live=True))

    def listed(request: Request) -> Reply:
        if not (folder / FRAMES).exists():
            return Reply.of_json({"frames": [], "verdict": ""})
        return Reply(read_regular(folder / FRAMES, largest=LARGEST), JSON)

    return {"": page, "list": listed}
