#!/usr/bin/env python3
"""Writes `lora/`: LoRAs and their relatives for the golden models, and what merging them must give.

    pip install -r requirements.txt && python make_lora.py

The merges follow the scripts of the trainers (Blealtan/RWKV-LM-LoRA `merge_lora.py`, JL-er/RWKV-PEFT `merge/`) step by
step, but in float64 and rounded once: to the base's bfloat16. `NAME.merged.safetensors` has the tensors that change, as
the merged checkpoint stores them; `NAME.logits.npy` is what BlinkDL's `rwkv` package computes with it.
"""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from make import Draw, in_new_process

HERE = Path(__file__).parent
OUT = HERE / "lora"
BF16 = torch.bfloat16


def add_lora(w, a, b, alpha):
    r = b.shape[1]
    assert a.shape[0] == r
    return w + b @ a * (alpha / r)


def add_pissa(w, a, b, init_a, init_b):
    return w - init_b @ init_a + b @ a


def add_disha(w, d):
    r, _ = d.shape
    n_in = w.size(-1)
    whole = n_in // r * r
    blocks = w[:, :whole].reshape(-1, whole // r, r).permute(1, 2, 0) + d
    merged = blocks.permute(2, 0, 1).reshape(-1, whole)
    return torch.cat([merged, w[:, whole:] + d.transpose(0, 1)[:, : n_in % r]], dim=1)


def add_bat(w, d):
    _, r, _ = d.shape
    n_out, n_in = w.shape
    blocks = w.reshape(n_out // r, r, n_in // r, r).transpose(1, 2)
    added = blocks @ d + d
    return w + added.transpose(1, 2).reshape(n_out, n_in)


def write(name, base, trained, merged, prefix="", with_logits=False):
    """`merged`: name to float64 matrix; the other tensors of `trained` that the base has replace the base's."""
    torch.save({prefix + key: tensor for key, tensor in trained.items()}, OUT / f"{name}.pth")
    changed = {key: tensor.to(BF16) for key, tensor in merged.items()}
    changed |= {key: tensor for key, tensor in trained.items() if key in base}
    save_file({key: tensor.contiguous() for key, tensor in changed.items()}, OUT / f"{name}.merged.safetensors")
    if with_logits:
        logits, _ = in_new_process(name.split("-")[0], base | changed)
        np.save(OUT / f"{name}.logits.npy", logits)


def load(name):
    return torch.load(HERE / name, weights_only=True)


def v4_lora():
    """As Blealtan's fork saves it, with `--lora_parts att,ffn,time,ln`: bfloat16 factors and whole small tensors."""
    base, draw, alpha, r = load("v4.pth"), Draw(404), 3.0, 2
    trained, merged = {}, {}
    for matrix in ("blocks.0.att.key", "blocks.1.att.receptance", "blocks.1.ffn.value"):
        w = base[f"{matrix}.weight"]
        trained[f"{matrix}.lora_A"] = draw.normal(r, w.shape[1], scale=0.3).to(BF16)
        trained[f"{matrix}.lora_B"] = draw.normal(w.shape[0], r, scale=0.3).to(BF16)
        a, b = (trained[f"{matrix}.lora_{x}"].double() for x in "AB")
        merged[f"{matrix}.weight"] = add_lora(w.double(), a, b, alpha)
    for whole in (
        "blocks.0.att.time_decay",
        "blocks.1.att.time_first",
        "blocks.0.att.time_mix_k",
        "blocks.1.ln2.weight",
    ):
        trained[whole] = (base[whole].float() + draw.normal(*base[whole].shape, scale=0.2)).to(BF16)
    write("v4-lora", base, trained, merged, with_logits=True)


def v7_lora():
    """As RWKV-PEFT saves it from Lightning: float32, every name behind `model.`."""
    base, draw, alpha, r = load("v7.pth"), Draw(707), 32.0, 4
    trained, merged = {}, {}
    for matrix in ("blocks.0.att.output", "blocks.1.ffn.key"):
        w = base[f"{matrix}.weight"]
        trained[f"{matrix}.lora_A"] = draw.normal(r, w.shape[1], scale=0.1)
        trained[f"{matrix}.lora_B"] = draw.normal(w.shape[0], r, scale=0.1)
        a, b = (trained[f"{matrix}.lora_{x}"].double() for x in "AB")
        merged[f"{matrix}.weight"] = add_lora(w.double(), a, b, alpha)
    for whole in (
        "blocks.0.att.x_r",
        "blocks.1.att.w1",
        "blocks.1.att.w0",
        "blocks.0.att.r_k",
        "blocks.0.att.ln_x.bias",
    ):
        trained[whole] = base[whole].float() + draw.normal(*base[whole].shape, scale=0.1)
    write("v7-lora", base, trained, merged, prefix="model.", with_logits=True)


def v7_pissa():
    base, draw, r, matrix = load("v7.pth"), Draw(717), 4, "blocks.1.att.key"
    w = base[f"{matrix}.weight"]
    u, s, v = torch.linalg.svd(w.float())
    init_a = (s[:r].sqrt()[:, None] * v[:r]).to(BF16)
    init_b = (u[:, :r] * s[:r].sqrt()).to(BF16)
    a, b = (x.float() + draw.normal(*x.shape, scale=0.1) for x in (init_a, init_b))
    a, b = a.to(BF16), b.to(BF16)
    torch.save({f"{matrix}.init_lora_A": init_a, f"{matrix}.init_lora_B": init_b}, OUT / "v7-pissa-init.pth")
    merged = add_pissa(*(x.double() for x in (w, a, b, init_a, init_b)))
    write("v7-pissa", base, {f"{matrix}.lora_A": a, f"{matrix}.lora_B": b}, {f"{matrix}.weight": merged})


def v7_disha():
    """A rank that divides 96 inputs, but not 64."""
    base, draw, r = load("v7.pth"), Draw(727), 24
    trained, merged = {}, {}
    for matrix, kind in (("blocks.0.att.value", "disha"), ("blocks.1.ffn.value", "bone")):
        w = base[f"{matrix}.weight"]
        trained[f"{matrix}.{kind}"] = draw.normal(r, w.shape[0], scale=0.1).to(BF16)
        merged[f"{matrix}.weight"] = add_disha(w.double(), trained[f"{matrix}.{kind}"].double())
    write("v7-disha", base, trained, merged)


def v7_bat():
    base, draw, r, matrix = load("v7.pth"), Draw(737), 16, "blocks.1.ffn.value"
    w = base[f"{matrix}.weight"]
    disha = draw.normal(w.shape[1] // r, r, r, scale=0.1).to(BF16)
    write("v7-bat", base, {f"{matrix}.disha": disha}, {f"{matrix}.weight": add_bat(w.double(), disha.double())})


def main():
    OUT.mkdir(exist_ok=True)
    for make in (v4_lora, v7_lora, v7_pissa, v7_disha, v7_bat):
        make()


if __name__ == "__main__":
    main()
