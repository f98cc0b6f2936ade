#!/usr/bin/env python3
"""Write src/tokenizer/world_vocab.bin from the World vocabulary in the PyPI package `rwkv`.

  tools/world_vocab.py [--wheel FILE] [--check]

Without --wheel the pinned package is downloaded with pip. --check compares with the committed file instead of writing.

The packed form holds the tokens in ascending order of their bytes, each as
  u8 S * 16 + N, then N bytes: the first S bytes of the token before it, and these; or, where S or N is 15 or more,
  u8 255, u8 S, u8 N, then N bytes.
It needs no ids: ordered by length, and tokens of one length by their bytes, the tokens are 1, 2, 3, …
"""

import argparse
import ast
import hashlib
import os
import pathlib
import subprocess
import sys
import tempfile
import zipfile

PACKAGE = "rwkv==0.8.32"
MEMBER = "rwkv/rwkv_vocab_v20230424.txt"
SHA256 = "8324476023347dec2964625ccb2075c864d250a9c6d9a74f36daba628de8c008"
TARGET = pathlib.Path(__file__).parent.parent / "src/tokenizer/world_vocab.bin"


def vocabulary(wheel):
    text = zipfile.ZipFile(wheel).read(MEMBER)
    found = hashlib.sha256(text).hexdigest()
    if found != SHA256:
        sys.exit(f"{wheel}: {MEMBER} has the SHA-256 {found}, not {SHA256}")
    tokens = []
    for line in text.decode("utf-8").split("\n"):
        line = line.rstrip("\r")
        if not line:
            continue
        first, last = line.index(" "), line.rindex(" ")
        token = ast.literal_eval(line[first:last].strip())
        token = token.encode("utf-8") if isinstance(token, str) else token
        assert len(token) == int(line[last:]) and int(line[:first]) == len(tokens) + 1, line
        tokens.append(token)
    return tokens


def packed(tokens):
    assert tokens == sorted(tokens, key=lambda token: (len(token), token))
    out, previous = bytearray(), b""
    for token in sorted(tokens):
        shared = len(os.path.commonprefix([token, previous]))  # noqa: RUF071 (bytes, no paths)
        suffix = token[shared:]
        small = shared < 15 and len(suffix) < 15
        out += bytes([shared << 4 | len(suffix)] if small else [255, shared, len(suffix)]) + suffix
        previous = token
    return bytes(out)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheel")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wheel = options.wheel
        if not wheel:
            subprocess.check_call([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder, PACKAGE])
            (wheel,) = pathlib.Path(folder).glob("*.whl")
        data = packed(vocabulary(wheel))
    if not options.check:
        TARGET.write_bytes(data)
    elif TARGET.read_bytes() != data:
        sys.exit(f"{TARGET} is not what {PACKAGE} gives; run this script without --check")
    print(f"{TARGET.name}: {len(data)} bytes, SHA-256 {hashlib.sha256(data).hexdigest()}")


if __name__ == "__main__":
    main()
