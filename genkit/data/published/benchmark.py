"""Benchmarks of images: found in their original files, or as a folder or an archive of pictures, and prepared once.

Where `data.root=` is a folder, the original files are looked for in it and in folders of their usual names, then
pictures are. The test split is the published one; validation is a tenth of the training images, by content. Labels are
numbered as published, whatever the form.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from genkit.data.images.archive import archive_reader
from genkit.data.images.class_labels import FOLDER
from genkit.data.images.collection import ImageCollection
from genkit.data.images.folder import FolderImages
from genkit.data.images.pixel_arrays import PixelArrays
from genkit.data.images.preparation import ImageOptions
from genkit.data.prepared_images import PreparedImages
from genkit.data.published.download import Download, fetch_missing, root_of_downloads
from genkit.data.published.files import ArchivedFiles, FolderFiles
from genkit.data.published.forms import FoundFiles, NpzForm, PublishedForm, form_in, named
from genkit.data.root import find_root
from genkit.data.source_files import SourceFiles
from genkit.errors import DataError
from genkit.printing import shown


@dataclass(frozen=True)
class Benchmark:
    """A published set of labelled images: its shape, classes, and where its files may be.

    Attributes:
        name: On the command line.
        shape: (height, width, channels).
        classes: By number.
        forms: Of its files, the preferred one first.
        wanted: What to put where, in one sentence.
        folders: Below the root, in which the files may lie, "" for the root itself.
        archives: Names of archives of the files.
        pictures: Names of folders and archives of pictures.
        own_names: Whether the names of the files are those of no other benchmark. If not, they are looked for in
            folders below $GENKIT_DATA, as those in itself may be of another.
        variant: Of the labels, where they are not the usual ones.
        downloads: The files of one of the forms, or an archive of them.
        home: Folder below the root into which they are put.
    """

    name: str
    shape: tuple[int, int, int]
    classes: Sequence[str]
    forms: Sequence[PublishedForm]
    wanted: str
    folders: Sequence[str] = ("",)
    archives: Sequence[str] = ()
    pictures: Sequence[str] = ()
    own_names: bool = True
    variant: str = ""
    downloads: Sequence[Download] = ()
    home: str = ""


@dataclass(frozen=True)
class FoundImages:
    """A benchmark that was found.

    Attributes:
        root: The folder or file, for messages.
        images: Lists the images.
        files: All that they are read from, where that is known before they are listed.
    """

    root: Path
    images: Callable[[], ImageCollection]
    files: SourceFiles | None = None


class BenchmarkImages(PreparedImages):
    """Images of a benchmark, in 256 levels.

    Args:
        benchmark: The one.
        root: Folder or file that the user gave; None: $GENKIT_DATA.
        download: Whether the original files are fetched where they are not there.
        batch_size: Images in one training micro-batch; None: by their size.
        flip: Whether training images are flipped left to right.
        shift: Training images move by up to so many pixels each way, black coming in.

    Raises:
        DataError: it is not there, cannot be fetched, or a file is damaged.
    """

    def __init__(
        self,
        benchmark: Benchmark,
        root: str | None,
        *,
        download: bool,
        batch_size: int | None,
        flip: bool,
        shift: int,
    ) -> None:
        height, width, channels = benchmark.shape
        options = ImageOptions((height, width), channels=1 if channels == 1 else 3, labels=FOLDER)
        place = find(benchmark, fetched(benchmark, root) if download else root)
        super().__init__(
            place.root, place.images, options, files=place.files, batch_size=batch_size, flip=flip, shift=shift
        )


def fetched(benchmark: Benchmark, root: str | None) -> str:
    """The place of the original files, fetched where they are not there: the root, $GENKIT_DATA or the cache.

    Raises:
        DataError: they cannot be fetched.
        StorageError: the disk has no room or refuses.
    """
    path = root_of_downloads(root)
    if not path.is_file():
        with suppress(DataError):  # some of the files are missing
            if _original_files(benchmark, path, itself=root is not None) is not None:
                return str(path)
        fetch_missing(benchmark.downloads, path / benchmark.home)
    return str(path)


def find(benchmark: Benchmark, root: str | None) -> FoundImages:
    """The files of a benchmark. Raises DataError where there are none, or some are missing."""
    path = find_root(root, benchmark.name, f"{benchmark.wanted}, or data.download=true")
    if not path.is_dir():
        return _in_file(benchmark, path)
    if (originals := _original_files(benchmark, path, itself=root is not None)) is not None:
        return originals
    for name in benchmark.pictures:
        if (path / name).exists():
            return _pictures(benchmark, path / name)
    if root is None:
        raise DataError(f"{benchmark.name}: nothing of it in {shown(path)}; {benchmark.wanted}, or data.download=true")
    return _pictures(benchmark, path)


def _original_files(benchmark: Benchmark, path: Path, itself: bool) -> FoundImages | None:
    """The original files or an archive of them in a folder; in itself, too, where `itself` or their names allow it.

    Raises DataError where some of them are missing.
    """
    itself |= benchmark.own_names
    folders = [path / name for name in benchmark.folders if (name or itself) and (path / name).is_dir()]
    lacking: DataError | None = None
    for folder in folders:
        try:
            found = form_in(FolderFiles(folder), benchmark.forms)
        except DataError as error:
            lacking = lacking or error
        else:
            if found is not None:
                return _originals(benchmark, found)
    for folder in dict.fromkeys([path, *folders]):
        for name in benchmark.archives:
            if (folder / name).is_file():
                return _archive(benchmark, folder / name)
    if lacking is not None:
        raise lacking
    return None


def _in_file(benchmark: Benchmark, path: Path) -> FoundImages:
    """One of the files, standing for all of them; an `.npz`; or an archive."""
    beside = FolderFiles(path.parent)
    if any(path.name in form.wanted(beside.names).values() for form in benchmark.forms):
        found = form_in(beside, benchmark.forms)
        assert found is not None
        return _originals(benchmark, found)
    if path.suffix == ".npz":
        form = NpzForm(path.name, benchmark.shape, benchmark.classes)
        return _originals(benchmark, FoundFiles(beside, form, {path.name: path.name}))
    return _archive(benchmark, path)


def _originals(benchmark: Benchmark, found: FoundFiles) -> FoundImages:
    paths = found.files.on_disk(list(found.names.values()))
    files = SourceFiles(found.files.root, paths, [benchmark.name, benchmark.variant])
    return FoundImages(found.files.root, lambda: PixelArrays(found.parts(), files, order=benchmark.classes), files)


def _archive(benchmark: Benchmark, path: Path) -> FoundImages:
    """An archive of the files or of pictures; which of them is found out when it is prepared."""
    files = SourceFiles(path, [path], [benchmark.name, benchmark.variant])

    def images() -> ImageCollection:
        found = form_in(ArchivedFiles(path), benchmark.forms)
        if found is not None:
            return PixelArrays(found.parts(), files, order=benchmark.classes)
        reader = archive_reader(path)
        assert reader is not None
        return _with_classes(benchmark, reader(path), path)

    return FoundImages(path, images, files)


def _pictures(benchmark: Benchmark, path: Path) -> FoundImages:
    if path.is_file():
        return _archive(benchmark, path)
    return FoundImages(path, lambda: _with_classes(benchmark, FolderImages(path), path))


def _with_classes(benchmark: Benchmark, images: ImageCollection, path: Path) -> ImageCollection:
    """Pictures in folders named after the classes, or numbered as they are, have the published numbers."""
    if len(images) == 0:
        if images.skipped.bad:
            return images  # each is named with its reason
        raise DataError(f"{benchmark.name}: nothing of it in {shown(path)}; {benchmark.wanted}, or data.download=true")
    found = set(images.classes or ())
    if "" in found or len(found) < 2:
        raise DataError(f"{benchmark.name}: the pictures in {shown(path)} are in no class folders; {benchmark.wanted}")
    if found <= {*benchmark.classes, *map(str, range(len(benchmark.classes)))}:
        images.classes, images.order = named(images.classes or (), benchmark.classes, shown(path)), benchmark.classes
    elif benchmark.variant:
        raise DataError(
            f"{shown(path)}: its folders are not the classes of data.labels={benchmark.variant}: give the original "
            "files, or folders of these names"
        )
    return images
