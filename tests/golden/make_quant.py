"""Writes quant/: what ggml makes of 15 rows of 256 numbers in each format, and a checksum of what it reads back.

Run with llama-cpp-python (see requirements.txt):  python make_quant.py
The rows are those of `rows` in src/quant/encode/tests/golden.rs; both compute them exactly.
"""

import ctypes
import json
import pathlib

import llama_cpp
import numpy as np

LEN = 256
# ggml's number of each format, and the name its decoder goes by.
FORMATS = {
    "Q4_0": (2, "q4_0"), "Q4_1": (3, "q4_1"), "Q5_0": (6, "q5_0"), "Q5_1": (7, "q5_1"), "Q8_0": (8, "q8_0"),
    "Q2_K": (10, "q2_K"), "Q3_K": (11, "q3_K"), "Q4_K": (12, "q4_K"), "Q5_K": (13, "q5_K"), "Q6_K": (14, "q6_K"),
    "IQ4_NL": (20, "iq4_nl"),
}  # fmt: skip
BITS = {"Q4_0": 4.5, "Q4_1": 5, "Q5_0": 5.5, "Q5_1": 6, "Q8_0": 8.5, "IQ4_NL": 4.5,
        "Q2_K": 2.625, "Q3_K": 3.4375, "Q4_K": 4.5, "Q5_K": 5.5, "Q6_K": 6.5625}  # fmt: skip


def noise(seed):
    """Numbers between -1 and 1, of 24 bits."""
    x = (seed * 2_654_435_769 + 12_345) % 2**32
    numbers = []
    for _ in range(LEN):
        x = (x * 1_664_525 + 1_013_904_223) % 2**32
        numbers.append((x >> 8) / 2**23 - 1.0)
    return np.array(numbers, dtype=np.float32)


def rows():
    u = [noise(seed) for seed in range(8)]
    bell = (u[0] + u[1]) + (u[2] + u[3])
    heavy = u[4] * u[4] * u[4] * u[4] * u[4]
    outlier = u[5] * np.float32(2**-10)
    outlier[77] = 3.0
    zeros = np.zeros(LEN, dtype=np.float32)
    signed_zeros = np.where(u[6] < 0, np.float32(-0.0), np.float32(0.0))
    sparse = np.where(np.abs(u[6]) < 0.9, np.float32(0.0), u[7])
    return np.stack([
        bell, heavy, outlier, zeros, signed_zeros, zeros - np.float32(0.37), -np.abs(bell), np.abs(heavy), sparse,
        np.round(bell * np.float32(4)) / np.float32(8), bell + np.float32(5), bell * np.float32(2**-21),
        bell * np.float32(2**-60), heavy * bell, bell * np.float32(2**25),
    ])  # fmt: skip


def fnv(data):
    digest = 0xCBF29CE484222325
    for byte in data:
        digest = ((digest ^ byte) * 0x100000001B3) % 2**64
    return digest


def main():
    ggml = ctypes.CDLL(pathlib.Path(llama_cpp.__file__).parent / "lib" / "libggml-base.so")
    ggml.ggml_quantize_chunk.restype = ctypes.c_size_t
    target = pathlib.Path(__file__).with_name("quant")
    target.mkdir(exist_ok=True)
    x = np.ascontiguousarray(rows(), dtype=np.float32)
    checksums = {}
    for name, (number, decoder) in FORMATS.items():
        blocks = np.zeros(int(x.size * BITS[name] / 8), dtype=np.uint8)
        pointers = [ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(blocks.ctypes.data)]
        size = [ctypes.c_int64(n) for n in (0, len(x), LEN)]
        written = ggml.ggml_quantize_chunk(number, *pointers, *size, None)
        assert written == blocks.size, (name, written, blocks.size)
        blocks.tofile(target / f"{name}.bin")
        # The last row overflows half precision, and NaN are not all alike.
        decoded = np.zeros((len(x) - 1, LEN), dtype=np.float32)
        decode = getattr(ggml, f"dequantize_row_{decoder}")
        decode(ctypes.c_void_p(blocks.ctypes.data), ctypes.c_void_p(decoded.ctypes.data), ctypes.c_int64(decoded.size))
        assert np.isfinite(decoded).all(), name
        checksums[name] = f"{fnv(decoded.tobytes()):016x}"
    (target / "decoded.json").write_text(json.dumps(checksums, indent=1) + "\n")


if __name__ == "__main__":
    main()
