"""The entry point: what it imports, what it answers at once, and how a process of it ends."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import textwrap

import pytest

from genkit import __version__, cli
from genkit.config.hydra import catalog
from genkit.config.hydra import completion as complete
from genkit.config.hydra import help as verb_help
from genkit.config.hydra import help_layout as layout
from genkit.config.hydra.words import parse

HYDRA_VERBS = [name for name, verb in cli.VERBS.items() if verb.hydra]


def run(*argv, code=None, **options):
    """A process of genkit, or of Python code."""
    command = [sys.executable, "-c", textwrap.dedent(code)] if code else [sys.executable, "-m", "genkit", *argv]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)


def test_the_entry_point_imports_the_standard_library_alone():
    done = run(code="import sys, genkit.cli; print(*{name.partition('.')[0] for name in sys.modules})")
    outside = set(done.stdout.split()) - set(sys.stdlib_module_names) - {"genkit", "__main__"}
    assert not {name for name in outside if not name.startswith(("_", "sitecustomize", "usercustomize"))}


@pytest.mark.parametrize("argv", [["--help"], ["list", "models"], ["train", "--help"]], ids=" ".join)
def test_answers_without_torch_and_hydra(argv):
    code = f"""
        import sys
        from genkit.cli import main
        main({argv})
        print("torch" in sys.modules, "hydra" in sys.modules)
    """
    assert run(code=code).stdout.splitlines()[-1] == "False False"


def test_composing_imports_no_torch():
    code = """
        import sys
        from genkit.cli import main
        main(["eval", "metric=[fid,kid]", "--cfg", "job"])
        print("torch" in sys.modules)
    """
    assert run(code=code).stdout.splitlines()[-1] == "False"


def test_usage_and_version(capsys):
    assert cli.main(["--help"]) == cli.main([]) == 0
    out = capsys.readouterr().out
    assert all(f"  {name} " in out for name in cli.VERBS)
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"genkit {__version__}\n"


@pytest.mark.parametrize("verb", HYDRA_VERBS)
def test_help_of_a_verb_shows_its_own_groups_and_keys(verb, capsys):
    assert cli.main([*verb.split(), "--help"]) == 0
    out = capsys.readouterr().out
    words = catalog.Catalog.of(parse([]))
    assert all(f"\n  {group}=" in out for group in words.defaults(verb))
    assert all(f"\n  {key}=" in out for key, value in words.own_keys(verb).items() if not isinstance(value, dict))
    assert "defaults:" not in out
    assert ("\n  metric=" in out) == (verb in ("train", "check", "eval"))
    assert cli.main(["help", *verb.split()]) == 0
    assert capsys.readouterr().out == out


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_help_stays_within_the_terminal(columns, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(columns))
    for argv in (["help"], ["list"], ["help", "data"], *(["help", *verb.split()] for verb in HYDRA_VERBS)):
        assert cli.main(argv) == 0
        assert max(map(len, capsys.readouterr().out.splitlines())) <= columns


@pytest.mark.parametrize("verb", HYDRA_VERBS)
def test_every_key_has_a_description(verb):
    text = catalog.Catalog.of(parse([])).primary_file(verb).read_text(encoding="utf-8")
    assert not [key for section in verb_help.sections(text) for key, told in section.keys if not told]


def test_colour_is_for_terminals(monkeypatch, capsys):
    assert cli.main(["help", "train"]) == 0
    assert "\x1b" not in capsys.readouterr().out
    monkeypatch.setattr(layout, "coloured", lambda: True)
    assert cli.main(["help", "train"]) == 0
    assert "\x1b[1mgroups\x1b[0m" in capsys.readouterr().out


@pytest.mark.parametrize("shell", complete.SCRIPTS)
def test_a_shell_reads_its_completion(shell, capsys):
    assert cli.main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "genkit completion query" in script or "completion query" in script
    flags = {"bash": ["bash", "-n"], "zsh": ["zsh", "-n"], "fish": ["fish", "--no-execute"]}.get(shell)
    if flags is None or shutil.which(flags[0]) is None:
        pytest.skip(f"{shell} is not installed")
    assert subprocess.run(flags, input=script, text=True, capture_output=True).returncode == 0


def test_what_an_encoding_lacks_is_replaced(tmp_path):
    """One process: help, lists and errors in ASCII end as in UTF-8."""
    code = """
        import sys
        from genkit import cli
        cli.print_anything()
        codes = [cli.main(argv) for argv in (["--help"], ["list", "metrics"], ["help", "train"], ["train", "model=vä"])]
        print(*codes)
    """
    done = run(code=code, env={**os.environ, "PYTHONIOENCODING": "ascii"}, cwd=tmp_path)
    assert done.stdout.splitlines()[-1] == "0 0 0 2"
    assert done.stderr.count("\n") == 1


def test_a_working_directory_that_is_gone_is_one_line(tmp_path, monkeypatch, capsys):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    for argv in (["train", "model=vae"], ["verify", "x"]):
        assert cli.main(argv) == 6
        assert "the working directory no longer exists" in capsys.readouterr().err


def test_the_openmp_threads_of_a_run_do_not_spin(monkeypatch):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    cli.main(["--version"])
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    cli.main(["--version"])
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_become_exit_codes(number, code):
    waiting = f"""
        import os, signal, sys, time
        from genkit import cli
        def wait(argv):
            os.kill(os.getpid(), {int(number)})
            time.sleep(30)
        cli._run_plain = lambda name, argv: wait(argv)
        sys.argv = ["genkit", "verify"]
        sys.exit(cli.main())
    """
    done = run(code=waiting)
    assert done.returncode == code
    assert not done.stderr


def test_an_interrupt_of_a_called_command_is_that_of_a_signal(monkeypatch):
    def interrupted(argv):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "dispatch", interrupted)
    assert cli.main(["list"]) == 130


def test_a_signal_whose_exception_is_lost_is_told_once_more():
    waiting = """
        import os, signal, sys, time
        import genkit.signals
        from genkit import cli
        genkit.signals.AGAIN = 0.2
        def wait(argv):
            try:
                os.kill(os.getpid(), signal.SIGHUP)
                time.sleep(30)
            except BaseException:
                time.sleep(30)
        cli._run_plain = lambda name, argv: wait(argv)
        sys.argv = ["genkit", "verify"]
        sys.exit(cli.main())
    """
    done = run(code=waiting)
    assert done.returncode == 129
    assert not done.stderr


def test_a_closed_pipe_is_quiet():
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([sys.executable, "-m", "genkit", "list"], stdout=write, stderr=subprocess.PIPE, timeout=60)
    os.close(write)
    assert done.returncode == 141
    assert not done.stderr


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_outputs_are_nobodys_fault(closed):
    command = f"exec {shlex.quote(sys.executable)} -m genkit {{}} {closed}"
    for words, code in (("list models", 0), ("list nothing", 2)):
        assert subprocess.run(["sh", "-c", command.format(words)], capture_output=True).returncode == code


def test_any_working_directory_and_python_m(tmp_path):
    done = run("sample", "ckpt=a=b, c", "--cfg", "job", cwd=tmp_path)
    assert done.returncode == 0
    assert "ckpt: a=b, c" in done.stdout
    assert not list(tmp_path.iterdir())


def test_an_unknown_verb():
    done = run("trian")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "did you mean train?" in done.stderr


SECOND_WORDS = {
    "shwo data=toy": "genkit data show data=toy",
    "data=toy": "genkit data show data=toy",
    "data=toy show": "genkit data show data=toy",
    "prepare x/y": "genkit data prepare data=images data.root=x/y",
    "show dataset=toy": "genkit data show data=toy",
    "show neer=0.1": "genkit data show near=0.1",
}


def test_the_verbs_of_data(capsys):
    """All that begin with the same word are listed; a wrong second word or key is one line with the command meant."""
    for argv in (["data"], ["data", "help"], ["data", "--help"], ["help", "data"]):
        assert cli.main(argv) == 0
        assert "data show" in capsys.readouterr().out
    for typed, meant in SECOND_WORDS.items():
        assert cli.main(["data", *typed.split()]) == 2
        assert capsys.readouterr().err.endswith(f"try: {meant}\n"), typed
    assert cli.main(["data", "xyzzy"]) == 2
    assert "data prepare, data show" in capsys.readouterr().err


COMPLETIONS = {
    "genkit ": [
        "augment ",
        "check ",
        "compare ",
        "complete ",
        "completion ",
        "compress ",
        "data ",
        "decompress ",
        "detect ",
        "diagnose ",
        "doctor ",
        "eval ",
        "explore ",
        "export ",
        "judge ",
        "list ",
        "log ",
        "play ",
        "report ",
        "restore ",
        "sample ",
        "train ",
        "translate ",
        "verify ",
        "watch ",
    ],
    "genkit ev": ["eval "],
    "genkit check optimizer=ad": ["optimizer=adam", "optimizer=adamw"],
    "genkit list mo": ["models"],
    "genkit train opt": ["optimizer.", "optimizer=", "optimizer_overrides="],
    "genkit train optimizer=ad": ["optimizer=adam", "optimizer=adamw"],
    "genkit train -m optimizer=sgd,ad": ["optimizer=sgd,adam", "optimizer=sgd,adamw"],
    "genkit train optimizer=sgd optimizer.m": ["optimizer.maximize=", "optimizer.momentum="],
    "genkit eval metric=[fid,ki": ["metric=[fid,kid", "metric=[fid,kid_subsets"],
    "genkit eval metric=suite/im": ["metric=suite/image"],
    "genkit sample ck": ["ckpt="],
    "genkit sample ckpt=/": [],
    "genkit train --multi": ["--multirun"],
    "genkit train sweep.": ["sweep.jobs="],
    "genkit train hydra/": [],
    "genkit train -m hydra/": ["hydra/launcher=", "hydra/sweeper="],
    "genkit train -m hydra/sweeper=genkit_": ["hydra/sweeper=genkit_optuna"],
    "genkit sample -m hydra/": ["hydra/launcher="],
    "genkit train -m hydra/launcher=p": ["hydra/launcher=processes"],
    "genkit verify x": [],
    "genkit log t": ["to="],
    "genkit log runs/vae to=": ["to=mlflow", "to=tensorboard", "to=wandb"],
    "genkit log to=wandb logger.pro": ["logger.project="],
    "genkit completion z": ["zsh"],
    "genkit help sa": ["sample"],
    "genkit data p": ["prepare "],
    "genkit help data s": ["shard", "show"],
    "genkit data show near": ["near="],
    "genkit data shard meg": ["megabytes="],
    "genkit data show data=ci": ["data=cifar10", "data=cifar100"],
    "genkit data l": ["list "],
    "genkit data clear ol": ["older="],
}


@pytest.mark.parametrize("line", COMPLETIONS)
def test_completion(line):
    assert complete.candidates(line, {name: verb.hydra for name, verb in cli.VERBS.items()}) == COMPLETIONS[line]


def test_completion_in_bash(tmp_path):
    """The installed function, in a bash that splits words at '='."""
    script = f"""
        genkit() {{ {sys.executable} -m genkit "$@"; }}
        eval "$(genkit completion bash)"
        COMP_LINE="genkit train optimizer=ad" COMP_POINT=${{#COMP_LINE}} COMP_WORDS=(genkit train optimizer = ad)
        COMP_POINT=${{#COMP_LINE}}
        _genkit
        echo "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["adam", "adamw"]
