"""What the model sees: windows of a long row of tokens."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor


class Batches:
    """Each window once in an epoch, in an order that depends on the seed and the step only."""

    def __init__(self, path: Path, batch: int, context: int, seed: int, device: str = "cpu") -> None:
        tokens = np.fromfile(path, dtype=np.uint16)
        self.per_epoch = (len(tokens) - context - 1) // context // batch
        self.batch, self.context, self.seed = batch, context, seed
        # All of it on the device: nothing has to go there in training.
        self.tokens = torch.from_numpy(tokens.astype(np.int32)).to(device)
        self.window = torch.arange(context + 1, device=device)
        self.epoch, self.starts = -1, torch.empty(0)

    def at(self, step: int) -> tuple[Tensor, Tensor]:
        """Tokens and the tokens that follow them, [batch, context]."""
        epoch, index = divmod(step, self.per_epoch)
        if epoch != self.epoch:
            self.epoch, self.starts = epoch, self.starts_of(epoch).to(self.tokens.device)
        starts = self.starts[index * self.batch : (index + 1) * self.batch]
        block = self.tokens[starts[:, None] + self.window].long()
        return block[:, :-1], block[:, 1:]

    def starts_of(self, epoch: int) -> Tensor:
        rng = np.random.default_rng((self.seed, epoch))
        # Windows begin elsewhere in each epoch.
        start = rng.integers(self.context)
        return torch.from_numpy(start + self.context * rng.permutation(self.per_epoch * self.batch))


def heldout_rows(path: Path, context: int, most_tokens: int = 1 << 16) -> Tensor:
    """The first windows of the held-out text, with the token after each: [rows, context + 1]."""
    tokens = np.fromfile(path, dtype=np.uint16).astype(np.int64)
    rows = min(len(tokens) - 1, most_tokens) // context
    return torch.from_numpy(np.stack([tokens[i * context :][: context + 1] for i in range(rows)]))
