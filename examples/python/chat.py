"""Chats in the terminal. Ctrl-C ends a reply; at the prompt it ends the chat, as Ctrl-D does.

    python examples/python/chat.py [MODEL]

/retry asks for another reply, /undo takes back the last message, /reset forgets all.
"""

import argparse
import sys

import volary

parser = argparse.ArgumentParser(description="Chat with a model.")
parser.add_argument("model", nargs="?", help="an RWKV model: .pth, .safetensors, .gguf, .bin; else the demo")
parser.add_argument("--system", help="how the model is to behave")
parser.add_argument("--max-tokens", type=int, default=500, help="of a reply")
parser.add_argument("--temperature", type=float, help="0 always takes the likeliest token")
parser.add_argument("--seed", type=int, help="the same seed gives the same replies")
options = parser.parse_args()

try:
    if options.model is None:
        print("This is the demo, which only tells stories. `volary models` shows real models.", file=sys.stderr)
        model = volary.Model.demo()
    else:
        model = volary.Model(options.model, progress=True)
except volary.NotFoundError as error:
    sys.exit(f"{error}\nNo model yet? `volary models` shows some of https://huggingface.co/BlinkDL")
except volary.VolaryError as error:
    sys.exit(str(error))

# The format of the prompts (World, Raven, G1, …) is told from the model.
chat = model.chat(system=options.system)
sampling: volary.GenerateOptions = {
    "max_tokens": options.max_tokens,
    "temperature": options.temperature,
    "seed": options.seed,
}
while True:
    try:
        line = input("> ").strip()
    except (EOFError, KeyboardInterrupt):
        print()
        break
    try:
        if line == "/undo":
            chat.undo()
        elif line == "/reset":
            chat.reset()
        elif line:
            # `with` ends the reply wherever Ctrl-C strikes. What was shown of it stays in the conversation.
            with chat.retry(**sampling) if line == "/retry" else chat.send(line, **sampling) as reply:
                for piece in reply:
                    print(piece, end="", flush=True)
            print()
    except KeyboardInterrupt:
        print(" …")
    except volary.VolaryError as error:
        print(error, file=sys.stderr)
