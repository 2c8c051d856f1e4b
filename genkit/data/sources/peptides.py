"""Antimicrobial peptides as chains of 20 amino acids, a file that the package `modlamp` carries.

Half of its 5,200 sequences are antimicrobial, of the databases APD and ADAM; the others are stretches of proteins of
UniProt, of the same lengths.

Sources: modlAMP (Müller, Gabernet, Hiss & Schneider 2017), version 4.3.3, BSD licence.
"""

from __future__ import annotations

from typing import Literal

from genkit.component import PositiveInt
from genkit.data.prepared_text import PreparedText
from genkit.data.sources.text import VOCABULARY, Length
from genkit.data.text.installed import file_of_package
from genkit.data.text.preparation import TextOptions
from genkit.data.text.tables import ColumnCorpus, Row
from genkit.data.text.tokenizers import TokenizerName

PACKAGE, FILE = "modlamp", "modlamp/data/AMPvsUniProt.csv"
LABELS = {"antimicrobial": ("1",), "other": ("0",), "all": ("0", "1")}  # the second cell of a row


class Peptides(PreparedText):
    """Each peptide a document.

    Args:
        name: antimicrobial, other, or all.
        tokenizer: characters (the amino acids), bytes, or bpe (byte pairs, by the library `tokenizers`).
        vocabulary: Tokens of bpe.
        length: Tokens of an example; None: as many as the longest peptide has with its end, at most 256.
        batch_size: Peptides in one training micro-batch; None: by the length.
        pack: Whether a training example holds several documents, as many as fit.
    """

    def __init__(
        self,
        name: Literal["antimicrobial", "other", "all"] = "antimicrobial",
        tokenizer: TokenizerName = "characters",
        vocabulary: PositiveInt = VOCABULARY,
        length: Length | None = None,
        batch_size: PositiveInt | None = None,
        pack: bool = False,
    ) -> None:
        labels = LABELS[name]

        def chosen(row: Row) -> bool:
            return len(row) > 1 and row[1].strip() in labels

        corpus = ColumnCorpus(file_of_package(PACKAGE, FILE, "peptides"), None, chosen, labels)
        super().__init__(corpus, TextOptions(tokenizer, vocabulary), length, batch_size, pack)
