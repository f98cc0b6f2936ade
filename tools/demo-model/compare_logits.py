"""Compares Volary's logits with those of the model as it was trained, on a sentence."""

import argparse
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

from model import Config, Rwkv7

SENTENCE = (
    "Once upon a time there was a little fox who lived under the roots of an old oak tree, and every evening, when "
    'the moon rose over the hill, he said to himself, "To-night I will find out what is on the other side."'
)


def logits_of_training(checkpoint: Path, tokens: list[int]) -> np.ndarray:
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    model = Rwkv7(Config(**state["config"]))
    model.load_state_dict(state["model"])
    model.eval()
    with torch.no_grad():
        return model(torch.tensor([tokens]))[0].numpy()


def logits_of_volary(volary: str, model: Path, tokens: list[int]) -> np.ndarray:
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "logits.npy"
        ids = ",".join(map(str, tokens))
        subprocess.run([volary, "eval", str(model), "--tokens", ids, "--output", str(output)], check=True)
        return np.load(output)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path, help="the checkpoint.pt that train.py wrote")
    parser.add_argument("tokenizer", type=Path, help="the tokenizer.json that prepare.py wrote")
    parser.add_argument("model", type=Path, help="what export.py made of it, .pth or .gguf")
    parser.add_argument("--tolerance", type=float, default=1e-3, help="of the logits' range [default: %(default)s]")
    parser.add_argument("--volary", default="volary", help="the volary command [default: %(default)s]")
    arguments = parser.parse_args()
    tokens = Tokenizer.from_file(str(arguments.tokenizer)).encode(SENTENCE).ids
    # The kernels of training take multiples of 16.
    tokens = tokens[: len(tokens) // 16 * 16]
    expected = logits_of_training(arguments.checkpoint, tokens)
    logits = logits_of_volary(arguments.volary, arguments.model, tokens)
    error = float(np.abs(logits - expected).max() / np.ptp(expected))
    same = float((logits.argmax(-1) == expected.argmax(-1)).mean())
    print(f"{len(tokens)} tokens: largest difference {error:.2e} of the range, likeliest token the same in {same:.0%}")
    if error > arguments.tolerance:
        raise SystemExit(f"more than {arguments.tolerance}")


if __name__ == "__main__":
    main()
