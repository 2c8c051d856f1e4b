"""Sequences of FASTA files: proteins, DNA. An entry begins with a line of `>` and a name; its lines are joined."""

from __future__ import annotations

from genkit.component import PositiveInt
from genkit.data.prepared_text import PreparedText
from genkit.data.sources.text import VOCABULARY, Length
from genkit.data.text.corpus import FastaCorpus
from genkit.data.text.locate import corpus_at
from genkit.data.text.preparation import TextOptions
from genkit.data.text.tokenizers import TokenizerName


class Fasta(PreparedText):
    """Each entry a document; equal sequences fall on one side of the splits.

    Args:
        root: A file, a folder, a pattern of names, or a zip; None: $GENKIT_DATA.
        tokenizer: characters (the residues), bytes, or bpe (byte pairs, by the library `tokenizers`).
        vocabulary: Tokens of bpe.
        length: Tokens of an example; None: as many as the longest sequence has with its end, at most 256.
        batch_size: Sequences in one training micro-batch; None: by the length.
        pack: Whether a training example holds several documents, as many as fit.
    """

    def __init__(
        self,
        root: str | None = None,
        tokenizer: TokenizerName = "characters",
        vocabulary: PositiveInt = VOCABULARY,
        length: Length | None = None,
        batch_size: PositiveInt | None = None,
        pack: bool = False,
    ) -> None:
        corpus = FastaCorpus(corpus_at(root, "fasta", "strict"))
        super().__init__(corpus, TextOptions(tokenizer, vocabulary), length, batch_size, pack)
