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

import torch
from tokenizers import Tokenizer
from torch import Tensor

import chunked
from batches import Batches, heldout_rows
from model import Config, Rwkv7, form_for
from optimizer import Rates, optimizers
from sampling import sample

PROMPTS = ["Once upon a time", "User: Tell me a story about a fox.\n\nAssistant:"]


class Training:
    """A model, what its optimizers have learned, and how far it is: all that a checkpoint holds."""

    def __init__(
        self, config: Config, batches: Batches, rates: Rates | None = None, half: bool = True, device: str = "cpu"
    ) -> None:
        self.batches, self.half, self.device = batches, half, device
        self.model = Rwkv7(config).to(device)
        self.optimizers = optimizers(self.model, rates or Rates())
        self.step, self.seconds = 0, 0.0

    def loss(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """Nats a token."""
        with torch.autocast(self.device, dtype=torch.bfloat16, enabled=self.half):
            logits = self.model(tokens)
        return form_for(logits).cross_entropy(logits.flatten(0, 1), targets.flatten())

    def warm_up(self) -> None:
        """What the first step alone would do, such as compiling, before the clock runs."""
        self.model.train()
        self.loss(*self.batches.at(self.step)).backward()

    def advance(self, share_done: float) -> Tensor:
        """Takes a step, at the learning rate for that share of the training, and returns the loss before it."""
        started = time.monotonic()
        # What is dropped depends on the seed and the step only, as the batch does.
        torch.manual_seed((self.batches.seed << 32) + self.step)
        for group in (group for optimizer in self.optimizers for group in optimizer.param_groups):
            group["lr"] = group["peak"] * learning_rate(share_done)
        self.model.train()
        self.model.zero_grad()
        loss = self.loss(*self.batches.at(self.step))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
        self.step += 1
        self.seconds += time.monotonic() - started
        # Not yet a number: that would have to wait for a GPU.
        return loss.detach()

    @torch.no_grad()
    # Compiling again for an evaluation would take longer than it does.
    @torch.compiler.set_stance("force_eager")
    def heldout_loss(self, rows: Tensor) -> float:
        self.model.eval()
        return torch.stack([self.loss(part[:, :-1], part[:, 1:]) for part in rows.split(16)]).mean().item()

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
        state = torch.load(path, map_location=self.device, weights_only=True)
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
    parser.add_argument("--dropout", type=float, default=Config.dropout, help="[default: %(default)s]")
    parser.add_argument("--rate", type=float, default=Rates.factor, help="of all learning rates [default: %(default)s]")
    parser.add_argument(
        "--decay", type=float, default=Rates.decay, help="of the layers' matrices [default: %(default)s]"
    )
    parser.add_argument(
        "--embedding-decay", type=float, default=Rates.embedding_decay, help="and the head's [default: %(default)s]"
    )
    parser.add_argument("--seed", type=int, default=1, help="[default: %(default)s]")
    parser.add_argument("--threads", type=int, help="[default: one a core]")
    parser.add_argument("--device", choices=["cpu", "cuda"], help="[default: cuda if there is one]")
    parser.add_argument("--compile", action="store_true", help="have torch.compile join a GPU's small operations")
    parser.add_argument("--float32", action="store_true", help="multiply in float32 rather than bfloat16")
    return parser.parse_args()


def main() -> None:
    arguments = arguments_of_command()
    torch.manual_seed(arguments.seed)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    device = arguments.device or ("cuda" if torch.cuda.is_available() else "cpu")
    if arguments.compile:
        chunked.compile()
    tokenizer = Tokenizer.from_file(str(arguments.data / "tokenizer.json"))
    batches = Batches(arguments.data / "train.bin", arguments.batch, arguments.context, arguments.seed, device)
    heldout = heldout_rows(arguments.data / "heldout.bin", arguments.context).to(device)
    config = Config(
        n_layer=arguments.layers,
        n_embd=arguments.width,
        n_vocab=tokenizer.get_vocab_size(),
        dropout=arguments.dropout,
    )
    rates = Rates(arguments.rate, arguments.decay, arguments.embedding_decay)
    training = Training(config, batches, rates, not arguments.float32, device)
    arguments.output.mkdir(parents=True, exist_ok=True)
    checkpoint, length = arguments.output / "checkpoint.pt", arguments.output / "minutes"
    if arguments.resume:
        training.load(checkpoint)
    n_parameters = sum(p.numel() for p in training.model.parameters())
    print(f"{n_parameters:,} parameters, {batches.per_epoch} steps an epoch, from step {training.step}", flush=True)
    training.warm_up()

    stops: list[int] = []
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, lambda number, _: stops.append(number))
    minutes = arguments.minutes
    with (arguments.output / "log.jsonl").open("a") as log:
        while not stops and training.seconds < 60 * minutes:
            until = min(training.seconds + 60 * arguments.every, 60 * minutes)
            losses = []
            while training.seconds < until and not (losses and stops):
                losses.append(training.advance(training.seconds / (60 * minutes)))
                if training.step == arguments.stop_at:
                    stops.append(signal.SIGINT)
            loss = torch.stack(losses).mean().item()
            if not math.isfinite(loss):
                raise SystemExit(f"the loss is {loss} in the steps before {training.step}")
            training.save(checkpoint)
            if length.exists():
                minutes = float(length.read_text())
            entry = {
                "step": training.step,
                "tokens": training.step * arguments.batch * arguments.context,
                "minutes": round(training.seconds / 60, 2),
                "of": minutes,
                "loss": round(loss, 4),
                "heldout": round(training.heldout_loss(heldout), 4),
                "samples": [sample(training.model, tokenizer, prompt, arguments.sample) for prompt in PROMPTS],
            }
            log.write(json.dumps(entry) + "\n")
            log.flush()
            print(json.dumps(entry, indent=1), flush=True)


if __name__ == "__main__":
    main()
