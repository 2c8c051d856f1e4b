"""GPT-2 of transformers by nanoGPT's recipe for text of characters on a CPU.

    python -m pip install torch==2.13.0 numpy transformers   # in an environment of its own

Four layers of 128 with four heads, no dropout, contexts of 64 bytes, batches of 12; AdamW (0.9, 0.99) with decay 0.1 of
matrices, clipping at 1, a rate that rises to 1e-3 in a hundred steps and falls to 1e-4 by a cosine over the time
(github.com/karpathy/nanoGPT, README and config/train_shakespeare_char.py).

DATA.npz holds the bytes of documents one after the other, each with `end` after it, as `train` and `test`; OUT.json
`bits_per_byte` of the latter. Windows move by half their length, so that a byte is scored once and after 32 others; the
end of a document is paid for.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from loop import Asked, asked, half_cosine
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import GPT2Config, GPT2LMHeadModel

CONTEXT, BATCH, WARM, HIGH, LOW = 64, 12, 100, 1e-3, 1e-4


def model_with(vocabulary: int) -> GPT2LMHeadModel:
    """Of the recipe's size."""
    sizes = {"n_positions": CONTEXT, "n_embd": 128, "n_layer": 4, "n_head": 4}
    none = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0, "bos_token_id": None, "eos_token_id": None}
    return GPT2LMHeadModel(GPT2Config(vocab_size=vocabulary, use_cache=False, **sizes, **none))


def optimizer_of(model: GPT2LMHeadModel) -> torch.optim.Optimizer:
    """With decay of matrices alone."""
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    others = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, HIGH, (0.9, 0.99))


def rate(step: int, spent: float) -> float:
    """Of a step, by the time that is gone."""
    return min(1.0, (step + 1) / WARM) * half_cosine(HIGH, LOW, spent)


def nats(model: GPT2LMHeadModel, windows: Tensor) -> Tensor:
    """-log P (B, T) of each token but the first of windows (B, T + 1)."""
    scores = model(windows[:, :-1]).logits
    return cross_entropy(scores.transpose(1, 2), windows[:, 1:], reduction="none")


def trained(of: Asked, model: GPT2LMHeadModel, train: Tensor) -> int:
    """The steps that were made."""
    optimizer, steps = optimizer_of(model), 0
    while of.spent() < 1:
        starts = torch.randint(len(train) - CONTEXT, (BATCH,))
        windows = train[starts[:, None] + torch.arange(CONTEXT + 1)]
        for group in optimizer.param_groups:
            group["lr"] = rate(steps, of.spent())
        optimizer.zero_grad()
        nats(model, windows).mean().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        steps += 1
    return steps


@torch.no_grad()
def total(model: GPT2LMHeadModel, test: Tensor, end: int) -> float:
    """-log P of all tokens of the test documents, the first one given the end of a document."""
    tokens, half = torch.cat((torch.tensor([end]), test)), CONTEXT // 2
    cost, scored = 0.0, 1  # the first token is given
    while scored < len(tokens):
        low = max(0, scored - half - 1) if scored > 1 else 0
        window = tokens[low : low + CONTEXT + 1]
        cost += float(nats(model, window[None])[0, scored - low - 1 :].sum())
        scored = low + len(window)
    return cost


def main() -> None:
    """Train, then score."""
    of = asked()
    with np.load(of.data) as file:
        train, test, end = torch.from_numpy(file["train"]), torch.from_numpy(file["test"]), int(file["end"])
    model = model_with(end + 1)
    steps = trained(of, model, train)
    model.eval()
    bits = total(model, test, end) / math.log(2) / int((test != end).sum())
    of.score({"bits_per_byte": bits}, steps, parameters=sum(p.numel() for p in model.parameters()))


if __name__ == "__main__":
    main()
