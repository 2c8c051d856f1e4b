"""Datasets of images that are prepared once: what folders, archives, arrays and the usual benchmarks share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from pathlib import Path

from genkit.data.framed_images import FramedImages
from genkit.data.images.class_labels import FOLDER, NONE, labels_file_hash
from genkit.data.images.collection import ImageCollection
from genkit.data.images.framing import Frame
from genkit.data.images.preparation import ImageOptions, ImagePreparation
from genkit.data.on_disk import aloud
from genkit.data.prepared import Prepared, Writer, prepare
from genkit.data.provenance import Provenance
from genkit.data.source_files import SourceFiles
from genkit.data.source_state import content_hash_of
from genkit.printing import shown

RULES = 1  # of how pixels are made; raised when these change, and all data is prepared again


_ONLY_LISTED = ContextVar("only listed", default=False)


@contextmanager
def only_listed() -> Iterator[None]:
    """Prepared images that are built inside know their `source` and nothing else: none of it is prepared."""
    token = _ONLY_LISTED.set(True)
    try:
        yield
    finally:
        _ONLY_LISTED.reset(token)


@dataclass(frozen=True)
class ImageSource:
    """Images before they are prepared.

    Attributes:
        path: The file or folder that they come from.
        collection: Lists them.
        options: What is done to each.
    """

    path: Path
    collection: Callable[[], ImageCollection]
    options: ImageOptions

    @cached_property
    def images(self) -> ImageCollection:
        return self.collection()


class PreparedImages(FramedImages):
    """Images of 256 levels in [−1, 1), prepared once from a collection.

    Attributes:
        prepared: The arrays on disk and what was written about them.
        source: What they were made from; None of vectors.

    Args:
        source: The file or folder that they come from.
        collection: Lists the images there.
        options: What is done to each.
        files: All that it is read from, where it is known before the images are listed: then they are listed only to be
            prepared. None: the collection says what its contents are.
        batch_size: Images in one training micro-batch; None: by their size.
        flip: Whether training images are flipped left to right.
        shift: Training images move by up to so many pixels each way, black coming in.
    """

    prepared: Prepared
    source: ImageSource | None = None

    def __init__(
        self,
        source: Path,
        collection: Callable[[], ImageCollection],
        options: ImageOptions,
        *,
        files: SourceFiles | None = None,
        batch_size: int | None,
        flip: bool,
        shift: int,
    ) -> None:
        self.source = ImageSource(source, collection, options)
        if _ONLY_LISTED.get():
            return
        self.prepared = prepared_images(source, collection, options, files)
        about = self.prepared.about
        _, height, width = about["shape"]
        super().__init__(
            self.prepared.splits,
            Frame(height, width, options.crop, options.interpolation),
            tuple(about["classes"]),
            batch_size=batch_size,
            flip=flip,
            shift=shift,
        )
        aloud(f"{shown(source)}: {about['line']}")

    @property
    def provenance(self) -> Provenance:
        bad = [(name, reason) for name, reason in self.prepared.about["bad"]]
        return Provenance(self.prepared.folder, self.class_names, bad, self.prepared.source_names)


def prepared_images(
    source: Path, collection: Callable[[], ImageCollection], options: ImageOptions, files: SourceFiles | None = None
) -> Prepared:
    """The arrays of a collection, made now or before; see `PreparedImages`."""
    listed = cache(collection)
    contents = files or listed()
    content = content_hash_of(source, contents.state(), contents.content)
    facts = {"rules": RULES, "content": content, **asdict(options)}
    if options.labels not in (None, FOLDER, NONE):
        facts["labels"] = labels_file_hash(options.labels)

    def make(writer: Writer) -> None:
        images = listed()
        if len(images):
            aloud(f"{shown(source)}: preparing {len(images):,} images")
        ImagePreparation(source, images, options).write(writer, facts)

    return prepare(facts, make, source=str(source.absolute()))
