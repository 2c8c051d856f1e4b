"""The scores of people's answers to `genkit judge`, as `genkit eval human=…` writes them."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from genkit import __version__
from genkit.assembly.closing_lines import close
from genkit.assembly.command_line import command_line
from genkit.assembly.output_folder import check_out, make_out
from genkit.assembly.reference_data import paths_in
from genkit.config.settings import EvalSettings
from genkit.errors import ConfigError
from genkit.evaluation.record import Record
from genkit.judging.answers import read_answers
from genkit.judging.scores import RATERS, HumanScores, human_scores
from genkit.judging.study import KEY, Key
from genkit.printing import pasteable, shown
from genkit.report.comparison import compare
from genkit.report.results import write_csv, write_details, write_json
from genkit.report.table import print_table

RESAMPLES = 1000  # of raters, which cost next to nothing
PICTURE, PEOPLE = "human.png", "raters.csv"


def score_answers(settings: EvalSettings, console: Console) -> tuple[list[Record], Path]:
    """Score the answers; prints a table and writes results, a picture and a row for each rater.

    Raises:
        ConfigError: keys that say something else is to be scored.
        DataError: files that hold no answers, or answers of another study.
    """
    _check(settings)
    check_out(settings.out)
    files = [Path(path) for path in paths_in(settings.human)]
    answers = [answer for file in files for answer in read_answers(file)]
    key, mark = Key.read(Path(settings.key) if settings.key is not None else files[0].absolute().parent / KEY)
    found = human_scores(key, mark, answers, RESAMPLES if settings.bootstrap else 0, settings.seed)
    print_table(found.records, console)
    kept = len(found.raters) - len(found.left_out)
    console.print(f"raters: {kept} of {len(found.raters)}; left out, with fewer than {100 * key.least:.0f} % of the "
                  f"attention checks right: {', '.join(found.left_out) or 'none'}", soft_wrap=True)  # fmt: skip
    folder = make_out(settings.out, "eval", "human", lambda folder: _fill(folder, found, key))
    made = {"scores": folder / "results.csv", "raters": folder / PEOPLE, "picture": folder / PICTURE}
    close(console, f"results: {shown(folder)}", made, [pasteable("compare", str(folder))])
    return found.records, folder


def _check(settings: EvalSettings) -> None:
    for name in ("ckpt", "samples", "reference", "metric", "features"):
        if getattr(settings, name) is not None:
            raise ConfigError(f"{name}=: human= scores people's answers and nothing else: leave one of them out")


def _fill(folder: Path, found: HumanScores, key: Key) -> None:
    from genkit.report.forest import save_forest  # matplotlib costs half a second

    write_json(folder / "results.json", found.records, {"genkit": __version__, "command": command_line()})
    write_csv(folder / "results.csv", found.records)
    write_details(folder / PEOPLE, found.raters)
    about = sorted({record.name for record in found.records if record.source != RATERS and record.scored})
    table = compare([folder / "results.json"], about)
    n = len(found.raters) - len(found.left_out)
    asked = "real or fake" if key.design.task == "real_or_fake" else "which looks more real"
    save_forest(folder / PICTURE, table, f"{n} people on {key.reference['name']}: {asked}")
