"""Runs the scenarios of ``tests/conformance``, whose README says what they mean."""

from __future__ import annotations

import dataclasses
import math
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import volary

KINDS = {
    volary.NotFoundError: "not_found",
    volary.IoError: "io",
    volary.FormatError: "format",
    volary.UnsupportedError: "unsupported",
    volary.MismatchError: "mismatch",
    volary.InvalidArgumentError: "invalid_argument",
    volary.CancelledError: "cancelled",
    volary.ClosedError: "closed",
    volary.BusyError: "busy",
    volary.InternalError: "internal",
}

#: A verb takes what it is called on and the other arguments, and gives what ``save`` keeps and the result.
Verb = Callable[..., tuple[Any, Any]]


def failure(scenario: dict[str, Any], golden: Path, tmp: Path) -> str | None:
    """What is wrong with a scenario's outcome; ``None`` if it passes."""
    runner = _Runner(golden, tmp)
    if not scenario.get("about") or not scenario.get("steps") or scenario.keys() != {"about", "steps"}:
        return "is no scenario: it must have 'about' and 'steps', and nothing else"
    for number, step in enumerate(scenario["steps"], 1):
        if (wrong := runner.step(step)) is not None:
            return f"step {number} ({step.get('call')}): {wrong}"
    return None


class _Runner:
    def __init__(self, golden: Path, tmp: Path) -> None:
        self.folders = {"{golden}": str(golden), "{tmp}": str(tmp)}
        self.saved: dict[str, Any] = {}

    def step(self, step: dict[str, Any]) -> str | None:
        if unknown := step.keys() - {"call", "with", "save", "expect", "error"}:
            return f"unknown members: {', '.join(sorted(unknown))}"
        if "error" in step and (step["error"].keys() != {"kind", "message"} or "expect" in step or "save" in step):
            return "an error is a kind and a message, and leaves nothing to expect or save"
        if (verb := VERBS.get(step["call"])) is None:
            return "unknown verb"
        try:
            arguments = self.resolved(step.get("with", {}))
        except KeyError as error:
            return f"nothing was saved as {error}"
        if step["call"] in STATE_IS_SAVED:
            arguments["keep_state"] = "save" in step
        expected_error = self.resolved(step.get("error"))
        try:
            kept, result = verb(**arguments)
        except volary.VolaryError as error:
            found = {"kind": KINDS[type(error)], "message": str(error)}
            if expected_error is None:
                return f"failed: {found['kind']}: {found['message']}"
            return difference(expected_error, found)
        except Exception as error:
            return f"failed: {type(error).__name__}: {error}"
        if expected_error is not None:
            return f"succeeded, but must fail: {expected_error}"
        if "save" in step:
            if kept is None:
                return "has nothing to save"
            self.saved[step["save"]] = kept
        if "expect" in step:
            return difference(self.resolved(step["expect"]), plain(result))
        return None

    def resolved(self, value: Any) -> Any:
        """With what was saved in place of its name, and the folders in place of theirs."""
        if isinstance(value, dict):
            return {key: self.resolved(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self.resolved(each) for each in value]
        if isinstance(value, str):
            if re.fullmatch(r"\$\w+", value):
                return self.saved[value[1:]]
            for name, folder in self.folders.items():
                value = value.replace(name, folder)
        return value


def plain(value: Any) -> Any:
    """A result as JSON would have it."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value


def difference(expected: Any, found: Any, where: str = "") -> str | None:
    """How a result differs from what was expected; ``None`` if it does not."""
    at = f"{where.lstrip('.')}: " if where else ""
    if isinstance(expected, dict):
        if expected.keys() == {"above"} and isinstance(found, (int, float)) and not isinstance(found, bool):
            return None if found > expected["above"] else f"{at}expected more than {expected['above']}, found {found}"
        if not isinstance(found, dict):
            return f"{at}expected an object, found {found!r}"
        for name, each in expected.items():
            if name not in found:
                return f"{at}has no member {name}"
            if wrong := difference(each, found[name], f"{where}.{name}"):
                return wrong
        return None
    if isinstance(expected, list):
        if not isinstance(found, list) or len(expected) != len(found):
            return f"{at}expected {expected!r}, found {found!r}"
        pairs = enumerate(zip(expected, found, strict=True))
        return next(filter(None, (difference(*pair, f"{where}[{index}]") for index, pair in pairs)), None)
    same = expected == found and isinstance(expected, bool) == isinstance(found, bool)
    if isinstance(expected, float) and isinstance(found, (int, float)) and not isinstance(found, bool):
        same = same or math.isclose(expected, found, rel_tol=0, abs_tol=1e-4 * max(1.0, abs(expected)))
    return None if same else f"{at}expected {expected!r}, found {found!r}"


# --- The verbs ---


def logits(array: Any) -> dict[str, Any]:
    flat = array.reshape(-1)
    return {"len": flat.size, "argmax": int(flat.argmax()), "head": flat[:4].tolist()}


def generation(options: dict[str, Any]) -> dict[str, Any]:
    if "logit_bias" in options:
        options["logit_bias"] = {int(token): bias for token, bias in options["logit_bias"].items()}
    return options


def streamed(stream: volary.TokenStream, cancel_after: int | None, keep_state: bool = False) -> tuple[Any, Any]:
    if cancel_after == 0:
        stream.cancel()
    text = ""
    for count, piece in enumerate(stream.pieces(), 1):
        text += piece.text
        if count == cancel_after:
            stream.cancel()
    result = {"text": text, **plain(stream.stats)}
    return stream.take_state() if keep_state else None, result


def load(path: str, loras: Any = (), **options: Any) -> tuple[Any, Any]:
    return volary.Model(path, loras=[volary.Lora(**lora) for lora in loras], **options), None


def compare_formats(loras: Any = (), **options: Any) -> tuple[Any, Any]:
    return None, volary.compare_formats(loras=[volary.Lora(**lora) for lora in loras], **options)


def demo(loras: Any = (), **options: Any) -> tuple[Any, Any]:
    return volary.Model.demo(loras=[volary.Lora(**lora) for lora in loras], **options), None


def prefill(on: volary.Model, state: Any = None, **prompt: Any) -> tuple[Any, Any]:
    (prompt,) = prompt.values()
    return on.prefill(prompt, state), None


def evaluate(on: volary.Model, token: int, state: Any = None) -> tuple[Any, Any]:
    numbers, after = on.eval(token, state)
    return after, logits(numbers)


def eval_sequence(on: volary.Model, tokens: Any, state: Any = None, all_logits: bool = False) -> tuple[Any, Any]:
    numbers, after = on.eval_sequence(tokens, state, all_logits)
    return after, logits(numbers)


def eval_batch(on: volary.Model, sequences: Any) -> tuple[Any, Any]:
    tokens, states = [each["tokens"] for each in sequences], [each.get("state") for each in sequences]
    return None, [logits(numbers) for numbers, _ in on.eval_batch(tokens, states)]


def generate(on: volary.Model, keep_state: bool, cancel_after: Any = None, **options: Any) -> tuple[Any, Any]:
    prompt = options.pop("tokens") if "tokens" in options else options.pop("prompt")
    return streamed(on.generate(prompt, **generation(options)), cancel_after, keep_state)


def reply(method: Callable[..., volary.TokenStream]) -> Verb:
    def verb(on: volary.Chat, cancel_after: int | None = None, **options: Any) -> tuple[Any, Any]:
        return streamed(method(on, **generation(options)), cancel_after)

    return verb


def convert(source: str, target: str, cancel: bool = False, **options: Any) -> tuple[Any, Any]:
    return None, volary.convert(source, target, progress=lambda _: not cancel, **options)


def tokenizer(make: Callable[..., volary.Tokenizer]) -> Verb:
    def verb(**arguments: Any) -> tuple[Any, Any]:
        made = make(**arguments)
        return made, {"name": made.name, "n_vocab": made.n_vocab, "end_of_text": made.end_of_text}

    return verb


def write(path: str, text: str | None = None, hex: str | None = None) -> tuple[Any, Any]:
    Path(path).write_bytes(bytes.fromhex(hex) if text is None else text.encode())  # type: ignore[arg-type]
    return None, None


def copy(to: str, bytes: int | None = None, **source: str) -> tuple[Any, Any]:
    shutil.copyfile(source["from"], to)
    if bytes is not None:
        with open(to, "r+b") as file:
            file.truncate(bytes)
    return None, None


def kept(method: Callable[..., Any]) -> Verb:
    """Of a method whose result is saved, on a class or an object."""
    return lambda on=None, **arguments: (method(*_on(on), **arguments), None)


def told(method: Callable[..., Any]) -> Verb:
    """Of a method whose result is compared."""
    return lambda on=None, **arguments: (None, method(*_on(on), **arguments))


def _on(on: Any) -> tuple[Any, ...]:
    return () if on is None else (on,)


STATE_IS_SAVED = {"Model.generate"}

VERBS: dict[str, Verb] = {
    "Model.load": load,
    "Model.demo": demo,
    "Model.info": told(lambda on: on.info),
    "read_info": told(volary.read_info),
    "Model.tokenizer": kept(lambda on: on.tokenizer),
    "Model.new_state": kept(volary.Model.new_state),
    "Model.prefill": prefill,
    "Model.eval": evaluate,
    "Model.eval_sequence": eval_sequence,
    "Model.eval_batch": eval_batch,
    "Model.decode": told(lambda on, token, state: logits(on.decode(token, state))),
    "Model.generate": generate,
    "Model.complete": told(lambda on, prompt, **options: on.complete(prompt, **generation(options))),
    "Model.complete_batch": told(lambda on, prompts, **options: on.complete_batch(prompts, **generation(options))),
    "Model.chat": kept(volary.Model.chat),
    "Model.perplexity": told(volary.perplexity),
    "Model.bench": told(volary.bench),
    "memory_bandwidth": told(volary.memory_bandwidth),
    "State.clone": kept(volary.State.clone),
    "State.save": told(volary.State.save),
    "State.load": kept(volary.State.load),
    "State.to_bytes": kept(volary.State.to_bytes),
    "State.from_bytes": kept(lambda bytes: volary.State.from_bytes(bytes)),
    "State.to_floats": told(lambda on: logits(on.to_floats())),
    "Tokenizer.world": tokenizer(volary.Tokenizer.world),
    "Tokenizer.raw_bytes": tokenizer(volary.Tokenizer.raw_bytes),
    "Tokenizer.open": tokenizer(volary.Tokenizer),
    "Tokenizer.of_model": tokenizer(volary.Tokenizer.of_model),
    "Tokenizer.encode": told(volary.Tokenizer.encode),
    "Tokenizer.decode": told(volary.Tokenizer.decode),
    "Chat.send": reply(volary.Chat.send),
    "Chat.retry": reply(volary.Chat.retry),
    "Chat.alternate": reply(volary.Chat.alternate),
    "Chat.undo": told(volary.Chat.undo),
    "Chat.reset": told(volary.Chat.reset),
    "Chat.set_system": told(lambda on, text=None: on.set_system(text)),
    "Chat.history": told(lambda on: on.history),
    "Chat.format": told(lambda on: on.format),
    "Chat.save": told(volary.Chat.save),
    "Chat.load": kept(volary.Chat.load),
    "convert": convert,
    "merge_lora": told(volary.merge_lora),
    "compare_formats": compare_formats,
    "file.write": write,
    "file.copy": copy,
    "file.exists": told(lambda path: Path(path).exists()),
}
