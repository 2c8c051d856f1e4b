"""The hash of a model: of its weights and of what its data is.

It stands in files that this model alone can read. Two checkpoints of the same weights, such as a run's and its export,
have the same one. Settings are left out: a later genkit may write the same ones otherwise.
"""

from __future__ import annotations

import hashlib

from genkit.assembly.restore import Restored
from genkit.checkpoint import strict_json


def model_sha256(found: Restored) -> str:
    """sha256, in hexadecimal, of a restored model as its checkpoint has it."""
    digest = hashlib.sha256(strict_json.render(found.model.spec.to_json(), "the data"))
    for name, tensor in sorted(found.model.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
