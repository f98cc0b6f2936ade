"""Text from a model in training, to see how it does. (Volary is the engine for every other purpose.)"""

import torch
from tokenizers import Tokenizer

from model import Rwkv7

END_OF_TEXT = 0


@torch.no_grad()
@torch.compiler.set_stance("force_eager")
def sample(model: Rwkv7, tokenizer: Tokenizer, prompt: str, length: int = 100) -> str:
    """The prompt and up to `length` tokens more, always the same for the same model: temperature 0.8, top-k 40."""
    tokens = [END_OF_TEXT, *tokenizer.encode(prompt).ids]
    generator = torch.Generator().manual_seed(1)
    device = model.head.weight.device
    model.eval()
    for _ in range(length):
        # The kernels want times that are multiples of 16; what comes after a token does not change its logits.
        padded = tokens + [END_OF_TEXT] * (-len(tokens) % 16)
        logits = model(torch.tensor([padded], device=device))[0, len(tokens) - 1].cpu() / 0.8
        best = torch.topk(torch.softmax(logits, -1), 40)
        token = int(best.indices[torch.multinomial(best.values, 1, generator=generator)])
        if token == END_OF_TEXT:
            break
        tokens.append(token)
    return tokenizer.decode(tokens[1:])
