"""Writes world_tokenizer.json: texts, and the ids that PyPI rwkv's own World tokenizer gives them.

Run with rwkv (see requirements.txt):  python make_world_tokenizer.py
With --random N it writes N random texts and their ids to standard output instead, one a line, for a longer check.
"""

import contextlib
import json
import pathlib
import random
import sys

import rwkv
from rwkv.rwkv_tokenizer import TRIE_TOKENIZER

VOCABULARY = pathlib.Path(rwkv.__file__).parent / "rwkv_vocab_v20230424.txt"

BY_HAND = [
    "",
    " ",
    "  ",
    "\n",
    "\n\n",
    "\n\n\n",
    "\r\n",
    "\r",
    "\t",
    "\0",
    "\x7f",
    "\u0080",
    "\x1b[0m",
    "User",
    ":",
    "User: hi\n\nAssistant:",
    "Hello, world!",
    " Hello",
    "hello" * 20,
    "a" * 300,
    " " * 200,
    "\n" * 99,
    "The quick brown fox jumps over the lazy dog.",
    "don't won't it's",
    "3.14159265358979",
    "0xdeadbeef",
    "1" * 64,
    "<|endoftext|>",
    "<s>",
    "</s>",
    "[PAD0]",
    "<think>\n</think>",
    "def f(x):\n\treturn x ** 2  # squared\n",
    '{"a": [1, 2, null]}\r\n',
    "C:\\path\\'quoted'\"",
    "#!/bin/sh\n",
    "犬",
    "狗が走る。",
    "人工智能语言模型",
    "日本語のテキスト、ひらがなとカタカナ",
    "한국어 문장입니다.",
    "繁體中文",
    "Привет, мир",
    "Γειά σου Κόσμε",
    "مرحبا بالعالم",
    "שלום עולם",
    "नमस्ते दुनिया",
    "สวัสดีชาวโลก",
    "Xin chào thế giới",
    "é",
    "e\u0301",
    "ﬁ",
    "Å",
    "A\u030a",
    "Z\u0351\u036b\u0343\u036a\u0302\u036b\u033d",
    "ñandú",
    "İıß",
    "ǅ",
    "😀",
    "👩‍👩‍👧‍👦",
    "🏳️‍🌈",
    "👍🏽",
    "🇯🇵🇩🇪",
    "❤️",
    "🦀🦀🦀",
    "1️⃣",
    "\u200b\u200c\u200d\u2060\ufeff",
    "\u202eabc\u202c",
    "\u00a0\u2003\u3000",
    "\ufffd",
    "\uffff",
    "\ufffe",
    "\ud7ff",
    "\ue000",
    "\uf8ff",
    "\U00010000",
    "\U0010ffff",
    "\U000e0041",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢",
    "𒀀𓀀",
    "½ ⅔ ² ₃",
    "→ ∀x∈ℝ: ⌈x⌉ = −⌊−x⌋",
]
RANGES = [
    (0x00, 0x1F),
    (0x20, 0x7E),
    (0x20, 0x7E),
    (0x7F, 0xFF),
    (0x100, 0x24F),
    (0x300, 0x36F),
    (0x370, 0x52F),
    (0x590, 0x6FF),
    (0x900, 0x97F),
    (0xE00, 0xE7F),
    (0x2000, 0x206F),
    (0x2190, 0x23FF),
    (0x3000, 0x30FF),
    (0x4E00, 0x9FFF),
    (0xAC00, 0xD7A3),
    (0xD7A4, 0xD7FF),
    (0xE000, 0xFFFF),
    (0x10000, 0x10FFFF),
    (0x1F300, 0x1FAFF),
]


def random_text(choose, words):
    """A few runs, each of one range of characters, of whole tokens, or of white space."""
    runs = []
    for _ in range(choose.randint(1, 6)):
        length = choose.randint(1, 12)
        kind = choose.random()
        if kind < 0.5:
            low, high = choose.choice(RANGES)
            runs.append("".join(chr(choose.randint(low, high)) for _ in range(length)))
        elif kind < 0.9:
            runs.append("".join(choose.choice(words) for _ in range(length)))
        else:
            runs.append("".join(choose.choice(" \n\t\r") for _ in range(length)))
    return "".join(runs)


def main():
    tokenizer = TRIE_TOKENIZER(str(VOCABULARY))
    words = []
    for token in tokenizer.idx2token.values():
        with contextlib.suppress(UnicodeDecodeError):
            words.append(token.decode("utf-8"))
    many = int(sys.argv[2]) if sys.argv[1:2] == ["--random"] else 0
    choose = random.Random(20230424 + many)
    texts = [] if many else BY_HAND
    texts += [random_text(choose, words) for _ in range(many or 170)]
    cases = []
    for text in texts:
        ids = tokenizer.encode(text)
        assert tokenizer.decodeBytes(ids) == text.encode("utf-8")
        cases.append({"text": text, "ids": ids})
    if many:
        print("\n".join(json.dumps(case) for case in cases))
        return
    target = pathlib.Path(__file__).with_name("world_tokenizer.json")
    target.write_text("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")
    print(f"{target.name}: {len(cases)} texts")


if __name__ == "__main__":
    main()
