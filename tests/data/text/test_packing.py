"""Packing: every token of the training documents in one row, whole documents side by side, little room left."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from genkit.data.counter_stream import ViewStream
from genkit.data.sources.lines import Lines
from genkit.data.split import InMemory
from genkit.data.text.packing import PackedDocuments, best_fit
from genkit.data.text.token_rows import Documents
from genkit.errors import ConfigError
from genkit.models.autoregressive.autoregressive import Autoregressive
from genkit.models.masked_diffusion.masked_diffusion import MaskedDiffusion

EOS, PAD = 9, 10


def documents_of(lengths: list[int]) -> Documents:
    """Documents of so many tokens, the last one of each its end."""
    dice = np.random.default_rng(0)
    ids = np.concatenate([np.append(dice.integers(0, EOS, n - 1), EOS) for n in lengths])
    return Documents.of(InMemory(torch.from_numpy(ids.astype(np.uint8))[:, None]), EOS)


@pytest.mark.parametrize("lengths", [[3, 8, 1, 5, 20, 4, 2, 16], [1], [30], [8, 8], [2] * 25])
def test_every_piece_of_every_document_stands_in_one_row(lengths):
    documents, length = documents_of(lengths), 8
    rows = PackedDocuments(documents, length, PAD)
    x = rows.between(0, len(rows)).x
    found = sorted(bytes(piece) for row in x.tolist() for piece in _pieces(row))
    wanted = sorted(
        bytes(part.tolist()) for i in range(len(documents)) for part in documents.document(i).split(length) if len(part)
    )
    assert found == wanted
    assert torch.equal(rows.take(torch.tensor([len(rows) - 1, 0])).x, x[[-1, 0]])


def _pieces(row: list[int]) -> list[list[int]]:
    """A packed row cut after each end, without its padding."""
    pieces: list[list[int]] = [[]]
    for token in row:
        if token == PAD:
            break
        pieces[-1].append(token)
        if token == EOS:
            pieces.append([])
    return [piece for piece in pieces if piece]


def test_a_piece_goes_where_the_least_room_takes_it():
    assert best_fit(np.array([6, 5, 3, 4, 2]), 8).tolist() == [0, 1, 1, 2, 0]
    dice = np.random.default_rng(1)
    sizes = dice.integers(1, 40, 5000)
    rows = best_fit(sizes, 64)
    filled = np.bincount(rows, sizes)
    assert filled.max() <= 64
    assert len(filled) <= 1.03 * sizes.sum() / 64


def test_training_sees_several_documents_and_scores_see_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GENKIT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "names.txt").write_text("\n".join(f"{'ab' * (i % 9)}{i}" for i in range(200)))
    data, plain = (Lines(root=str(tmp_path / "names.txt"), length=40, pack=pack) for pack in (True, False))
    assert len(data.view_source) < len(plain.view_source) / 2
    x = data.view_source.between(0, 8).x
    assert torch.equal(data.view(x, torch.arange(8), ViewStream(0, 0)), x)
    assert int((x == data.kind.eos).sum(1).min()) > 1
    assert int((data.split("val").between(0, 8).x == data.kind.eos).sum(1).max()) == 1
    assert data.spec == plain.spec  # what is scored and sampled is the same
    assert data.split("train").fingerprint == plain.split("train").fingerprint
    assert Autoregressive(spec=data.spec).packed
    assert not Autoregressive(spec=plain.spec).packed
    with pytest.raises(ConfigError, match=r"data\.pack=false"):
        MaskedDiffusion(spec=data.spec)
