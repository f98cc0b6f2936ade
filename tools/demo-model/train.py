"""Trains the demo model. Stop it at any time (Ctrl+C saves first) and go on with --resume.

The length is given in minutes of training, and the learning rate falls by that clock, so that the model is finished at
the end whatever else the machine did. To lengthen or shorten a run that is going, write the new number of minutes into
the file `minutes` in its folder; it is read before each evaluation.
"""

import argparse
import json
import math
import os
import signal
import time
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from batches import Batches, heldout_rows
from kernels import cross_entropy
from model import Config, Rwkv7
from optimizer import optimizers
from sampling import sample

PROMPTS = ["Once upon a time", "User: Tell me a story about a fox.\n\nAssistant:"]


class Training:
    """A model, what its optimizers have learned, and how far it is: all that a checkpoint holds."""

    def __init__(self, config: Config, batches: Batches, half: bool = True) -> None:
        self.batches, self.half = batches, half
        self.model = Rwkv7(config)
        self.optimizers = optimizers(self.model)
        self.step, self.seconds = 0, 0.0

    def loss(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """Nats a token."""
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.half):
            logits = self.model(tokens)
        return cross_entropy(logits.flatten(0, 1), targets.flatten())

    def advance(self, share_done: float) -> float:
        """Takes a step, at the learning rate for that share of the training, and returns the loss before it."""
        started = time.monotonic()
        for group in (group for optimizer in self.optimizers for group in optimizer.param_groups):
            group["lr"] = group["peak"] * learning_rate(share_done)
        loss = self.loss(*self.batches.at(self.step))
        self.model.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
        self.step += 1
        self.seconds += time.monotonic() - started
        value = loss.item()
        if not math.isfinite(value):
            raise SystemExit(f"the loss is {value} at step {self.step}")
        return value

    @torch.no_grad()
    def heldout_loss(self, rows: Tensor) -> float:
        return float(np.mean([self.loss(part[:, :-1], part[:, 1:]) for part in rows.split(16)]))

    def save(self, path: Path) -> None:
        """Replaces the file at once, so that there is a whole checkpoint whenever the training stops."""
        state = {
            "model": self.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "config": vars(self.model.config),
            "step": self.step,
            "seconds": self.seconds,
        }
        torch.save(state, path.with_suffix(".part"))
        os.replace(path.with_suffix(".part"), path)

    def load(self, path: Path) -> None:
        state = torch.load(path, weights_only=True)
        self.model.load_state_dict(state["model"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            # What was learned, under the rates of this program.
            groups = optimizer.state_dict()["param_groups"]
            optimizer.load_state_dict({"state": saved["state"], "param_groups": groups})
        self.step, self.seconds = state["step"], state["seconds"]


def learning_rate(done: float, warmup: float = 0.01, decay: float = 0.7) -> float:
    """The share of the peak, for the share of the training that is done: up, level, and down to nothing."""
    return min(1.0, done / warmup, max(0.0, (1 - done) / decay))


def arguments_of_command() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder that prepare.py wrote")
    parser.add_argument("output", type=Path, help="folder for checkpoint.pt and log.jsonl")
    parser.add_argument("--minutes", type=float, default=110, help="of training, in all [default: %(default)s]")
    parser.add_argument("--sample", type=int, default=100, help="tokens of a sample in the log [default: %(default)s]")
    parser.add_argument("--every", type=float, default=4, help="minutes between evaluations [default: %(default)s]")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint")
    parser.add_argument("--stop-at", type=int, metavar="STEP", help="stop there as Ctrl+C would")
    parser.add_argument("--layers", type=int, default=Config.n_layer, help="[default: %(default)s]")
    parser.add_argument("--width", type=int, default=Config.n_embd, help="n_embd [default: %(default)s]")
    parser.add_argument("--batch", type=int, default=16, help="sequences a step [default: %(default)s]")
    parser.add_argument("--context", type=int, default=256, help="tokens; a multiple of 16 [default: %(default)s]")
    parser.add_argument("--seed", type=int, default=1, help="[default: %(default)s]")
    parser.add_argument("--threads", type=int, help="[default: one a core]")
    parser.add_argument("--float32", action="store_true", help="multiply in float32 rather than bfloat16")
    return parser.parse_args()


def main() -> None:
    arguments = arguments_of_command()
    torch.manual_seed(arguments.seed)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    tokenizer = Tokenizer.from_file(str(arguments.data / "tokenizer.json"))
    batches = Batches(arguments.data / "train.bin", arguments.batch, arguments.context, arguments.seed)
    heldout = heldout_rows(arguments.data / "heldout.bin", arguments.context)
    config = Config(n_layer=arguments.layers, n_embd=arguments.width, n_vocab=tokenizer.get_vocab_size())
    training = Training(config, batches, half=not arguments.float32)
    arguments.output.mkdir(parents=True, exist_ok=True)
    checkpoint, length = arguments.output / "checkpoint.pt", arguments.output / "minutes"
    if arguments.resume:
        training.load(checkpoint)
    n_parameters = sum(p.numel() for p in training.model.parameters())
    print(f"{n_parameters:,} parameters, {batches.per_epoch} steps an epoch, from step {training.step}", flush=True)

    stops: list[int] = []
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, lambda number, _: stops.append(number))
    minutes = arguments.minutes
    with (arguments.output / "log.jsonl").open("a") as log:
        while not stops and training.seconds < 60 * minutes:
            until = min(training.seconds + 60 * arguments.every, 60 * minutes)
            losses = []
            while not stops and training.seconds < until:
                losses.append(training.advance(training.seconds / (60 * minutes)))
                if training.step == arguments.stop_at:
                    stops.append(signal.SIGINT)
            training.save(checkpoint)
            if length.exists():
                minutes = float(length.read_text())
            entry = {
                "step": training.step,
                "tokens": training.step * arguments.batch * arguments.context,
                "minutes": round(training.seconds / 60, 2),
                "of": minutes,
                "loss": round(float(np.mean(losses)), 4),
                "heldout": round(training.heldout_loss(heldout), 4),
                "samples": [sample(training.model, tokenizer, prompt, arguments.sample) for prompt in PROMPTS],
            }
            log.write(json.dumps(entry) + "\n")
            log.flush()
            print(json.dumps(entry, indent=1), flush=True)


if __name__ == "__main__":
    main()
