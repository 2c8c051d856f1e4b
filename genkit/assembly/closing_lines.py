"""The last lines of a command: what it made, and the commands that come next, ready to be pasted.

done: 1,000 steps
  run folder  /home/ada/runs/vae
  samples     /home/ada/runs/vae/samples/step-00001000.png
  losses      /home/ada/runs/vae/loss.png
  report      /home/ada/runs/vae/report.html
next:
  genkit sample ckpt=/home/ada/runs/vae
  genkit eval ckpt=/home/ada/runs/vae
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from rich.console import Console

from genkit.checkpoint.retention import newest_step, pointed, step_of
from genkit.checkpoint.run_folder import METRICS
from genkit.config.hydra.launch import current_job
from genkit.config.hydra.sweep import current_sweep
from genkit.printing import pasteable, shell_word, shown

ANIMATION, LEAST_PICTURES = "samples.gif", 3
LOSSES, REPORT = "loss.png", "report.html"


def close(console: Console, headline: str, made: Mapping[str, object], commands: Sequence[str]) -> None:
    """Print the lines, each path in one line however long it is; of a job of a sweep the headline alone."""
    if current_job().multirun or current_sweep().verb:
        made, commands = {}, ()
    width = max(map(len, made), default=0)
    lines = [headline, *(f"  {name:<{width}}  {shown(path)}" for name, path in made.items())]
    lines += ["next:", *(f"  {command}" for command in commands)] if commands else []
    console.print("\n".join(lines), soft_wrap=True, highlight=False, markup=False)


def next_command(plugins: Sequence[str], verb: str, *words: str) -> str:
    """Spell a command on the same run or checkpoint, whose classes come from the same packages."""
    return pasteable(*verb.split(), *words, *([f"plugins=[{','.join(plugins)}]"] if plugins else []))


def close_training(console: Console, run: Path, plugins: Sequence[str]) -> None:
    """Print the lines at the end of `genkit train`."""
    made: dict[str, object] = {"run folder": run}
    pictures = sorted(path for path in run.glob("samples/step-*.png") if not path.stem.endswith("-reconstruction"))
    if pictures:
        made["samples"] = pictures[-1]
    if (run / LOSSES).is_file():
        made["losses"] = run / LOSSES
    if (run / REPORT).is_file():
        made["report"] = run / REPORT
    best, used = pointed(run, "best"), run
    if best is not None and best != pointed(run, "latest"):
        made["best"] = f"{best}: {shell_word('ckpt=' + str(run / 'best'))}"
        if step_of(best) <= newest_step(run) / 2:
            used = run / "best"
            console.print(
                f"note: no validation since step {step_of(best):,} was better: the commands below take that checkpoint"
            )
    commands = [next_command(plugins, verb, f"ckpt={used}") for verb in ("sample", "eval")]
    close(console, f"done: {newest_step(run):,} steps", made, commands)


def draw_animation(run: Path) -> None:
    """Join the pictures of samples of an ended run as a GIF; where that fails, or there are few, it has none."""
    with suppress(Exception):
        pictures = [path for path in sorted(run.glob("samples/step-*.png")) if "reconstruction" not in path.stem]
        if len(pictures) >= LEAST_PICTURES:
            from genkit.report.animation import save_pictures

            save_pictures(run / ANIMATION, pictures)


def draw_losses(run: Path, name: str) -> None:
    """Draw the loss curves of a run that has ended, however it has; where that fails, it has none."""
    with suppress(Exception):
        from genkit.report.curve import save_loss_curves  # matplotlib costs half a second, which no start need pay

        save_loss_curves(run / LOSSES, run / METRICS, f"{name}, step {newest_step(run):,}")
