"""Writes a checkpoint of train.py as the .pth that RWKV programs read, and as a .gguf with its tokenizer, by Volary."""

import argparse
import subprocess
from pathlib import Path

import torch


def write_pth(checkpoint: Path, pth: Path) -> None:
    """The parameters have RWKV-LM's names and shapes already."""
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    torch.save({name: tensor.float().clone() for name, tensor in state["model"].items()}, pth)
    print(f"{pth}: after step {state['step']}, {state['seconds'] / 60:.1f} minutes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path, help="the checkpoint.pt that train.py wrote")
    parser.add_argument("tokenizer", type=Path, help="the tokenizer.json that prepare.py wrote")
    parser.add_argument("output", type=Path, help="the .gguf file to write; a .pth of its name comes beside it")
    parser.add_argument("--type", default="Q8_0", help="number format of the matrices [default: %(default)s]")
    parser.add_argument("--volary", default="volary", help="the volary command [default: %(default)s]")
    arguments = parser.parse_args()
    pth = arguments.output.with_suffix(".pth")
    write_pth(arguments.checkpoint, pth)
    options = ["--type", arguments.type, "--tokenizer", str(arguments.tokenizer)]
    subprocess.run([arguments.volary, "convert", str(pth), str(arguments.output), *options], check=True)


if __name__ == "__main__":
    main()
