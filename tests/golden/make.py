#!/usr/bin/env python3
"""Writes the golden files: tiny random models of every RWKV generation, and their logits by BlinkDL's `rwkv` package.

    pip install -r requirements.txt && python make.py

The weights of a model are rounded so that float16 and bfloat16 hold them exactly. All files of a model, whatever
their type and dtype, therefore hold the same numbers. Only v5.0 (float16) and v5.1 (float32) use their dtype to the
full.

One thing still depends on the dtype: for RWKV-4 to 6 the package normalizes the embedding in the checkpoint's own
precision, whatever it computes in later.
"""

import os
import pickle
import tempfile
import zipfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

import containers

HERE = Path(__file__).parent
N_VOCAB = 256
TOKENS = [(7919 * i + 13) % N_VOCAB for i in range(16)]
SHORT = {torch.float16: "fp16", torch.bfloat16: "bf16"}


class Draw:
    """Random tensors from one seeded generator."""

    def __init__(self, seed):
        self.generator = torch.Generator().manual_seed(seed)

    def normal(self, *shape, scale=1.0, mean=0.0):
        return mean + scale * torch.randn(*shape, generator=self.generator)

    def uniform(self, *shape):
        return torch.rand(*shape, generator=self.generator)

    def matrix(self, rows, cols, scale=1.0):
        """Keeps the size of what it multiplies."""
        return self.normal(rows, cols, scale=scale / max(rows, cols) ** 0.5)

    def norm(self, weights, name, size):
        weights[f"{name}.weight"] = self.normal(size, scale=0.1, mean=1.0)
        weights[f"{name}.bias"] = self.normal(size, scale=0.1)


def time_mix_v4_v5(draw, version, n_embd, head):
    n_head = n_embd // head
    per_head = {"v4": (n_embd,), "v5.0": (n_head,), "v5.1": (n_head,), "v5.2": (n_head, head)}[version]
    bonus = "time_first" if version in ("v4", "v5.0") else "time_faaaa"
    w = {"time_decay": draw.normal(*per_head, mean=-1.0), bonus: draw.normal(*per_head, scale=0.5)}
    for name in "kvr" if version in ("v4", "v5.0") else "kvrg":
        w[f"time_mix_{name}"] = draw.uniform(1, 1, n_embd)
    return w


def time_mix_v6(draw, n_embd, head):
    mix, decay = 8, 12  # low ranks, unlike each other and any released model's
    w = {f"time_maa_{name}": draw.uniform(1, 1, n_embd) for name in "xwkvrg"}
    w["time_maa_w1"] = draw.matrix(n_embd, 5 * mix)
    w["time_maa_w2"] = draw.normal(5, mix, n_embd, scale=0.3)
    w["time_decay"] = draw.normal(1, 1, n_embd, mean=-1.0)
    w["time_decay_w1"] = draw.matrix(n_embd, decay)
    w["time_decay_w2"] = draw.normal(decay, n_embd, scale=0.3)
    w["time_faaaa"] = draw.normal(n_embd // head, head, scale=0.5)
    return w


def time_mix_v7(draw, n_embd, head, layer):
    w = {f"x_{name}": draw.uniform(1, 1, n_embd) for name in "rwkvag"}
    for name, rank, mean in (("w", 12, -1.0), ("a", 8, 0.0), ("v", 4, 1.0), ("g", 20, None)):
        if name == "v" and layer == 0:  # unused there, and absent from many files
            continue
        if mean is not None:
            w[f"{name}0"] = draw.normal(1, 1, n_embd, scale=0.5, mean=mean)
        w[f"{name}1"] = draw.matrix(n_embd, rank)
        w[f"{name}2"] = draw.normal(rank, n_embd, scale=0.3)
    w["k_k"] = draw.normal(1, 1, n_embd, scale=0.1, mean=0.85)
    w["k_a"] = draw.normal(1, 1, n_embd, scale=0.1, mean=1.0)
    w["r_k"] = draw.normal(n_embd // head, head, scale=0.1)
    return w


def make_weights(version, seed, n_layer, n_embd, head, n_ffn):
    """A state dict under BlinkDL's names, float32."""
    draw = Draw(seed)
    weights = {"emb.weight": draw.normal(N_VOCAB, n_embd, scale=0.5)}
    for layer in range(n_layer):
        block = f"blocks.{layer}"
        for norm in ("ln0", "ln1", "ln2") if layer == 0 else ("ln1", "ln2"):
            draw.norm(weights, f"{block}.{norm}", n_embd)
        if version == "v7":
            att = time_mix_v7(draw, n_embd, head, layer)
        elif version == "v6":
            att = time_mix_v6(draw, n_embd, head)
        else:
            att = time_mix_v4_v5(draw, version, n_embd, head)
        weights |= {f"{block}.att.{name}": tensor for name, tensor in att.items()}
        gate = ["gate"] if version in ("v5.1", "v5.2", "v6") else []
        for name in ["receptance", "key", "value", *gate, "output"]:
            weights[f"{block}.att.{name}.weight"] = draw.matrix(n_embd, n_embd, scale=1.5)
        if version != "v4":
            draw.norm(weights, f"{block}.att.ln_x", n_embd)
        mixes = {"v7": ["x_k"], "v6": ["time_maa_k", "time_maa_r"]}.get(version, ["time_mix_k", "time_mix_r"])
        for name in mixes:
            weights[f"{block}.ffn.{name}"] = draw.uniform(1, 1, n_embd)
        weights[f"{block}.ffn.key.weight"] = draw.matrix(n_ffn, n_embd, scale=1.5)
        if version != "v7":
            weights[f"{block}.ffn.receptance.weight"] = draw.matrix(n_embd, n_embd)
        weights[f"{block}.ffn.value.weight"] = draw.matrix(n_embd, n_ffn)
    draw.norm(weights, "ln_out", n_embd)
    weights["head.weight"] = draw.matrix(N_VOCAB, n_embd, scale=8.0)
    return weights


def exact_in_16_bits(tensor):
    """Rounds to numbers that both float16 and bfloat16 hold."""
    rounded = torch.where(tensor.abs() < 2**-6, (tensor * 2**13).round() / 2**13, tensor).bfloat16().float()
    assert (rounded.half().float() == rounded).all()
    return rounded


def reference(version, weights, tuned=None):
    """By BlinkDL's package, computing in float32 and one token at a time: the logits, float32 `[n_tokens, n_vocab]`,
    and the state after the last token, its floats in rwkv.cpp's order."""
    os.environ.update(RWKV_JIT_ON="0", RWKV_CUDA_ON="0", RWKV_V7_ON=str(int(version == "v7")))
    from rwkv.model import RWKV  # reads the environment

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        torch.save(weights, f"{folder}/model.pth")
        model = RWKV(model=f"{folder}/model", strategy="cpu fp32")
    rows, state = [], None
    if tuned:
        _, state = model.forward([0], None)
        for layer in range(len(state) // 3):
            own = tuned[f"blocks.{layer}.att.time_state"].float()
            # Files hold [head, value, key]. The package's RWKV-7 wants just that, its RWKV-5 and 6 [head, key, value].
            own = own if version == "v7" else own.transpose(1, 2).contiguous()
            zeros = torch.zeros_like(state[3 * layer])
            state[3 * layer : 3 * layer + 3] = [zeros, own, zeros.clone()]
    for token in TOKENS:
        logits, state = model.forward([token], state)
        rows.append(logits.detach().float().numpy().reshape(-1))
    parts = 5 if version == "v4" else 3
    layers = [state[i : i + parts] for i in range(0, len(state), parts)]
    # The package lists each layer's previous rows as time mix first, channel mix last.
    floats = [part.float().numpy().reshape(-1) for layer in layers for part in [layer[-1], *layer[:-1]]]
    return np.stack(rows), np.concatenate(floats)


def in_new_process(*arguments):
    """The package decides at import which generations it runs."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(reference, *arguments).result()


def cast(weights, dtype):
    return {name: tensor.to(dtype) for name, tensor in weights.items()}


def make_model(version, seed, dtypes, rounded=True, **sizes):
    """A `.pth` in the first dtype, the logits in float32, and those that differ when the file is in one of `dtypes`."""
    weights = make_weights(version, seed, **sizes)
    weights = {k: exact_in_16_bits(v) if rounded else v.to(dtypes[0]).float() for k, v in weights.items()}
    torch.save(cast(weights, dtypes[0]), HERE / f"{version}.pth")
    logits, state = in_new_process(version, weights)
    np.save(HERE / f"{version}.logits.npy", logits)
    np.save(HERE / f"{version}.state.npy", state)
    for dtype in dtypes:
        if dtype in SHORT and version != "v7":
            logits, _ = in_new_process(version, cast(weights, dtype))
            np.save(HERE / f"{version}-{SHORT[dtype]}.logits.npy", logits)
    return weights


def make_tuned_state(version, seed, weights):
    n_layer = 1 + max(int(name.split(".")[1]) for name in weights if name.startswith("blocks."))
    n_head, head = weights["blocks.0.att." + ("r_k" if version == "v7" else "time_faaaa")].shape
    draw = Draw(seed)
    tuned = {
        f"blocks.{i}.att.time_state": draw.normal(n_head, head, head, scale=0.5).bfloat16() for i in range(n_layer)
    }
    torch.save(tuned, HERE / f"{version}-state.pth")
    logits, _ = in_new_process(version, cast(weights, torch.bfloat16), tuned)
    np.save(HERE / f"{version}-state.logits.npy", logits)


class RunsACommand:
    def __reduce__(self):
        return os.system, ("echo a checkpoint ran a command",)


def make_bad_files():
    """Well-formed archives that are no RWKV model, or attack the reader."""
    torch.save({"transformer.wte.weight": torch.zeros(4, 2)}, HERE / "not-rwkv.pth")
    with zipfile.ZipFile(HERE / "os-system.pth", "w") as archive:
        for name, data in (("data.pkl", pickle.dumps({"emb.weight": RunsACommand()}, 2)), ("version", b"3\n")):
            archive.writestr(zipfile.ZipInfo(f"archive/{name}"), data)


def main():
    small, wide = dict(n_embd=32, head=16, n_ffn=96), dict(n_embd=64, head=32, n_ffn=96)
    fp16, bf16 = torch.float16, torch.bfloat16
    v4 = make_model("v4", 4, [bf16, fp16], n_layer=2, **small)
    v5_0 = make_model("v5.0", 50, [fp16], rounded=False, n_layer=2, **small)
    make_model("v5.1", 51, [torch.float32], rounded=False, n_layer=2, **small)
    v5 = make_model("v5.2", 52, [bf16], n_layer=2, **small)
    v6 = make_model("v6", 6, [bf16], n_layer=3, **small)
    v7 = make_model("v7", 7, [bf16], n_layer=2, **wide)
    for seed, version, weights in ((152, "v5.2", v5), (160, "v6", v6), (170, "v7", v7)):
        make_tuned_state(version, seed, weights)
    containers.blinkdl_safetensors(v7, HERE / "v7.safetensors")
    containers.fla_safetensors(v7, HERE / "v7-fla")
    containers.transformers_safetensors(v4, HERE / "v4-transformers.safetensors")
    containers.gguf_v6(v6, HERE / "v6.gguf", rescale_every=2)
    containers.gguf_v7(v7, HERE / "v7.gguf")
    containers.rwkv_cpp(v4, HERE / "v4-100.bin", version=100, half=True)
    containers.rwkv_cpp(v4, HERE / "v4-101.bin", version=101, half=False)
    for version, weights in (("v5.0", v5_0), ("v5.2", v5), ("v6", v6), ("v7", v7)):
        containers.rwkv_cpp(weights, HERE / f"{version}-101.bin", version=101, half=True)
    make_bad_files()


if __name__ == "__main__":
    main()
