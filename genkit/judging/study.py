"""A study on disk: what may be shown, and apart from it the key that says which image is whose.

study.json     the task, the question, the images' size, how many trials; the hash of the key, nothing of its content
images/        0.png, 1.png, …: numbered at random, so neither name nor order tells where an image is from
key.json       the source of each number, what plans follow from, the rule of exclusion; not for raters
answers.csv    what was answered on the local server
judge.html     page=true: the page of `genkit.judging.page`, which holds the images and the orders of some raters

Numbers are drawn with bits of the system, not with the seed: from genkit's code and the seed of a study nobody can work
out which image is real.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

from genkit.errors import DataError
from genkit.judging.plan import Design, Task
from genkit.printing import shown
from genkit.storage.atomic import write_file
from genkit.storage.regular import read_regular

STUDY, KEY, ANSWERS, PAGE, IMAGES = "study.json", "key.json", "answers.csv", "judge.html", "images"
SCHEMA, KEY_SCHEMA = "genkit.judge/1", "genkit.judge-key/1"
LARGEST = 64 * 2**20  # bytes of a study or key that is read
PASS = 0.8  # share of the attention checks that a rater has to get right


@dataclass(frozen=True)
class Key:
    """All that answers are scored by; not for raters.

    Attributes:
        design: Of the study.
        reference: Name, split, number and hash of the real data.
        sources: Facts of each source for the record.
        least: Share of the attention checks below which a rater is left out, fixed before anything is answered.
        salt: Random text, so that the hash of a key says nothing of it.
    """

    design: Design
    reference: dict[str, Any]
    sources: dict[str, dict[str, Any]]
    salt: str
    least: float = PASS

    def text(self) -> bytes:
        """The file."""
        node = {"schema": KEY_SCHEMA, **asdict(self)}
        return f"{json.dumps(node, indent=1, allow_nan=False)}\n".encode()

    @classmethod
    def read(cls, path: Path) -> tuple[Key, str]:
        """The key of a file, or of the folder of a study, and its mark.

        Raises DataError where it is none.
        """
        file = path / KEY if path.is_dir() else path
        text = read_regular(file, largest=LARGEST)
        node = _object(text, file, KEY_SCHEMA, "the key.json that genkit judge wrote")
        try:
            design = Design(**node["design"])
            _check(design)
            key = cls(design, dict(node["reference"]), dict(node["sources"]), str(node["salt"]), float(node["least"]))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"{shown(file)}: not the key.json that genkit judge wrote: {error}") from error
        return key, mark_of(text)


@dataclass(frozen=True)
class Study:
    """All that a page needs, and may know.

    Attributes:
        title: "vae on digits, step 1,500"; of a study of models it would tell nothing, so "handwritten digits" or so.
        question: What raters are asked.
        task: See `genkit.judging.plan`.
        ties: Whether "no difference" is an answer.
        width, height: Pixels of an image.
        images: How many there are.
        mark: Of the key that it belongs to.
    """

    title: str
    question: str
    task: Task
    ties: bool
    width: int
    height: int
    images: int
    mark: str

    @property
    def answers(self) -> list[str]:
        """The words that an answer may be."""
        if self.task == "real_or_fake":
            return ["real", "fake"]
        return ["left", "right", *(["tie"] if self.ties else [])]

    @classmethod
    def read(cls, folder: Path) -> Study:
        """Raises DataError where the folder holds no study."""
        node = _object(read_regular(folder / STUDY, largest=LARGEST), folder / STUDY, SCHEMA, "what genkit judge wrote")
        try:
            study = cls(**{key: value for key, value in node.items() if key != "schema"})
            sizes = (study.width, study.height, study.images)
            if study.task not in get_args(Task) or not all(isinstance(size, int) and size > 0 for size in sizes):
                raise ValueError("an unknown task or size")
        except (TypeError, ValueError) as error:
            raise DataError(f"{shown(folder / STUDY)}: not what genkit judge wrote: {error}") from error
        return study

    def text(self) -> bytes:
        """The file."""
        return f"{json.dumps({'schema': SCHEMA, **asdict(self)}, indent=1)}\n".encode()


def write_study(folder: Path, study: Study, key: Key, pictures: Mapping[int, bytes]) -> None:
    """The files of a study into a folder that is not published yet."""
    (folder / IMAGES).mkdir()
    for number, png in pictures.items():
        write_file(folder / IMAGES / f"{number}.png", [png])
    write_file(folder / KEY, [key.text()])
    write_file(folder / STUDY, [study.text()])


def mark_of(key: bytes) -> str:
    """The mark of a key in its study and answers: the beginning of its sha256."""
    return hashlib.sha256(key).hexdigest()[:16]


def _object(text: bytes, path: Path, schema: str, what: str) -> dict[str, Any]:
    try:
        node = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{shown(path)}: not {what}: not JSON") from error
    if not isinstance(node, dict) or node.get("schema") != schema:
        raise DataError(f"{shown(path)}: not {what}")
    return node


def _check(design: Design) -> None:
    """Raises ValueError where a design that was read is none."""
    numbers = [number for listed in (*design.sources.values(), design.noise) for number in listed]
    sizes = {len(listed) for listed in design.sources.values()}
    if design.task not in get_args(Task) or len(design.sources) < 2 or len(sizes) != 1 or 0 in sizes:
        raise ValueError("an unknown task, or sources of unequal sizes")
    if len(set(numbers)) != len(numbers) or not all(type(number) is int for number in numbers):
        raise ValueError("an image with two sources")
    if not 1 <= design.trials <= 10**5 or not (0 <= design.checks <= 1 and 0 <= design.repeats <= 1):
        raise ValueError("trials, checks or repeats out of range")
    if design.task == "real_or_fake" and design.real not in design.sources:
        raise ValueError("no real images")
