"""Models."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from . import _arguments as arguments
from . import _jobs
from ._arguments import Path
from ._arrays import Floats, floats
from ._chat import Chat
from ._errors import InvalidArgumentError, call
from ._handle import SharedHandle, ThreadedHandle, shown
from ._jobs import Progress
from ._library import demo_model, native
from ._options import GenerateOptions, generate_options, model_options, native_state
from ._records import Completion, Lora, ModelInfo, lifted
from ._state import State
from ._stream import TokenStream
from ._tokenizer import Tokenizer

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack


class Model(ThreadedHandle, SharedHandle):
    """A loaded model: weights, tokenizer, threads. Immutable; any number of Python threads may share it.

    >>> import volary
    >>> model = volary.Model("tests/golden/v7.pth")
    >>> model.info.architecture
    'RWKV-7'
    >>> done = model.complete("Once upon a time", max_tokens=8, seed=1)
    >>> done.finish_reason
    'length'
    """

    def __init__(
        self,
        path: Path,
        *,
        threads: int | None = None,
        tokenizer: Path | None = None,
        group_norm_eps: float | None = None,
        type: str | None = None,
        initial_state: Path | None = None,
        loras: Iterable[Lora] = (),
        progress: Progress = None,
    ) -> None:
        """Load a model from a ``.pth``, ``.safetensors``, ``.bin`` or ``.gguf`` file.

        ``threads``: to compute with; as many as there are cores for this process.
        ``tokenizer``: a ``tokenizer.json`` or a World vocabulary, in place of the one that the model's vocabulary size
        tells.
        ``group_norm_eps``: epsilon of the group norm of RWKV-5 to 7; 64e-5, as BlinkDL trains them.
        ``type``: a number format to quantize the weights to while they are loaded.
        ``initial_state``: a file of tuned initial states.
        ``loras``: to merge into the weights while they are loaded, one after the other.
        ``progress``: ``True`` for a bar on the terminal, or a function of the fraction done.
        """
        options = model_options(threads, tokenizer, group_norm_eps, type, initial_state, loras)
        loaded = _jobs.run("Loading", progress, native.load, arguments.path("path", path), options)
        self._hold(loaded.model)

    @classmethod
    def demo(
        cls,
        *,
        threads: int | None = None,
        tokenizer: Path | None = None,
        group_norm_eps: float | None = None,
        type: str | None = None,
        initial_state: Path | None = None,
        loras: Iterable[Lora] = (),
        progress: Progress = None,
    ) -> Self:
        """Load the demo model: a small RWKV-7 that tells old stories, and comes with the package.

        The options are those of :class:`Model`.

        >>> import volary
        >>> model = volary.Model.demo()
        >>> model.complete("Once upon a time", max_tokens=8, temperature=0).text
        ', and then he was so happy that'
        """
        return cls(
            demo_model,
            threads=threads,
            tokenizer=tokenizer,
            group_norm_eps=group_norm_eps,
            type=type,
            initial_state=initial_state,
            loras=loras,
            progress=progress,
        )

    def __repr__(self) -> str:
        def described() -> str:
            info = self.info
            return f"{info.name}, {info.architecture}"

        return shown("Model", described)

    @property
    def info(self) -> ModelInfo:
        """What the model is: generation, sizes, formats, metadata."""
        info: ModelInfo = lifted(call(self._native.info))
        return info

    @property
    def threads(self) -> int:
        """Threads in use."""
        threads: int = call(self._native.threads)
        return threads

    @property
    def resident_bytes(self) -> int:
        """Bytes that the weights take in memory."""
        size: int = call(self._native.resident_bytes)
        return size

    @property
    def isa(self) -> str:
        """The instruction set in use, as ``VOLARY_ISA`` names it."""
        isa: str = call(self._native.isa)
        return isa

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer."""
        return Tokenizer._of(call(self._native.tokenizer))

    def generate(self, prompt: str | Iterable[int], **options: Unpack[GenerateOptions]) -> TokenStream:
        """Start a text that continues ``prompt``, a text or token ids, and stream it.

        The options are those of :class:`GenerateOptions`. Nothing is computed before the first piece is asked for.

        >>> import volary
        >>> model = volary.Model("tests/golden/v7.pth")
        >>> for piece in model.generate("Once upon a time", max_tokens=5, temperature=1.0, top_p=0.5, seed=1):
        ...     pass  # print(piece, end="", flush=True)
        """
        native_options = generate_options(options)
        if isinstance(prompt, str):
            return TokenStream._of(call(self._native.generate, arguments.text("prompt", prompt), native_options))
        tokens = arguments.wholes("prompt", prompt)
        return TokenStream._of(call(self._native.generate_tokens, tokens, native_options))

    def complete(self, prompt: str, **options: Unpack[GenerateOptions]) -> Completion:
        """Return the whole text that continues ``prompt``.

        >>> import volary
        >>> model = volary.Model("tests/golden/v7.pth")
        >>> model.complete("The capital of France is", max_tokens=8, seed=1).usage
        Usage(prompt_tokens=24, generated_tokens=8)
        """
        return self._complete([arguments.text("prompt", prompt)], options)[0]

    def complete_batch(self, prompts: Sequence[str], **options: Unpack[GenerateOptions]) -> list[Completion]:
        """Return the texts that continue several prompts; the weights are read once for all of them.

        Each is the text that :meth:`complete` gives for its prompt.
        """
        return self._complete(arguments.texts("prompts", prompts), options)

    def _complete(self, prompts: list[str], options: GenerateOptions) -> list[Completion]:
        done = _jobs.run("Completing", None, self._native.complete_batch, prompts, generate_options(options))
        completions: list[Completion] = lifted(done.completions)
        return completions

    def chat(self, *, system: str | None = None, format: str | None = None) -> Chat:
        """Begin a conversation, in the chat format that suits the model or in the one named."""
        text = arguments.optional(arguments.text)
        return Chat._of(call(self._native.chat, text("system", system), text("format", format)))

    def new_state(self) -> State:
        """Return a state that has seen no text."""
        return State._of(call(self._native.new_state))

    def prefill(self, prompt: str | Iterable[int], state: State | None = None, *, progress: Progress = None) -> State:
        """Read a text, or token ids, and return the state after it; ``state`` stays as it was.

        >>> import volary
        >>> model = volary.Model("tests/golden/v7.pth")
        >>> state = model.prefill("Once upon")
        >>> rest = model.complete(" a time", state=state, max_tokens=5, temperature=0)
        >>> rest.text == model.complete("Once upon a time", max_tokens=5, temperature=0).text
        True
        """
        if isinstance(prompt, str):
            text = arguments.text("prompt", prompt)
            done = _jobs.run("Reading", progress, self._native.prefill, text, native_state(state))
        else:
            read = native.Prompt(tokens=arguments.wholes("prompt", prompt), state=native_state(state))
            done = _jobs.run("Reading", progress, self._native.eval_batch, [read], native.Logits.NOTHING)
        return State._of(done.evaluations[0].state)

    def eval(self, token: int, state: State | None = None) -> tuple[Floats, State]:
        """Return the logits after a token, ``[n_vocab]``, and the state after it; ``state`` stays as it was.

        Logits are a numpy array of float32, or, where numpy is not installed, a ``memoryview`` of floats.

        >>> import volary
        >>> model = volary.Model("tests/golden/v7.pth")
        >>> logits, state = model.eval(72, None)
        >>> len(logits)
        256
        """
        done = call(self._native.eval, arguments.whole("token", token), native_state(state))
        return floats(done.logits), State._of(done.state)

    def decode(self, token: int, state: State) -> Floats:
        """Read a token into ``state``, which moves on, and return the logits after it, ``[n_vocab]``.

        Faster than :meth:`eval`, which copies the state.
        """
        if state is None:
            raise TypeError("state: must be a State, not None; Model.new_state makes one")
        return floats(call(self._native.decode, arguments.whole("token", token), native_state(state)))

    def eval_sequence(
        self,
        tokens: Iterable[int],
        state: State | None = None,
        all_logits: bool = False,
        *,
        progress: Progress = None,
    ) -> tuple[Floats, State]:
        """Return the logits after the last token, ``[n_vocab]``, and the state after it; ``state`` stays as it was.

        With ``all_logits`` the logits after each token: ``[n_tokens, n_vocab]``.
        """
        return self.eval_batch([tokens], [state], all_logits, progress=progress)[0]

    def eval_batch(
        self,
        sequences: Sequence[Iterable[int]],
        states: Sequence[State | None] | None = None,
        all_logits: bool = False,
        *,
        progress: Progress = None,
    ) -> list[tuple[Floats, State]]:
        """As :meth:`eval_sequence` for several texts at once; the weights are read once for all of them."""
        states = [None] * len(sequences) if states is None else states
        if len(states) != len(sequences):
            raise InvalidArgumentError(
                f"states: are {len(states)}; give one, or None, for each of the {len(sequences)} sequences"
            )
        tokens = [arguments.wholes("tokens", sequence) for sequence in sequences]
        prompts = [
            native.Prompt(tokens=each, state=native_state(state)) for each, state in zip(tokens, states, strict=True)
        ]
        wanted = native.Logits.ALL if arguments.flag("all_logits", all_logits) else native.Logits.LAST
        done = _jobs.run("Reading", progress, self._native.eval_batch, prompts, wanted).evaluations
        rows = [len(each) if all_logits else None for each in tokens]
        return [(floats(each.logits, n), State._of(each.state)) for each, n in zip(done, rows, strict=True)]

    def close(self) -> None:
        """Close the model: every later call is an error, and running texts end before their next token.

        Its memory goes when the last stream, chat and job over it is gone. Closing twice is fine.
        """
        super().close()
