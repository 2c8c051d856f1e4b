"""Python's documentation of its own language, 57 topics of 374 kB in all, which genkit carries.

It is that of Python 3.11.7 whatever Python runs, so that scores compare; its licence lies beside it. 22 more topics
stand nearly whole inside these and are left out, since test documents would stand in the training data.

Source: `pydoc_data.topics` of CPython 3.11.7, PSF License Agreement, copyright 2001–2023 Python Software Foundation.
"""

from __future__ import annotations

from genkit.component import PositiveInt
from genkit.data.prepared_text import PreparedText
from genkit.data.sources.text import LENGTH, VOCABULARY, Length
from genkit.data.text.embedded import PydocCorpus
from genkit.data.text.preparation import TextOptions
from genkit.data.text.tokenizers import TokenizerName


class Pydoc(PreparedText):
    """Each topic a document.

    Args:
        tokenizer: bytes, characters, or bpe (byte pairs, by the library `tokenizers`).
        vocabulary: Tokens of bpe.
        length: Tokens of an example; longer documents are seen in windows.
        batch_size: Examples in one training micro-batch; None: by the length.
        pack: Whether a training example holds several documents, as many as fit.
    """

    def __init__(
        self,
        tokenizer: TokenizerName = "bytes",
        vocabulary: PositiveInt = VOCABULARY,
        length: Length = LENGTH,
        batch_size: PositiveInt | None = None,
        pack: bool = False,
    ) -> None:
        super().__init__(PydocCorpus(), TextOptions(tokenizer, vocabulary), length, batch_size, pack)
