"""What the model sees: windows of a long row of tokens."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor


class Batches:
    """Each window once in an epoch, in an order that depends on the seed and the step only."""

    def __init__(self, path: Path, batch: int, context: int, seed: int) -> None:
        self.tokens = np.fromfile(path, dtype=np.uint16)
        self.batch, self.context, self.seed = batch, context, seed
        self.per_epoch = (len(self.tokens) - context - 1) // context // batch

    def at(self, step: int) -> tuple[Tensor, Tensor]:
        """Tokens and the tokens that follow them, [batch, context]."""
        epoch, index = divmod(step, self.per_epoch)
        rng = np.random.default_rng((self.seed, epoch))
        # Windows begin elsewhere in each epoch.
        start = rng.integers(self.context)
        order = rng.permutation(self.per_epoch * self.batch)[index * self.batch : (index + 1) * self.batch]
        rows = [self.tokens[start + i * self.context :][: self.context + 1] for i in order]
        block = torch.from_numpy(np.stack(rows).astype(np.int64))
        return block[:, :-1], block[:, 1:]


def heldout_rows(path: Path, context: int, most_tokens: int = 1 << 16) -> Tensor:
    """The first windows of the held-out text, with the token after each: [rows, context + 1]."""
    tokens = np.fromfile(path, dtype=np.uint16).astype(np.int64)
    rows = min(len(tokens) - 1, most_tokens) // context
    return torch.from_numpy(np.stack([tokens[i * context :][: context + 1] for i in range(rows)]))
