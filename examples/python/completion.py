"""Continues a text, piece by piece as it is generated. Ctrl-C ends it.

python examples/python/completion.py [MODEL ["Once upon a time"]]
"""

import argparse
import sys

import volary

parser = argparse.ArgumentParser(description="Continue a text.")
parser.add_argument("model", nargs="?", help="an RWKV model: .pth, .safetensors, .gguf, .bin; else the demo")
parser.add_argument("prompt", nargs="?", default="Once upon a time")
parser.add_argument("--max-tokens", type=int, default=200)
parser.add_argument("--temperature", type=float, help="0 always takes the likeliest token")
parser.add_argument("--top-p", type=float, help="0 to 1; smaller is more sober")
parser.add_argument("--seed", type=int, help="the same seed gives the same text")
options = parser.parse_args()

try:
    if options.model is None:
        print("This is the demo, which tells old stories. `volary models` shows real models.", file=sys.stderr)
        model = volary.Model.demo()
    else:
        model = volary.Model(options.model, progress=True)
    # What is None is as RWKV's author recommends.
    stream = model.generate(
        options.prompt,
        max_tokens=options.max_tokens,
        temperature=options.temperature,
        top_p=options.top_p,
        seed=options.seed,
    )
    print(options.prompt, end="", flush=True)
    for piece in stream:
        print(piece, end="", flush=True)
    print()
    stats = stream.stats
    speed = stats.usage.generated_tokens / max(stats.timings.decode_seconds, 1e-9)
    print(f"{stats.usage.generated_tokens} tokens, {speed:.1f} a second, seed {stats.seed}", file=sys.stderr)
except volary.NotFoundError as error:
    sys.exit(f"{error}\nNo model yet? `volary models` shows some of https://huggingface.co/BlinkDL")
except volary.VolaryError as error:
    sys.exit(str(error))
except KeyboardInterrupt:
    print()
    sys.exit(130)
