"""CelebA: 202,599 colour images of faces, aligned, with forty attributes.

Source: Liu, Luo, Wang and Tang, Deep Learning Face Attributes in the Wild, 2015 (1411.7766). Read from
`img_align_celeba`, a folder or a `.zip`, with `list_eval_partition.txt` for the splits and `list_attr_celeba.txt` for
labels, beside it or in the folders `Eval` and `Anno`. Without the first, splits are made by content.
"""

from __future__ import annotations

from typing import Annotated

from genkit.component import NonNegativeInt, PositiveInt, Range
from genkit.data.images.class_labels import FOLDER, NONE
from genkit.data.images.preparation import ImageOptions
from genkit.data.prepared_images import PreparedImages
from genkit.data.published.celeba import ATTRIBUTES, CroppedImages, faces, lists_in
from genkit.data.root import find_inside, find_root
from genkit.data.source_files import SourceFiles
from genkit.data.sources.images import collection_of
from genkit.errors import DataError
from genkit.printing import shown

WANTED = "put img_align_celeba (a folder or a .zip) and list_eval_partition.txt into a folder and give data.root=FOLDER"
HOMES = ("celeba", "CelebA")
PICTURES = ("img_align_celeba", "img_align_celeba.zip", "Img/img_align_celeba", "Img/img_align_celeba.zip")
LISTS = ("", "Eval", "Anno")
Side = Annotated[int, Range(1, 4096)]


class CelebA(PreparedImages):
    """CelebA's aligned faces, (3, size, size) in 256 levels.

    Args:
        root: Folder with the images and lists, or the folder or archive of the images itself; null means $GENKIT_DATA.
        attribute: One of the forty, as the label: "Smiling"; null: no labels.
        size: Side of the images, in pixels.
        crop: The middle so many pixels each way are shown; null: the largest square.
        flip: Whether training images are flipped left to right.
        shift: Training images move by up to so many pixels each way, black coming in.
        max_bad: Images that cannot be used and are left out, beyond which there is an error.
        batch_size: Images in one training micro-batch; null: by their size.

    Raises:
        DataError: it is not there, a list does not fit the images, or there is no such attribute.
    """

    def __init__(
        self,
        root: str | None = None,
        attribute: str | None = None,
        size: Side = 64,
        crop: Side | None = 148,
        flip: bool = True,
        shift: NonNegativeInt = 0,
        max_bad: NonNegativeInt = 0,
        batch_size: PositiveInt | None = None,
    ) -> None:
        given = find_root(root, "celeba", WANTED)
        home = find_inside(given, HOMES)
        path = find_inside(home, PICTURES)
        if path == given and root is None:
            raise DataError(f"celeba: nothing of it in {shown(home)}; {WANTED}")
        lists = lists_in([folder / name for folder in (home, path.parent, path) for name in LISTS])
        lists = {name: file for name, file in lists.items() if attribute is not None or name != ATTRIBUTES}
        if attribute is not None and ATTRIBUTES not in lists:
            raise DataError(f"celeba: data.attribute={attribute} needs {ATTRIBUTES}.txt beside {shown(path)}")
        reading = ["celeba", attribute, crop]
        files = SourceFiles(path, list(lists.values()), reading)

        def collection() -> CroppedImages:
            return faces(collection_of(path), lists, attribute, crop, files)

        options = ImageOptions((size, size), channels=3, labels=NONE if attribute is None else FOLDER, max_bad=max_bad)
        whole = SourceFiles(path, [path, *lists.values()], reading) if path.is_file() else None
        super().__init__(path, collection, options, files=whole, batch_size=batch_size, flip=flip, shift=shift)
