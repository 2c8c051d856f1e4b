"""Irish and Scottish tunes in ABC notation, folders that the package `music21` carries.

The tunes are of 1778 to 1850 and in the public domain. The transcriptions are distributed by permission of those who
made them, some for uses that are not commercial alone: read the licences in the folders before models of them are
handed on.

Sources: O'Neill's Music of Ireland (1850 tunes, published 1903) and Aird's Airs (six books, 1782 to 1803), in the
corpus of music21 (Cuthbert & Ariza 2010), version 10.5.1, BSD licence of the package.
"""

from __future__ import annotations

from typing import Literal

from genkit.component import PositiveInt
from genkit.data.prepared_text import PreparedText
from genkit.data.sources.text import VOCABULARY, Length
from genkit.data.text.abc_tunes import TuneCorpus
from genkit.data.text.installed import file_of_package
from genkit.data.text.locate import corpus_at
from genkit.data.text.preparation import TextOptions
from genkit.data.text.tokenizers import TokenizerName

PACKAGE = "music21"
FOLDERS = {"oneill": "music21/corpus/oneills1850", "aird": "music21/corpus/airdsAirs"}
TUNE = 256  # tokens of an example: half of the tunes are longer in bytes


class Tunes(PreparedText):
    """Each tune a document.

    Args:
        name: oneill, or aird.
        tokenizer: bytes, characters, or bpe (byte pairs, by the library `tokenizers`).
        vocabulary: Tokens of bpe.
        length: Tokens of an example; longer tunes are seen in windows.
        batch_size: Examples in one training micro-batch; None: by the length.
        pack: Whether a training example holds several documents, as many as fit.
    """

    def __init__(
        self,
        name: Literal["oneill", "aird"] = "oneill",
        tokenizer: TokenizerName = "bytes",
        vocabulary: PositiveInt = VOCABULARY,
        length: Length = TUNE,
        batch_size: PositiveInt | None = None,
        pack: bool = False,
    ) -> None:
        folder = file_of_package(PACKAGE, FOLDERS[name], "tunes")
        corpus = TuneCorpus(corpus_at(str(folder / "*.abc"), "tunes", "replace"))
        super().__init__(corpus, TextOptions(tokenizer, vocabulary, "replace"), length, batch_size, pack)
