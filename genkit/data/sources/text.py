"""Text of your own: a file, a folder, a pattern of names or a zip archive, UTF-8.

A file is a document, unless `separator` cuts it into several. Documents are split by their contents; one single text
is cut into its first 90 %, the next 5 % and the last 5 %.
"""

from __future__ import annotations

from typing import Annotated

from genkit.component import PositiveInt, Range
from genkit.data.prepared_text import PreparedText
from genkit.data.text.corpus import CutCorpus
from genkit.data.text.locate import corpus_at
from genkit.data.text.preparation import TextOptions
from genkit.data.text.tokenizers import TokenizerName
from genkit.data.text.utf8 import Errors
from genkit.errors import ConfigError

Length = Annotated[int, Range(2, 65_536)]
LENGTH = 128  # tokens of an example
VOCABULARY = 512  # tokens of byte pairs


class TextFiles(PreparedText):
    r"""Documents of text files.

    Args:
        root: A file, a folder (all files below it), a pattern like notes/*.md, or a zip; None: $GENKIT_DATA.
        separator: What stands between two documents of a file, \n and \t being a line's end and a tab; None: a file is
            one document.
        tokenizer: bytes, characters (of a closed alphabet), or bpe (byte pairs, by the library `tokenizers`).
        vocabulary: Tokens of bpe.
        length: Tokens of an example; longer documents are seen in windows.
        errors: What happens where bytes are no UTF-8: strict refuses the file, replace puts U+FFFD there.
        batch_size: Examples in one training micro-batch; None: by the length.
        pack: Whether a training example holds several documents, as many as fit.
    """

    def __init__(
        self,
        root: str | None = None,
        separator: str | None = None,
        tokenizer: TokenizerName = "bytes",
        vocabulary: PositiveInt = VOCABULARY,
        length: Length = LENGTH,
        errors: Errors = "strict",
        batch_size: PositiveInt | None = None,
        pack: bool = False,
    ) -> None:
        if separator == "":
            raise ConfigError("data.separator=: an empty text separates nothing: name a text, or null for none")
        corpus = corpus_at(root, "text", errors)
        if separator is not None:
            corpus = CutCorpus(corpus, separator.replace("\\n", "\n").replace("\\t", "\t").encode())
        super().__init__(corpus, TextOptions(tokenizer, vocabulary, errors), length, batch_size, pack)
