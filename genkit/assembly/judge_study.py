"""A new study of `genkit judge` from the images that it is about."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from genkit.assembly.judged_images import REAL, JudgedImages
from genkit.config.settings import JudgeSettings
from genkit.errors import ConfigError
from genkit.judging.pictures import noise, png_of
from genkit.judging.plan import Design, Task
from genkit.judging.study import Key, Study, mark_of
from genkit.noise import generator_of

QUESTIONS: dict[Task, str] = {
    "real_or_fake": "Is this image real or fake?",
    "2afc": "Which of the two looks more real?",
}


@dataclass(frozen=True)
class NewStudy:
    """A study, its key, and the PNG of each number."""

    study: Study
    key: Key
    pictures: list[bytes]


def new_study(settings: JudgeSettings, found: JudgedImages) -> NewStudy:
    """Number the images at random and lay down what is asked.

    Raises:
        ConfigError: a task that these sources do not serve.
    """
    models = len(found.images) - 1
    task: Task = settings.task or ("real_or_fake" if models == 1 else "2afc")
    if settings.ties and task != "2afc":
        raise ConfigError("ties=true: it goes with task=2afc, where two images are compared")
    with_real = task == "real_or_fake" or (models == 1 if settings.real is None else settings.real)
    if task == "real_or_fake" and settings.real is False:
        raise ConfigError("real=false: real or fake needs real images: leave it out")
    if models + with_real < 2:
        raise ConfigError("real=false: there is nothing to compare one model with: name several, or leave it out")
    names = [name for name in found.images if with_real or name != REAL]
    trials = settings.trials or 2 * settings.n
    few = noise(found.spec, max(1, round(settings.checks * trials)), generator_of(settings.seed, "judge", "noise"))
    shown = [*(found.images[name] for name in names), *([few] if settings.checks else [])]
    pictures = [png for values in shown for png in png_of(values, found.spec)]
    numbers = list(range(len(pictures)))
    secrets.SystemRandom().shuffle(numbers)  # of the system's bits: the seed would tell which image is whose
    n = settings.n
    sources = {name: numbers[i * n : (i + 1) * n] for i, name in enumerate(names)}
    design = Design(
        task=task,
        seed=settings.seed,
        trials=trials,
        repeats=settings.repeats,
        checks=settings.checks,
        real=REAL if with_real else None,
        sources=sources,
        noise=numbers[len(names) * n :],
    )
    key = Key(design, found.reference, {name: found.facts[name] for name in names}, secrets.token_hex(16))
    height, width = found.spec.shape[-2:]
    title = f"{found.data}: {'real or fake?' if task == 'real_or_fake' else 'which looks more real?'}"
    question = settings.question or QUESTIONS[task]
    study = Study(title, question, task, settings.ties, width, height, len(pictures), mark_of(key.text()))
    placed = dict(zip(numbers, pictures, strict=True))
    return NewStudy(study, key, [placed[i] for i in range(len(pictures))])


def check_trials(settings: JudgeSettings) -> None:
    """Raises ConfigError, before anything is drawn, where keys of a new study go with the folder of an old one."""
    if settings.study is None:
        return
    for name in ("samples", "reference", "task", "question", "trials", "out"):
        if getattr(settings, name) is not None:
            raise ConfigError(f"{name}=: study={settings.study} is fixed already: leave it out, or begin a new one")
