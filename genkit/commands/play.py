"""`genkit play`: watch a distribution in the plane being learned.

A short training with `callbacks=playground` (`genkit/training/callbacks/playground.py`): frames of the true density,
the model's, samples from the same noise, and the KL between them, as a page with a slider and an animation. Every key
of `genkit train` is a key of it; live=true shows the frames in a browser while it trains.

`genkit play RUN` trains nothing: it draws a frame of each checkpoint that a run has kept.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from genkit.assembly.run_folders import runs_of
from genkit.config.hydra.launch import launch
from genkit.config.hydra.words import parse
from genkit.config.path_words import listed, paths_and_options
from genkit.errors import ConfigError
from genkit.printing import shown
from genkit.report.console import make_console
from genkit.report.playground_page import FOLDER, FRAMES, playground_page
from genkit.storage.regular import read_regular
from genkit.web.browser import open_page
from genkit.web.messages import JSON, Reply, Request, Route
from genkit.web.port import port_of
from genkit.web.server import LocalServer

USAGE = "genkit play [model=MODEL] [data.name=TOY] [live=true] [port=PORT] [open_browser=true] [KEY=VALUE]…"
OF_RUN = "genkit play RUN [out=FOLDER] [plugins=NAMES]"
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


@dataclass(frozen=True)
class DrawSettings:
    """Of `genkit play RUN`.

    Attributes:
        run: The folder of a run.
        folder: Of the frames.
        plugins: Packages besides genkit that the run's classes may come from.
    """

    run: Path
    folder: Path
    plugins: tuple[str, ...]

    @classmethod
    def of(cls, argv: Sequence[str]) -> Self:
        """Raises ConfigError for another key and several runs, CheckpointError for what is no run."""
        paths, options = paths_and_options(argv, ("out", "plugins", "debug"), OF_RUN)
        runs = [run for path in paths for run in runs_of(path)]
        if len(runs) > 1:
            raise ConfigError(f"genkit play: {len(runs):,} runs, and it draws one: name it")
        out = options.get("out")
        folder = runs[0] / FOLDER if out is None else Path(out).expanduser()
        return cls(runs[0], folder, tuple(listed(options.get("plugins", ""))))


def names_a_run(argv: Sequence[str]) -> bool:
    """Tell whether some word is a path: neither a flag nor its value, nor a key with a value unless it is there."""
    words = [word for word in parse(argv, lenient=True).overrides if not word.startswith("-")]
    return any("=" not in word or Path(word).exists() for word in words)


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
            f"usage: {USAGE}\n       {OF_RUN}\n\nwatch a distribution in the plane being learned; every key of "
            "genkit train is one of it; of RUN, which was trained before, draw the checkpoints that it kept"
        )
        return 0
    if names_a_run(argv):
        return _draw_run(DrawSettings.of(argv))
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


def _draw_run(settings: DrawSettings) -> int:
    from genkit.assembly.played_run import draw_run  # torch takes a second, and a training has its own

    console = make_console()

    def tell(line: str) -> None:
        console.print(line, soft_wrap=True, highlight=False)

    draw_run(settings.run, settings.folder, settings.plugins, tell)
    return 0


def routes(folder: Path) -> dict[str, Route]:
    """The page, and the list of frames that it asks for; the frames themselves are files of the folder."""

    def page(request: Request) -> Reply:
        return Reply.page(playground_page("A distribution being learned", [], "", live=True))

    def listed(request: Request) -> Reply:
        if not (folder / FRAMES).exists():
            return Reply.of_json({"frames": [], "verdict": ""})
        return Reply(read_regular(folder / FRAMES, largest=LARGEST), JSON)

    return {"": page, "list": listed}
