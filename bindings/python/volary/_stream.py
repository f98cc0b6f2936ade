"""Running generations."""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from ._errors import NATIVE_ERRORS, call, translated
from ._handle import ThreadedHandle
from ._records import Piece, Stats, lifted
from ._state import State

_SHORT = 0.001
"""Seconds for which an event loop can be held up."""


class TokenStream(ThreadedHandle, Iterator[str], AsyncIterator[str]):
    """A running generation: iterate over it, with ``for`` or ``async for``, for pieces of text as they come.

    It works only while it is asked for the next piece. Dropping it, leaving it as a context manager, or closing it ends
    it. So does Ctrl-C, or the cancelling of the asyncio task that waits for a piece.

    >>> import volary
    >>> model = volary.Model("tests/golden/v7.pth")
    >>> stream = model.generate("Once", max_tokens=5, temperature=0)
    >>> text = "".join(stream)
    >>> stream.finish_reason, stream.stats.usage.generated_tokens
    ('length', 5)
    """

    _comes_from = "Model.generate or Chat.send"
    _prompt_is_read = False
    _last_pull = _SHORT
    _held_up = 0.0

    def _hold(self, native_object: Any) -> None:
        super()._hold(native_object)
        # Not left to the native object's end: a thread of asyncio's that has just pulled a piece may hold it a moment
        # longer. Nor a `__del__`: in a cycle of garbage the native object's own may run first, and free what that uses.
        weakref.finalize(self, native_object.release).atexit = False

    def __iter__(self) -> TokenStream:
        return self

    def __next__(self) -> str:
        text: str | None
        while (text := self._next(self._native.next_text)) is not None:
            if text:
                return text
        raise StopIteration

    def __aiter__(self) -> TokenStream:
        return self

    async def __anext__(self) -> str:
        text: str | None
        while (text := await self._next_async(self._native.next_text)) is not None:
            if text:
                return text
        raise StopAsyncIteration

    def pieces(self) -> Pieces:
        """Iterate, with ``for`` or ``async for``, over pieces with their tokens, a chat model's thoughts among them.

        >>> import volary
        >>> model = volary.Model("tests/golden/v7.pth")
        >>> stream = model.generate("Once", max_tokens=5, temperature=0, logprobs=1)
        >>> [token for piece in stream.pieces() for token in piece.tokens] == model.complete(
        ...     "Once", max_tokens=5, temperature=0).tokens
        True
        """
        return Pieces(self)

    def cancel(self) -> None:
        """Ask the generation to end, from any thread: it does so before its next token. The text so far stays."""
        self._object.cancel()

    def close(self) -> None:
        """End the generation. A chat's reply ends where it was shown. Closing twice is fine."""
        self._object.release()

    @property
    def stats(self) -> Stats:
        """Token counts, times, the seed, and at the end why it ended."""
        stats: Stats = lifted(self._object.stats())
        return stats

    @property
    def finish_reason(self) -> str | None:
        """Why the text ended: ``length``, ``end_of_text``, ``stop_token``, ``stop_text`` or ``cancelled``."""
        reason: str | None = self._object.stats().finish_reason
        return reason

    def take_state(self) -> State:
        """End the stream and return the state after all text that it gave. Not for a chat's replies."""
        return State._of(call(self._native.take_state))

    def _next(self, pull: Callable[[], Any]) -> Any:
        try:
            if self._prompt_is_read:
                return pull()
            self._prompt_is_read = True
            if threading.current_thread() is threading.main_thread():
                return self._read_prompt(pull)
            return pull()
        except NATIVE_ERRORS as error:
            raise translated(error) from None
        except BaseException:
            # Ctrl-C. A traceback may keep this object alive for long, and a chat would wait for its reply to end.
            self.close()
            raise

    def _read_prompt(self, pull: Callable[[], Any]) -> Any:
        """The first piece, pulled in another thread: a long prompt takes long, and only Python code notices Ctrl-C."""
        pulled: list[Any] = []
        failed: list[BaseException] = []
        ended = threading.Event()

        def work() -> None:
            try:
                pulled.append(pull())
            except BaseException as error:
                failed.append(error)
            finally:
                ended.set()

        thread = threading.Thread(target=work, name="volary-prompt", daemon=True)
        thread.start()
        try:
            # With a limit, because on Windows a wait without one hears of Ctrl-C only afterwards. (Not `join`: after
            # Ctrl-C in it, Python before 3.13 takes a running thread for one that has ended.)
            while not ended.wait(0.1):
                pass
        except BaseException:
            self.cancel()
            ended.wait()
            raise
        if failed:
            raise failed[0]
        return pulled[0]

    async def _next_async(self, pull: Callable[[], Any]) -> Any:
        """In another thread, unless it is short: going there and back takes longer than a small model's token."""
        stays = self._last_pull < _SHORT
        try:
            if stays and self._held_up > _SHORT:
                self._held_up = 0.0
                await asyncio.sleep(0)  # Whatever else waits has its turn.
            start = time.perf_counter()
            piece = pull() if stays else await self._next_away(pull)
            self._last_pull = time.perf_counter() - start
            if stays:
                self._held_up += self._last_pull
            return piece
        except NATIVE_ERRORS as error:
            raise translated(error) from None
        except asyncio.CancelledError:
            self.close()
            raise

    async def _next_away(self, pull: Callable[[], Any]) -> Any:
        pulling = asyncio.get_running_loop().run_in_executor(None, pull)
        try:
            return await asyncio.shield(pulling)
        except asyncio.CancelledError:
            self.cancel()
            # No thread may still be in the stream when the task is over. What it brings is not wanted any more.
            await asyncio.wait([pulling])
            pulling.exception()
            raise


class Pieces(Iterator[Piece], AsyncIterator[Piece]):
    """The pieces of a stream in full."""

    def __init__(self, stream: TokenStream) -> None:
        self._stream = stream

    def __iter__(self) -> Pieces:
        return self

    def __next__(self) -> Piece:
        return _or_end(self._stream._next(self._stream._native.next), StopIteration)

    def __aiter__(self) -> Pieces:
        return self

    async def __anext__(self) -> Piece:
        return _or_end(await self._stream._next_async(self._stream._native.next), StopAsyncIteration)


def _or_end(piece: Any, end: type[Exception]) -> Piece:
    if piece is None:
        raise end
    whole: Piece = lifted(piece)
    return whole
