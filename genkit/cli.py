"""`genkit VERB …`: the entry point. Standard library only at this level, so that it answers at once.

`train`, `sample`, `eval` and some of `data` are Hydra applications with the primary configuration `conf/<verb>.yaml`,
`check` is one with that of `train`; the other verbs are plain functions of their arguments. torch and lightning are
imported inside the verb. A verb has one word or two (`data show`).
"""

from __future__ import annotations

import gc
import importlib
import io
import os
import signal
import sys
from collections.abc import Callable
from typing import NamedTuple


class Verb(NamedTuple):
    """A verb: its function ("module:function"), its help line, whether Hydra composes its configuration.

    `jobs` is the class that knows the jobs of its sweeps ("module:class"), where they have folders that are matched.
    """

    target: str
    help: str
    hydra: bool = False
    jobs: str = ""


TRAININGS = "genkit.assembly.training_jobs:Trainings"
OUTPUTS, SCORINGS = "genkit.assembly.output_jobs:OutputJobs", "genkit.assembly.output_jobs:Scorings"
VERBS = {
    "train": Verb("genkit.commands.train:run", "train a model", hydra=True, jobs=TRAININGS),
    "sample": Verb("genkit.commands.sample:run", "draw samples from a checkpoint", hydra=True, jobs=OUTPUTS),
    "eval": Verb(
        "genkit.commands.evaluate:run", "score a checkpoint, or samples from files", hydra=True, jobs=SCORINGS
    ),
    "complete": Verb("genkit.commands.complete:run", "fill in what is hidden of examples", hydra=True, jobs=OUTPUTS),
    "restore": Verb("genkit.commands.restore:run", "undo noise, a blur or a low resolution", hydra=True, jobs=OUTPUTS),
    "translate": Verb(
        "genkit.commands.translate:run", "turn examples into those of another domain", hydra=True, jobs=OUTPUTS
    ),
    "compress": Verb(
        "genkit.commands.compress:run", "write examples into one small file, without loss", hydra=True, jobs=OUTPUTS
    ),
    "decompress": Verb("genkit.commands.decompress:run", "read the examples in such a file", hydra=True, jobs=OUTPUTS),
    "detect": Verb(
        "genkit.commands.detect:run", "score how anomalous examples are, against outliers", hydra=True, jobs=OUTPUTS
    ),
    "augment": Verb(
        "genkit.commands.augment:run", "draw labelled examples, and tell what they are worth", hydra=True, jobs=OUTPUTS
    ),
    "explore": Verb(
        "genkit.commands.explore:run", "show a latent space: paths, traversals, neighbours", hydra=True, jobs=OUTPUTS
    ),
    "judge": Verb(
        "genkit.commands.judge:run",
        "let people judge samples: real or fake, or which is better",
        hydra=True,
        jobs=OUTPUTS,
    ),
    "play": Verb("genkit.commands.play:run", "watch a distribution in the plane being learned"),
    "check": Verb("genkit.commands.check:run", "try a training out: every part once, nothing kept", hydra=True),
    "compare": Verb("genkit.commands.compare:run", "rank results of eval where their intervals separate"),
    "report": Verb("genkit.commands.report:run", "write a page that explains a run, or compares several"),
    "watch": Verb("genkit.commands.watch:run", "follow a running training in the browser"),
    "diagnose": Verb("genkit.commands.diagnose:run", "say what is wrong with a training, and what to change"),
    "list": Verb("genkit.commands.list:run", "list models, data, metrics, samplers, experiments, …"),
    "log": Verb(
        "genkit.commands.log:run", "hand a run over: genkit log RUN to=tensorboard, wandb or mlflow", hydra=True
    ),
    "export": Verb("genkit.commands.export:run", "write the shareable form of a checkpoint"),
    "verify": Verb("genkit.commands.verify:run", "check every file of a checkpoint; replay=20: train steps again"),
    "data prepare": Verb("genkit.commands.data.prepare:run", "decode data once into arrays that are kept", hydra=True),
    "data show": Verb(
        "genkit.commands.data.show:run", "describe data: splits, classes, duplicates, a contact sheet", hydra=True
    ),
    "data shard": Verb("genkit.commands.data.shard:run", "write images into large files, read by offset", hydra=True),
    "data list": Verb("genkit.commands.data.list:run", "list the data that lies prepared in the cache"),
    "data clear": Verb("genkit.commands.data.clear:run", "delete prepared data from the cache"),
    "completion": Verb(
        "genkit.config.hydra.completion:answer", "print tab completion for bash, zsh, fish or powershell"
    ),
    "doctor": Verb("genkit.commands.doctor:run", "look for what is broken in this installation"),
}


def main(argv: list[str] | None = None) -> int:
    """Run one command line and return its exit code.

    Without `argv` it is the process's own, and signals become exit codes too.
    """
    if argv is not None:
        return answer(list(argv))
    from genkit.signals import Unwind, exit_code, take_over
    from genkit.stopwatch import begin_with_process
    from genkit.terminal import outlive_terminal

    begin_with_process()
    unwind = Unwind()  # training installs finer handlers
    take_over(unwind)
    open_closed_outputs()
    outlive_terminal()
    print_anything()
    code = answer(sys.argv[1:])
    unwind.settle()
    gc.freeze()  # else the interpreter, as it ends, walks through all objects of torch: a second of CPU
    return exit_code(unwind.received) if unwind.received else code


def answer(argv: list[str]) -> int:
    """Run one command line; an interrupt and a closed pipe are exit codes."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # idle threads that spin slow everything on shared cores
    try:
        code = dispatch(argv)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else the interpreter's last flush complains
        return 128 + signal.SIGPIPE


def open_closed_outputs() -> None:
    """Send output to the null device where the shell closed it (`>&-`), so that no file takes its number."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            setattr(sys, name, os.fdopen(number, "w"))


def print_anything() -> None:
    """Print `?` for characters that the terminal's encoding lacks, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def dispatch(argv: list[str]) -> int:
    """The command line without the program's name -> exit code."""
    match argv:
        case [] | ["-h" | "--help"] | ["help"] | ["-h" | "--help" | "help", "-h" | "--help" | "help", *_]:
            print(usage(), end="")
            return 0
        case ["-h" | "--help" | "help", *rest]:
            return help_of(rest)
        case ["-V" | "--version", *_]:
            from genkit import __version__

            print(f"genkit {__version__}")
            return 0
        case ["-sc" | "--shell-completion", *query]:
            return run_verb("completion", query)
    match verb_and_rest(argv):
        case (_, ["help"]):
            return help_of(argv[:-1])
        case (name, rest) if name in VERBS:
            return run_verb(name, rest)
        case (_, [] | ["-h" | "--help", *_]):
            return help_of(argv[:1])
    return refuse_verb(argv)


def verb_and_rest(argv: list[str]) -> tuple[str, list[str]]:
    """The verb that a command line begins with, of two words or one, and what follows; else its first word."""
    two = " ".join(argv[:2])
    return (two, argv[2:]) if two in VERBS else (argv[0], argv[1:])


def help_of(argv: list[str]) -> int:
    """Print the help of a verb, or that of all verbs that begin with a word."""
    name, _ = verb_and_rest(argv)
    if name in VERBS:
        return run_verb(name, ["--help"])
    beginning = {verb: VERBS[verb].help for verb in VERBS if verb.split()[0] == name}
    if not beginning:
        return refuse_verb(argv)
    from genkit.config.hydra.help import usage_of

    print(usage_of(name, beginning), end="")
    return 0


def usage() -> str:
    from genkit.config.hydra.help import usage

    return usage({name: verb.help for name, verb in VERBS.items()})


def refuse_verb(argv: list[str]) -> int:
    from genkit.config.hydra.verbs import refusal

    print(f"genkit: error: {refusal(argv, VERBS)}", file=sys.stderr)
    return 2


def run_verb(name: str, argv: list[str]) -> int:
    """Run a verb; any error becomes one line and an exit code."""
    try:
        return _run_hydra(name, argv) if VERBS[name].hydra else _run_plain(name, argv)
    except SystemExit as stop:  # Hydra ends --help and --version so
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except Exception as error:
        from genkit.config.hydra.failure import tell

        return tell(error, "debug=true" in argv).code


def _run_hydra(name: str, argv: list[str]) -> int:
    from genkit.config.hydra.words import parse

    words = parse(argv, lenient=True)
    if words.flags.keys() & {"-h", "--help"}:
        from genkit.config.hydra.help import verb_help

        print(verb_help(name, VERBS[name].help, words))
        return 0
    from genkit.config.hydra.launch import launch

    return launch(name, VERBS[name].target, words, VERBS[name].jobs)


def _run_plain(name: str, argv: list[str]) -> int:
    if name == "completion":  # the one verb that knows of the others
        from genkit.config.hydra.completion import answer

        return answer(argv, {other: verb.hydra for other, verb in VERBS.items()})
    module, _, function = VERBS[name].target.partition(":")
    run: Callable[[list[str]], int] = getattr(importlib.import_module(module), function)
    return run(argv)
