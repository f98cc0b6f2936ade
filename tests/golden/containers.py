"""Writers of the file types that RWKV models come in, from a float32 state dict under BlinkDL's names.

The facts are rwkv.cpp's (docs/FILE_FORMAT.md, convert_pytorch_to_ggml.py), llama.cpp's (conversion/rwkv.py), fla's
(utils/convert_from_rwkv7.py) and transformers' (convert_rwkv_checkpoint_to_hf.py).
"""

import json
import struct

import gguf
import numpy as np
import torch
from safetensors.torch import save_file


def n_layer(weights):
    return 1 + max(int(name.split(".")[1]) for name in weights if name.startswith("blocks."))


def renamed(name, table):
    for old, new in table:
        name = name.replace(old, new)
    return name


# .safetensors


def save(tensors, dtype, path):
    save_file({name: tensor.to(dtype).contiguous() for name, tensor in tensors.items()}, path, {"format": "pt"})
    path.chmod(0o644)


def blinkdl_safetensors(weights, path):
    save(weights, torch.bfloat16, path)


FLA_NAMES = [
    ("emb.weight", "model.embeddings.weight"),
    ("head.weight", "lm_head.weight"),
    ("ln_out", "model.norm"),
    ("blocks.", "model.layers."),
    (".att.ln_x", ".attn.g_norm"),
    (".att.", ".attn."),
    (".ln0", ".pre_norm"),
    (".ln1", ".attn_norm"),
    (".ln2", ".ffn_norm"),
]


def to_fla(name, tensor):
    *_, part, last = name.split(".")
    name = renamed(name, FLA_NAMES)
    if ".attn." not in name:
        return name, tensor
    stem = name.rsplit(".", 1)[0]
    if part in ("receptance", "key", "value", "output"):
        return name.replace(f".{part}.", f".{part[0]}_proj."), tensor
    if last in ("w0", "a0", "v0"):
        return f"{stem}.{last[0]}_lora.lora.2.bias", tensor.squeeze()
    if last[0] in "wavg" and last[1:] in ("1", "2"):
        return f"{stem}.{last[0]}_lora.lora.{'0' if last[1] == '1' else '2'}.weight", tensor.T
    return name, tensor.squeeze() if last in ("k_k", "k_a") else tensor


def fla_safetensors(weights, folder):
    """Two shards and their index, as large models come."""
    folder.mkdir(exist_ok=True)
    tensors = dict(to_fla(*item) for item in weights.items())
    names = sorted(tensors)
    shards = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for shard, own in shards.items():
        save({name: tensors[name] for name in own}, torch.float16, folder / shard)
    size = sum(2 * tensor.numel() for tensor in tensors.values())
    index = {
        "metadata": {"total_size": size},
        "weight_map": {name: shard for shard, own in shards.items() for name in own},
    }
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=1, sort_keys=True) + "\n")


TRANSFORMERS_NAMES = [
    ("emb.", "rwkv.embeddings."),
    ("ln_out", "rwkv.ln_out"),
    ("blocks.0.ln0", "blocks.0.pre_ln"),
    ("blocks.", "rwkv.blocks."),
    (".att.", ".attention."),
    (".ffn.", ".feed_forward."),
    (".time_mix_k", ".time_mix_key"),
    (".time_mix_v", ".time_mix_value"),
    (".time_mix_r", ".time_mix_receptance"),
]


def transformers_safetensors(weights, path):
    save({renamed(name, TRANSFORMERS_NAMES): tensor for name, tensor in weights.items()}, torch.float16, path)


# rwkv.cpp

RWKV_CPP_ALWAYS_FP32 = (".time_", ".k_k", ".k_a", ".r_k", ".x_rwkvag", ".x_k", ".w0", ".a0", ".v0")


def to_rwkv_cpp(weights):
    """Names and numbers as rwkv.cpp's converter leaves them."""
    if "blocks.0.att.r_k" in weights:
        return dict(rwkv_cpp_v7(weights))
    v6 = "blocks.0.att.time_maa_x" in weights
    v5 = "blocks.0.att.ln_x.weight" in weights and not v6
    out = {}
    for name, tensor in weights.items():
        if ".time_" in name:
            tensor = tensor.squeeze()
        if v6:
            if name.endswith(("time_maa_w1", "time_decay_w1", "time_decay_w2")):
                tensor = tensor.T
            elif name.endswith("time_maa_w2"):
                tensor = tensor.transpose(1, 2)
            elif name.endswith("time_decay"):
                tensor = tensor.reshape(*weights["blocks.0.att.time_faaaa"].shape, 1)
            elif name.endswith("time_faaaa"):
                tensor = tensor.unsqueeze(-1)
        elif v5 and name.endswith("time_decay"):
            tensor = rwkv_cpp_per_head(torch.exp(-torch.exp(tensor)))
        elif v5 and name.endswith(("time_first", "time_faaaa")):
            tensor = rwkv_cpp_per_head(torch.exp(tensor) if name.endswith("time_first") else tensor)
        elif name.endswith("time_decay"):
            tensor = -torch.exp(tensor)
        out[name] = tensor
    return out


def rwkv_cpp_per_head(tensor):
    """[n_head, head_size, 1], or [n_head, 1, 1] where a head has one number."""
    return tensor.reshape(tensor.shape[0], -1, 1)


def rwkv_cpp_v7(weights):
    for name, tensor in weights.items():
        stem, last = name.rsplit(".", 1)
        if last in ("w1", "w2", "a1", "a2", "v1", "v2", "g1", "g2"):
            yield name, tensor.T
        elif last == "x_r" and stem.endswith("att"):
            yield f"{stem}.x_rwkvag", torch.cat([weights[f"{stem}.x_{x}"] for x in "rwkvag"])
        elif not (last.startswith("x_") and stem.endswith("att")):
            yield name, tensor


def rwkv_cpp(weights, path, version, half):
    vocab, embd = weights["emb.weight"].shape
    with open(path, "wb") as file:
        file.write(struct.pack("<6I", 0x67676D66, version, vocab, embd, n_layer(weights), int(half)))
        for name, tensor in to_rwkv_cpp(weights).items():
            half_tensor = half and tensor.dim() > 1 and not any(part in name for part in RWKV_CPP_ALWAYS_FP32)
            data = tensor.contiguous().numpy().astype("<f2" if half_tensor else "<f4")
            key = name.encode()
            dims = reversed(data.shape)
            file.write(
                struct.pack(f"<3I{data.ndim}I", data.ndim, len(key), int(half_tensor), *dims) + key + data.tobytes()
            )


# GGUF


class Gguf:
    """A GGUF file of llama.cpp's RWKV architectures, matrices in float16."""

    def __init__(self, path, architecture, weights, head):
        self.weights = weights
        self.writer = writer = gguf.GGUFWriter(path, architecture)
        vocab, embd = weights["emb.weight"].shape
        writer.add_context_length(1048576)
        writer.add_embedding_length(embd)
        writer.add_block_count(n_layer(weights))
        writer.add_layer_norm_eps(1e-5)
        writer.add_wkv_head_size(head)
        writer.add_feed_forward_length(weights["blocks.0.ffn.key.weight"].shape[0])
        writer.add_head_count(0)
        writer.add_file_type(1)
        # As in the World vocabulary: end of text, then the single bytes; here nothing else, and no room for 0xFF.
        tokens = [b"<s>"] + [repr(bytes([byte]))[2:-1].encode() for byte in range(vocab - 1)]
        types = [gguf.TokenType.CONTROL] + [gguf.TokenType.NORMAL] * (vocab - 1)
        writer.add_tokenizer_model("rwkv")
        writer.add_token_list(tokens)
        writer.add_token_types(types)
        writer.add_bos_token_id(0)
        writer.add_eos_token_id(0)
        self.put("token_embd.weight", weights["emb.weight"], half=True)
        self.norm("token_embd_norm", "blocks.0.ln0")
        self.norm("output_norm", "ln_out")
        self.put("output.weight", weights["head.weight"], half=True)

    def put(self, name, tensor, half=False):
        self.writer.add_tensor(name, tensor.contiguous().numpy().astype(np.float16 if half else np.float32))

    def norm(self, name, source):
        for part in ("weight", "bias"):
            self.put(f"{name}.{part}", self.weights[f"{source}.{part}"])

    def matrices(self, layer, prefix, source, names, scale=1.0):
        for name in names:
            tensor = self.weights[f"blocks.{layer}.{source}.{name}.weight"]
            divided = scale if name == ("output" if source == "att" else "value") else 1.0
            self.put(f"blk.{layer}.{prefix}_{name}.weight", tensor * divided, half=True)

    def norms(self, layer):
        self.norm(f"blk.{layer}.attn_norm", f"blocks.{layer}.ln1")
        self.norm(f"blk.{layer}.attn_norm_2", f"blocks.{layer}.ln2")
        self.norm(f"blk.{layer}.time_mix_ln", f"blocks.{layer}.att.ln_x")

    def close(self):
        self.writer.write_header_to_file()
        self.writer.write_kv_data_to_file()
        self.writer.write_tensors_to_file()
        self.writer.close()


def gguf_v6(weights, path, rescale_every):
    head = weights["blocks.0.att.time_faaaa"].shape[1]
    file = Gguf(path, "rwkv6", weights, head)
    file.writer.add_rescale_every_n_layers(rescale_every)
    file.writer.add_time_mix_extra_dim(weights["blocks.0.att.time_maa_w1"].shape[1] // 5)
    file.writer.add_time_decay_extra_dim(weights["blocks.0.att.time_decay_w1"].shape[1])
    for layer in range(n_layer(weights)):
        att = lambda name: weights[f"blocks.{layer}.att.{name}"]
        block, scale = f"blk.{layer}", 0.5 ** (layer // rescale_every)
        file.norms(layer)
        file.put(f"{block}.time_mix_lerp_x.weight", att("time_maa_x").squeeze())
        fused = torch.stack([att(f"time_maa_{x}").reshape(1, 1, -1) for x in "wkvrg"])
        file.put(f"{block}.time_mix_lerp_fused.weight", fused)
        file.put(f"{block}.time_mix_w1.weight", att("time_maa_w1").T, half=True)
        file.put(f"{block}.time_mix_w2.weight", att("time_maa_w2").transpose(1, 2), half=True)
        file.put(f"{block}.time_mix_first.weight", att("time_faaaa"))
        file.put(f"{block}.time_mix_decay.weight", att("time_decay").squeeze())
        for i in "12":
            file.put(f"{block}.time_mix_decay_w{i}.weight", att(f"time_decay_w{i}").T, half=True)
        file.matrices(layer, "time_mix", "att", ("receptance", "key", "value", "gate", "output"), scale)
        for x in "kr":
            file.put(f"{block}.channel_mix_lerp_{x}.weight", weights[f"blocks.{layer}.ffn.time_maa_{x}"].squeeze())
        file.matrices(layer, "channel_mix", "ffn", ("receptance", "key", "value"), scale)
    file.close()


def gguf_v7(weights, path):
    file = Gguf(path, "rwkv7", weights, weights["blocks.0.att.r_k"].shape[1])
    file.writer.add_decay_lora_rank(weights["blocks.0.att.w1"].shape[1])
    file.writer.add_iclr_lora_rank(weights["blocks.0.att.a1"].shape[1])
    file.writer.add_value_residual_mix_lora_rank(weights["blocks.1.att.v1"].shape[1])
    file.writer.add_gate_lora_rank(weights["blocks.0.att.g1"].shape[1])
    for layer in range(n_layer(weights)):
        att = lambda name: weights[f"blocks.{layer}.att.{name}"]
        block = f"blk.{layer}"
        file.norms(layer)
        fused = torch.stack([att(f"x_{x}").reshape(1, 1, -1) for x in "rwkvag"])
        file.put(f"{block}.time_mix_lerp_fused.weight", fused)
        for x in "wavg":
            # llama.cpp wants the value residual in every layer; its converter fills the unused first one with `a`'s.
            source = "a" if x == "v" and layer == 0 else x
            if x != "g":
                file.put(f"{block}.time_mix_{x}0.weight", att(f"{source}0").flatten())
            for i in "12":
                file.put(f"{block}.time_mix_{x}{i}.weight", att(f"{source}{i}").T, half=True)
        for name in ("k_k", "k_a", "r_k"):
            file.put(f"{block}.time_mix_{name}.weight", att(name).flatten())
        file.matrices(layer, "time_mix", "att", ("receptance", "key", "value", "output"))
        file.put(f"{block}.channel_mix_lerp_k.weight", weights[f"blocks.{layer}.ffn.x_k"].reshape(1, 1, -1))
        file.matrices(layer, "channel_mix", "ffn", ("key", "value"))
    file.close()
