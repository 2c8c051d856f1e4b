"""Lines of a text file, each a sequence of its own: SMILES, names, formulas."""

from __future__ import annotations

from genkit.component import PositiveInt
from genkit.data.prepared_text import PreparedText
from genkit.data.sources.text import VOCABULARY, Length
from genkit.data.text.corpus import LineCorpus
from genkit.data.text.locate import corpus_at
from genkit.data.text.preparation import TextOptions
from genkit.data.text.tokenizers import TokenizerName
from genkit.data.text.utf8 import Errors


class Lines(PreparedText):
    """Each line a document; blank ones are left out, and equal ones fall on one side of the splits.

    Args:
        root: A file, a folder, a pattern of names, or a zip; None: $GENKIT_DATA.
        tokenizer: characters (of a closed alphabet), bytes, or bpe (byte pairs, by the library `tokenizers`).
        vocabulary: Tokens of bpe.
        length: Tokens of an example; None: as many as the longest line has with its end, at most 256.
        errors: What happens where bytes are no UTF-8: strict refuses the file, replace puts U+FFFD there.
        batch_size: Lines in one training micro-batch; None: by the length.
        pack: Whether a training example holds several documents, as many as fit.
    """

    def __init__(
        self,
        root: str | None = None,
        tokenizer: TokenizerName = "characters",
        vocabulary: PositiveInt = VOCABULARY,
        length: Length | None = None,
        errors: Errors = "strict",
        batch_size: PositiveInt | None = None,
        pack: bool = False,
    ) -> None:
        corpus = LineCorpus(corpus_at(root, "lines", errors))
        super().__init__(corpus, TextOptions(tokenizer, vocabulary, errors), length, batch_size, pack)
