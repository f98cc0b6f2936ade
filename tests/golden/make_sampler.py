"""Writes sampler.json: distributions that the sampler must reproduce.

Run with numpy, torch and rwkv (see requirements.txt):  python make_sampler.py
Where BlinkDL's sampler can express a case, what it hands to its random choice must agree with ours, or this stops.
"""

import json
import pathlib

import numpy as np
import torch
from rwkv.utils import PIPELINE

N_VOCAB = 48
# What the tokens stand for, as far as the penalties care: digits, spaces, and everything else.
TEXTS = ["", " ", "\t", "7", "12", " 1", "\t0", "1a"] + [f"w{i}" for i in range(8, N_VOCAB)]


def penalized(logits, history, case):
    """The penalties of PIPELINE.generate, after its loop has generated `history`; ours before them."""
    out = logits.astype(np.float64).copy()
    for token, bias in case["logit_bias"]:
        out[token] += bias
    out[case["banned_tokens"]] = -np.inf
    occurrence = {}
    for token in history:
        for other in occurrence:
            occurrence[other] *= case["penalty_decay"]
        occurrence[token] = occurrence.get(token, 0) + (0 if TEXTS[token] in " \t0123456789" else 1)
    for token, count in occurrence.items():
        out[token] = (
            out[token] / case["repetition_penalty"] if out[token] > 0 else out[token] * case["repetition_penalty"]
        )
        out[token] -= case["presence_penalty"] + count * case["frequency_penalty"]
    return out


def distribution(logits, case):
    if case["temperature"] == 0:
        p = np.zeros(len(logits))
        p[np.argmax(logits)] = 1
        return p
    p = np.exp(logits - logits.max())
    p /= p.sum()
    order = np.argsort(-p, kind="stable")
    if case["top_p"] < 1:
        cut = p[order][np.argmax(np.cumsum(p[order]) >= case["top_p"])]
        p[p < cut] = 0
    if 0 < case["top_k"] < len(p):
        p[order[case["top_k"] :]] = 0
    p[p < case["min_p"] * p.max()] = 0
    p = p ** (1 / case["temperature"])
    return p / p.sum()


def blinkdl(logits, case):
    """What PIPELINE.sample_logits would draw from."""
    seen = []
    choice, np.random.choice = np.random.choice, lambda a, p: seen.append(p) or 0
    PIPELINE.sample_logits(
        None, torch.tensor(logits, dtype=torch.float32), case["temperature"], case["top_p"], case["top_k"]
    )
    np.random.choice = choice
    return seen[0]


def main():
    rng = np.random.default_rng(2023)
    plain = dict(
        temperature=1.0,
        top_p=1.0,
        top_k=0,
        min_p=0.0,
        presence_penalty=0.0,
        frequency_penalty=0.0,
        penalty_decay=0.996,
        repetition_penalty=1.0,
        banned_tokens=[],
        logit_bias=[],
    )
    history = [9, 3, 9, 4, 11, 5, 0, 7, 9, 1, 12, 6, 2, 11]
    penalties = dict(presence_penalty=0.4, frequency_penalty=0.7)
    settings = [
        {},
        {"top_p": 0.85},
        {"top_p": 0.3},
        {"top_p": 0.0},
        {"top_p": 0.999},
        {"top_k": 1},
        {"top_k": 5},
        {"top_k": 1000},
        {"top_k": 48},
        {"top_k": 7, "top_p": 0.5},
        {"temperature": 0.0},
        {"temperature": 0.1},
        {"temperature": 0.7, "top_p": 0.6},
        {"temperature": 2.5, "top_p": 0.9, "top_k": 20},
        {"min_p": 0.1},
        {"min_p": 1.0},
        {"min_p": 0.05, "top_p": 0.95, "temperature": 1.7},
        penalties,
        {**penalties, "penalty_decay": 0.5},
        {**penalties, "penalty_decay": 1.0, "top_p": 0.7},
        {"penalty_decay": 0.0, "frequency_penalty": 2.0},
        {"presence_penalty": -0.5, "frequency_penalty": -0.25},
        {"repetition_penalty": 1.3},
        {"repetition_penalty": 0.8, **penalties, "top_p": 0.8},
        {"banned_tokens": [0, 9, 47], "top_p": 0.9},
        {"logit_bias": [[8, 5.0], [9, -5.0]], "top_p": 0.9},
        {"logit_bias": [[2, 1.5]], "banned_tokens": [3], **penalties, "temperature": 1.2, "top_p": 0.5},
    ]
    all_logits, cases, compared = {}, [], 0
    for kind in ["normal", "ties", "flat", "peaked"]:
        logits = (
            rng.normal(size=N_VOCAB).astype(np.float32) * {"normal": 2, "ties": 2, "flat": 0.01, "peaked": 15}[kind]
        )
        if kind == "ties":
            logits = np.round(logits)
        all_logits[kind] = [float(f"{x:.9g}") for x in logits]
        for setting in settings:
            case = {**plain, **setting}
            if kind == "ties" and 0 < case["top_k"] < N_VOCAB:
                continue  # which of equal tokens a top-k keeps is ours to define; BlinkDL's is an accident
            adjusted = penalized(logits, history, case)
            p = distribution(adjusted, case)
            unique = (adjusted == adjusted.max()).sum() == 1 or case["temperature"] != 0
            if case["top_p"] < 1 and case["min_p"] == 0 and unique:
                error = np.abs(blinkdl(adjusted, case) - p).max()
                assert error < 1e-6, (kind, setting, error)
                compared += 1
            cases.append(
                {
                    "options": case,
                    "logits": kind,
                    "expected": [[int(i), float(f"{p[i]:.8g}")] for i in np.flatnonzero(p > 0)],
                }
            )
    path = pathlib.Path(__file__).with_name("sampler.json")
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    head = json.dumps({"texts": TEXTS, "history": history, "logits": all_logits}, separators=(",", ":"))
    path.write_text(f'{head[:-1]},"cases":[\n{lines}\n]}}\n')
    print(f"{len(cases)} cases, {compared} of them compared with BlinkDL's sampler")


if __name__ == "__main__":
    main()
