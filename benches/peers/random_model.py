"""Writes an RWKV-7 of random weights as .safetensors: speed does not depend on their values.

python benches/peers/random_model.py --layers 24 --width 1024 random-0.4B.safetensors
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

HEAD_SIZE = 64


def rank(width: int, factor: float, power: float) -> int:
    """Ranks of the low-rank pairs, as RWKV-LM chooses them."""
    return max(32, round(factor * width**power / 32) * 32)


def tensors(layers: int, width: int, vocabulary: int, seed: int) -> Iterator[tuple[str, np.ndarray]]:
    """Every tensor of the model, by RWKV-LM's names."""
    generator = np.random.default_rng(seed)

    def normal(*shape: int, scale: float = 1.0, mean: float = 0.0) -> np.ndarray:
        numbers = generator.standard_normal(shape, dtype=np.float32)
        return (numbers * scale + mean).astype(np.float16)

    def matrix(rows: int, columns: int) -> np.ndarray:
        return normal(rows, columns, scale=columns**-0.5)

    def norm(name: str) -> Iterator[tuple[str, np.ndarray]]:
        yield f"{name}.weight", normal(width, scale=0.1, mean=1.0)
        yield f"{name}.bias", normal(width, scale=0.1)

    decay, value, gate = rank(width, 1.8, 0.5), rank(width, 1.3, 0.5), rank(width, 0.6, 0.8)
    ranks = {"w": decay, "a": decay, "v": value, "g": gate}
    yield "emb.weight", normal(vocabulary, width, scale=0.5)
    yield from norm("blocks.0.ln0")
    for layer in range(layers):
        att, ffn = f"blocks.{layer}.att", f"blocks.{layer}.ffn"
        yield from norm(f"blocks.{layer}.ln1")
        yield from norm(f"blocks.{layer}.ln2")
        for name in "rwkvag":
            yield f"{att}.x_{name}", generator.random((1, 1, width), dtype=np.float32).astype(np.float16)
        for name, of in ranks.items():
            if name == "v" and layer == 0:
                continue
            if name != "g":
                yield f"{att}.{name}0", normal(1, 1, width, mean=-1.0 if name == "w" else 0.0)
            yield f"{att}.{name}1", normal(width, of, scale=0.5 * width**-0.5)
            yield f"{att}.{name}2", normal(of, width, scale=0.5 * of**-0.5)
        yield f"{att}.k_k", normal(1, 1, width, scale=0.05, mean=0.85)
        yield f"{att}.k_a", normal(1, 1, width, scale=0.05, mean=1.0)
        yield f"{att}.r_k", normal(width // HEAD_SIZE, HEAD_SIZE, scale=0.1)
        for name in ("receptance", "key", "value", "output"):
            yield f"{att}.{name}.weight", matrix(width, width)
        yield from norm(f"{att}.ln_x")
        yield f"{ffn}.x_k", generator.random((1, 1, width), dtype=np.float32).astype(np.float16)
        yield f"{ffn}.key.weight", matrix(4 * width, width)
        yield f"{ffn}.value.weight", matrix(width, 4 * width)
    yield from norm("ln_out")
    yield "head.weight", matrix(vocabulary, width)


def write(path: Path, layers: int, width: int, vocabulary: int = 65536, seed: int = 1) -> None:
    """Writes the model, in half precision."""
    save_file(dict(tensors(layers, width, vocabulary, seed)), path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path)
    parser.add_argument("--layers", type=int, default=24)
    parser.add_argument("--width", type=int, default=1024)
    arguments = parser.parse_args()
    write(arguments.path, arguments.layers, arguments.width)
