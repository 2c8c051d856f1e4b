"""`genkit judge`: people judge images on a page, served on this machine or written as one file.

ckpt=RUN                     real or fake, one image at a time
ckpt=[A,B]                   2afc, which of two looks more real
page=true                    judge.html for others, who send their answers back; the key stays here
study=FOLDER                 go on with a study: more raters, or the rest of the trials

`genkit eval human=FOLDER/answers.csv` scores the answers.
"""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from genkit.assembly.closing_lines import close
from genkit.assembly.judge_study import NewStudy, check_trials, new_study
from genkit.assembly.judged_images import judged_images
from genkit.assembly.output_folder import check_out, make_out
from genkit.config.memory import memory_errors, smaller_batch
from genkit.config.settings import JudgeSettings
from genkit.errors import DataError
from genkit.judging.answers import AnswerFile
from genkit.judging.page import offline_page
from genkit.judging.plan import plan
from genkit.judging.routes import JudgeRoutes
from genkit.judging.study import ANSWERS, KEY, PAGE, Key, Study, write_study
from genkit.printing import pasteable, shown
from genkit.report.console import make_console
from genkit.storage.atomic import write_file
from genkit.web.server import LocalServer


def run(settings: JudgeSettings) -> None:
    """Make a study, or open one, and serve it until it is stopped; with page=true write its page."""
    console = make_console()
    if settings.page:
        _close_page(judge(settings, console), console)
        return
    server = LocalServer({}, port=settings.port)  # before a study is made, since the port may be taken
    try:
        serve(judge(settings, console), server, settings, console)
    finally:
        server.stop()


def judge(settings: JudgeSettings, console: Console) -> Path:
    """The folder of the study."""
    check_trials(settings)
    if settings.study is not None:
        folder = Path(settings.study)
        if settings.page:
            raise DataError(f"page=true: {shown(folder)} is a study already: its page is made with a new one")
        return folder
    check_out(settings.out)
    with memory_errors(smaller_batch("batch_size", settings.batch_size)):
        found = judged_images(settings, console)
    if found.unmatched:
        console.print(
            f"note: {', '.join(found.unmatched)}: classes as they come, not in the shares of the real images",
            soft_wrap=True,
        )
    made = new_study(settings, found)
    return make_out(settings.out, "judge", found.label, lambda folder: _fill(folder, made, settings))


def serve(folder: Path, server: LocalServer, settings: JudgeSettings, console: Console) -> None:
    """Serve a study until a signal ends it."""
    study, (key, mark) = Study.read(folder), Key.read(folder)
    if mark != study.mark:
        raise DataError(f"{shown(folder / KEY)}: the key of another study")
    answers = AnswerFile(folder / ANSWERS, mark)

    def finished(rater: str) -> None:
        console.print(f"{rater} has answered all", soft_wrap=True, highlight=False)

    server.routes = JudgeRoutes(folder, study, key.design, answers, finished).routes()
    console.print(f"study: {shown(folder)}\nscores: {pasteable('eval', f'human={folder / ANSWERS}')}", soft_wrap=True)
    try:
        server.serve(
            lambda address: console.print(f"judge at {address} (Ctrl-C ends)", soft_wrap=True, highlight=False),
            settings.open_browser,
        )
    finally:
        said = ", ".join(f"{rater} {n:,}" for rater, n in answers.counts.items())
        console.print(f"answers: {said or 'none'}", soft_wrap=True, highlight=False)


def _fill(folder: Path, made: NewStudy, settings: JudgeSettings) -> None:
    write_study(folder, made.study, made.key, dict(enumerate(made.pictures)))
    if settings.page:
        plans = {str(i): plan(made.key.design, str(i)) for i in range(1, settings.raters + 1)}
        write_file(folder / PAGE, [offline_page(made.study, plans, made.pictures).encode()])


def _close_page(folder: Path, console: Console) -> None:
    made = {"page": folder / PAGE, "key": folder / KEY}
    console.print("give the page to raters, one number each; keep the key")
    again = pasteable("eval", "human=ANSWERS.csv", f"key={folder / KEY}")
    close(console, f"study: {shown(folder)}", made, [again])
