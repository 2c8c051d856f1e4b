"""Facts about a dataset, in lines for a terminal: a word in front, then the facts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor

from genkit.data.content_split import NAMES
from genkit.data.inspection.inspection import Inspection
from genkit.data.inspection.table_columns import ColumnFacts
from genkit.data.inspection.text_facts import TextFacts
from genkit.printing import shown
from genkit.report.table import number
from genkit.report.text import wrapped

LABEL = 12  # columns of the word in front
BAR = 30  # columns of the longest bar
CLASSES = 20  # that are listed
COLUMNS = 8  # values of vectors whose moments are listed
TABLE_COLUMNS = 40  # columns of a table that are listed
NAMED = 3  # examples, files and levels
EXCERPT = 3  # lines of a document
LONGEST_NAME = 24  # letters of a class


def lines(found: Inspection) -> Iterator[str]:
    """The lines, without what does not apply to the data."""
    dataset = found.dataset
    splits = {name: dataset.split(name) for name in NAMES}
    yield _row("data", f"{dataset.spec.modality}s, {dataset.spec.words}")
    yield _row("splits", ", ".join(f"{len(split):,} {name}" for name, split in splits.items()))
    yield from _classes(found)
    yield from _table(found.columns)
    yield from _text(found.text)
    yield from _moments(found)
    yield from _duplicates(found)
    yield from _near(found)
    yield from _bad(found)
    if found.origin.folder is not None:
        yield _row("prepared", shown(found.origin.folder))


def _row(label: str, text: str) -> str:
    return f"{label:<{LABEL}}{text}"


def _classes(found: Inspection) -> Iterator[str]:
    if not found.classes:
        return
    yield _row("classes", f"{len(found.classes):,}; examples in {', '.join(NAMES)}")
    listed = list(found.classes.items())
    if len(listed) > CLASSES:
        listed = sorted(listed, key=lambda item: -item[1][0])[:CLASSES]
    largest = max(max(counts[0] for counts in found.classes.values()), 1)
    names = [shown(name, LONGEST_NAME) for name, _ in listed]
    widths = [max(len(f"{counts[k]:,}") for _, counts in listed) for k in range(len(NAMES))]
    wide = max(map(len, names))
    for name, (_, counts) in zip(names, listed, strict=True):
        figures = "  ".join(f"{count:>{width},}" for count, width in zip(counts, widths, strict=True))
        yield f"  {name:<{wide}}  {figures}  {bar(counts[0] / largest)}".rstrip()
    if left := len(found.classes) - len(listed):
        smallest = min(counts[0] for counts in found.classes.values())
        yield f"  … {left:,} smaller ones, of {smallest:,} training examples or more"


def bar(share: float) -> str:
    """A bar of a share in [0, 1] of the longest one, to an eighth of a column."""
    eighths = round(8 * BAR * share)
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()


def _table(columns: Sequence[ColumnFacts]) -> Iterator[str]:
    """Name, kind, missing cells and values of each column."""
    if not columns:
        return
    target = next(column.name for column in columns if column.target)
    yield _row("columns", f"{len(columns):,}; {shown(target, LONGEST_NAME)} is to be predicted from the others")
    listed = columns[:TABLE_COLUMNS]
    names = [shown(column.name, LONGEST_NAME) for column in listed]
    wide, kinds = max(map(len, names)), max(len(column.kind) for column in listed)
    for name, column in zip(names, listed, strict=True):
        gone = f"{column.missing:,} missing; " if column.missing else ""
        yield f"  {name:<{wide}}  {column.kind:<{kinds}}  {gone}{_values(column)}"
    if left := len(columns) - len(listed):
        yield f"  … {left:,} more"


def _values(column: ColumnFacts) -> str:
    """ "3 levels: red 50 %, blue 30 %, …" or "0 … 57.6, 77 different"."""
    if not column.distinct:
        return "no value at all"
    if column.least is not None:
        return f"{shown(column.least)} … {shown(column.most)}, {column.distinct:,} different"
    total = max(sum(column.levels.values()), 1)
    first = list(column.levels.items())[:NAMED]
    said = ", ".join(f"{shown(name, LONGEST_NAME)} {100 * count / total:.0f} %" for name, count in first)
    more = ", …" if column.distinct > NAMED else ""
    return f"{column.distinct:,} level{'s' if column.distinct > 1 else ''}: {said}{more}"


def _text(text: TextFacts | None) -> Iterator[str]:
    """Documents, sizes and the beginnings of some documents."""
    if text is None:
        return
    size, tokens, documents = (sum(counts.values()) for counts in (text.bytes, text.tokens, text.documents))
    what = "1 text, cut 90/5/5" if text.whole else f"{documents:,}, up to {text.longest:,} tokens long with their ends"
    yield _row("documents", what)
    each = size / max(tokens, 1)
    yield _row("tokens", f"{tokens:,} of {text.vocabulary:,} ({text.tokenizer}), {each:,.2f} bytes each")
    yield _row("bytes", ", ".join(f"{text.bytes[name]:,} {name}" for name in NAMES))
    for excerpt in text.excerpts:
        for i, line in enumerate(wrapped(excerpt, most=EXCERPT)):
            yield f"{'  | ' if i else '  > '}{line}"


def _moments(found: Inspection) -> Iterator[str]:
    if found.moments is None:
        return
    mean, std, spec = found.moments.mean, found.moments.std, found.dataset.spec
    if spec.modality == "image":
        scale = f" (of 0 … {spec.levels - 1})" if spec.levels else ""
        yield _row("channels", f"mean {_figures(mean)}, standard deviation {_figures(std)}{scale}")
        return
    names = spec.names or tuple(f"x{i + 1}" for i in range(spec.dim))
    yield _row("columns", "mean ± standard deviation of the training data")
    wide = max(len(shown(name, LONGEST_NAME)) for name in names[:COLUMNS])
    for name, m, s in zip(names[:COLUMNS], mean.tolist(), std.tolist(), strict=False):
        yield f"  {shown(name, LONGEST_NAME):<{wide}}  {number(m)} ± {number(s, like=m if m else s)}"
    if spec.dim > COLUMNS:
        yield f"  … {spec.dim - COLUMNS:,} more"


def _figures(values: Tensor) -> str:
    return " ".join(number(value) for value in values.tolist())


def _duplicates(found: Inspection) -> Iterator[str]:
    within, between = found.duplicates.within, found.duplicates.between
    inside = [f"{count:,} within {name}" for name, count in within.items() if count]
    across = [
        f"{count:,} of {pair.split(', ')[1]} in {pair.split(', ')[0]}" for pair, count in between.items() if count
    ]
    yield _row("duplicates", ", ".join(inside + across) or "none")
    yield from _pairs(found, found.duplicates.first[:NAMED])


def _near(found: Inspection) -> Iterator[str]:
    if found.near is None:
        return
    n, total = len(found.near), len(found.dataset.split("test"))
    text = (
        f"{n:,} of {total:,} test images resemble one of training" if n else "no test image resembles one of training"
    )
    yield _row("similar", text)
    yield from _pairs(found, [(pair.train, pair.test) for pair in found.near[:NAMED]])


def _pairs(found: Inspection, pairs: Sequence[tuple[int, int]]) -> Iterator[str]:
    for train, test in pairs:
        yield f"  {shown(found.named('test', test), 60)} ~ {shown(found.named('train', train), 60)}"


def _bad(found: Inspection) -> Iterator[str]:
    bad = found.origin.bad
    if not bad:
        return
    yield _row("left out", f"{len(bad):,} files that cannot be used")
    for name, reason in bad[:NAMED]:
        yield f"  {shown(name, 60)}: {reason}"
    if len(bad) > NAMED:
        yield f"  … {len(bad) - NAMED:,} more"
