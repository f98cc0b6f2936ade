"""Training on a few random tokens: what is stopped and resumed goes on exactly, and what is learned helps."""

from pathlib import Path

import numpy as np
import pytest
import torch

from batches import Batches
from model import Config
from train import Training

CONFIG = Config(n_layer=2, n_embd=64, n_vocab=50, dropout=0.05)


@pytest.fixture
def batches(tmp_path: Path) -> Batches:
    # A text that can be learned: each token is followed by one of two.
    rng = np.random.default_rng(0)
    tokens = np.cumsum(rng.integers(1, 3, size=2000)) % CONFIG.n_vocab
    tokens.astype(np.uint16).tofile(tmp_path / "train.bin")
    return Batches(tmp_path / "train.bin", batch=4, context=32, seed=1)


def new_training(batches: Batches, seed: int) -> Training:
    torch.manual_seed(seed)
    return Training(CONFIG, batches)


def test_a_resumed_training_goes_on_exactly(batches: Batches, tmp_path: Path) -> None:
    whole = new_training(batches, seed=1)
    losses = [whole.advance(step / 40) for step in range(20)]
    assert whole.step > batches.per_epoch, "the test should reach the second epoch"

    stopped = new_training(batches, seed=1)
    begun = [stopped.advance(step / 40) for step in range(9)]
    stopped.save(tmp_path / "checkpoint.pt")
    resumed = new_training(batches, seed=2)
    resumed.load(tmp_path / "checkpoint.pt")
    rest = [resumed.advance(step / 40) for step in range(9, 20)]

    assert begun + rest == losses
    for name, parameter in whole.model.state_dict().items():
        assert torch.equal(parameter, resumed.model.state_dict()[name]), name


def test_the_loss_falls(batches: Batches) -> None:
    training = new_training(batches, seed=1)
    losses = [training.advance(0.02) for _ in range(60)]
    # A guess among all tokens costs ln 50 = 3.9 nats; one among two, ln 2 = 0.7.
    assert losses[0] > 3.5
    assert losses[-1] < 2.0
