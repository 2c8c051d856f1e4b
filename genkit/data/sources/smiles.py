"""Molecules as SMILES, the training file of MOSES that the package `molsets` carries: 1,584,663 of 25 symbols.

Sources: Molecular Sets (Polykovskiy et al. 2020, 1811.12823), drawn from ZINC; `molsets` 0.3.1, MIT licence.
"""

from __future__ import annotations

from genkit.component import PositiveInt
from genkit.data.prepared_text import PreparedText
from genkit.data.sources.text import VOCABULARY, Length
from genkit.data.text.installed import file_of_package
from genkit.data.text.preparation import TextOptions
from genkit.data.text.tables import ColumnCorpus
from genkit.data.text.tokenizers import TokenizerName

PACKAGE, FILE = "molsets", "moses/dataset/data/train.csv.gz"
MOLECULES = 100_000


class Smiles(PreparedText):
    """Each molecule a document.

    The splits are those of genkit, of the training file alone, and not those of the benchmark.

    Args:
        molecules: How many, from the first one of the file on; null: all.
        tokenizer: characters, bytes, or bpe (byte pairs, by the library `tokenizers`).
        vocabulary: Tokens of bpe.
        length: Tokens of an example; None: as many as the longest molecule has with its end.
        batch_size: Molecules in one training micro-batch; None: by the length.
        pack: Whether a training example holds several documents, as many as fit.
    """

    def __init__(
        self,
        molecules: PositiveInt | None = MOLECULES,
        tokenizer: TokenizerName = "characters",
        vocabulary: PositiveInt = VOCABULARY,
        length: Length | None = None,
        batch_size: PositiveInt | None = None,
        pack: bool = False,
    ) -> None:
        corpus = ColumnCorpus(file_of_package(PACKAGE, FILE, "smiles"), molecules)
        super().__init__(corpus, TextOptions(tokenizer, vocabulary), length, batch_size, pack)
