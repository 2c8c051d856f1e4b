"""Sliding windows: each token of a document is scored once, after as many others as the stride promises."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from genkit.data.split import InMemory
from genkit.data.text.sliding import scored_at, sliding
from genkit.data.text.token_rows import Documents, Windows, packed
from genkit.errors import ConfigError

EOS, PAD = 250, 251


def windows_of(sizes: list[int], length: int) -> Windows:
    """Documents whose tokens are their places, each with its end."""
    ids = np.concatenate([np.append(np.arange(size - 1) % 250, EOS) for size in sizes])
    tokens = InMemory(torch.from_numpy(packed(ids.astype(np.int64), 1)))
    return Windows(Documents.of(tokens, EOS), length, PAD)


@pytest.mark.parametrize("length", [1, 2, 5, 8])
@pytest.mark.parametrize("size", [1, 4, 5, 6, 23])
def test_each_token_is_scored_once(length, size):
    """The windows, one after the other, score places that follow each other without gap or overlap."""
    for stride in range(1, length + 1):
        number, place = scored_at(np.arange(size), length, stride)
        assert (number * stride + place == np.arange(size)).all()
        assert (place >= 0).all()
        assert (place < length).all()
        assert (np.diff(number) >= 0).all()
        assert (number[:length] == 0).all()
        assert (place[length:] >= length - stride).all()  # so many tokens of context at least
        assert np.bincount(number)[1:-1].tolist() == [stride] * max(0, number[-1] - 1)


@pytest.mark.parametrize("stride", [1, 3, 4, 8])
def test_values_of_windows_come_back_to_their_tokens_whatever_the_batch(stride):
    """A value of a token that says which it is stands at that token, once; none stands at a pad."""
    sizes = [3, 20, 8, 9, 1]
    windows = windows_of(sizes, 8)
    found = []
    for index in torch.arange(len(windows)).split(3):
        cover = sliding(windows, index, stride)
        x = windows.at(cover.document, cover.offset).x
        scored = cover.of_windows(x + 1000 * torch.from_numpy(cover.document)[:, None])
        assert (scored[~cover.inside] == 0).all()
        found.append(scored[cover.inside])
    expected = [
        1000 * number + windows.documents.document(number)  # all of it, in order
        for number in range(len(sizes))
    ]
    assert torch.equal(torch.cat(found), torch.cat(expected))


def test_a_short_document_has_one_window_with_any_stride():
    windows = windows_of([8, 5], 8)
    for stride in range(1, 9):
        assert sliding(windows, torch.arange(2), stride).offset.tolist() == [0, 0]


def test_windows_that_jump_or_stand_still_are_refused():
    for stride in (0, 9):
        with pytest.raises(ConfigError, match="windows of 8 tokens move by 1 … 8"):
            sliding(windows_of([20], 8), torch.arange(1), stride)
