"""Generations: pieces, options, ends, and async iteration."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

import volary

GREEDY: Any = {"max_tokens": 12, "temperature": 0}
#: Without line breaks, which the ends of replies have.
ENDLESS: Any = {"max_tokens": 10**9, "ignore_eos": True, "banned_tokens": [10]}
#: Takes seconds to read, so that there is something to interrupt.
LONG_PROMPT = "long " * 200_000


def test_pieces_are_the_completion(model: volary.Model) -> None:
    done = model.complete("Once", max_tokens=40, seed=3)
    stream = model.generate("Once", max_tokens=40, seed=3)
    assert "".join(stream) == done.text == str(done)
    assert stream.stats.usage == done.usage == volary.Usage(4, 40)
    assert stream.finish_reason == done.finish_reason == "length"
    assert stream.stats.seed == done.seed == 3
    assert next(stream, None) is None


def test_a_prompt_may_be_tokens(model: volary.Model) -> None:
    ids = model.tokenizer.encode("Once")
    assert list(model.generate(ids, **GREEDY)) == list(model.generate("Once", **GREEDY))
    assert list(model.generate(iter(ids), **GREEDY)) == list(model.generate("Once", **GREEDY))


def test_full_pieces_have_tokens_and_logprobs(model: volary.Model) -> None:
    done = model.complete("Once", **GREEDY, logprobs=2)
    pieces = list(model.generate("Once", **GREEDY, logprobs=2).pieces())
    assert "".join(piece.text for piece in pieces) == done.text
    assert [token for piece in pieces for token in piece.tokens] == done.tokens
    logprobs = [logprob for piece in pieces for logprob in piece.logprobs]
    assert logprobs == done.logprobs and len(logprobs) == 12
    assert all(each.top[0].token == each.token and len(each.top) == 2 for each in logprobs)
    assert not any(piece.thinking for piece in pieces)


def test_every_option_arrives(model: volary.Model) -> None:
    assert model.complete("a", max_tokens=3, logit_bias={65: 1000.0}).text == "AAA"
    assert 65 not in model.complete("a", max_tokens=60, banned_tokens=[65, 66], seed=1).tokens
    stopped = model.complete("a", max_tokens=9, logit_bias={65: 1000.0}, stop=("x", "AA"))
    assert (stopped.text, stopped.finish_reason) == ("", "stop_text")
    stopped = model.complete("a", max_tokens=9, logit_bias={65: 1000.0}, stop_tokens={65})
    assert (stopped.text, stopped.finish_reason) == ("", "stop_token")
    everything: Any = {
        "max_tokens": 20,
        "temperature": 1.5,
        "top_p": 0.9,
        "top_k": 50,
        "min_p": 0.001,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
        "penalty_decay": 0.99,
        "repetition_penalty": 1.1,
        "seed": 2**64 - 1,
        "ignore_eos": True,
        "state": model.prefill("b"),
    }
    assert model.complete("a", **everything).tokens == model.complete("a", **everything).tokens
    nothing: Any = {name: None for name in everything if name not in ("max_tokens", "ignore_eos")}
    assert len(model.complete("a", max_tokens=2, **nothing).tokens) <= 2


def test_a_generation_goes_on_from_a_state_and_gives_one(model: volary.Model) -> None:
    state = model.prefill("Once upon")
    before = state.to_bytes()
    stream = model.generate(" a time", state=state, **GREEDY)
    text = "".join(stream)
    assert state.to_bytes() == before
    assert text == model.complete("Once upon a time", **GREEDY).text
    rest = model.generate("!", state=stream.take_state(), **GREEDY)
    tokens = model.complete("Once upon a time", **GREEDY).tokens
    assert list(rest) == list(model.generate([*b"Once upon a time", *tokens, *b"!"], **GREEDY))
    with pytest.raises(volary.InvalidArgumentError, match="state: was taken before"):
        stream.take_state()


def test_a_batch_gives_the_texts_of_its_prompts(model: volary.Model) -> None:
    prompts = ["a", "bb", "ccc"]
    batch = model.complete_batch(prompts, **GREEDY)
    assert [done.text for done in batch] == [model.complete(prompt, **GREEDY).text for prompt in prompts]
    assert model.complete_batch(()) == []


def test_a_cancelled_stream_ends_before_its_next_token(model: volary.Model) -> None:
    stream = model.generate("Once", **ENDLESS)
    for _ in range(3):
        next(stream)
    generated = stream.stats.usage.generated_tokens
    stream.cancel()
    # At most what was held back as an incomplete character comes.
    assert len(list(stream)) <= 1
    assert stream.stats.usage.generated_tokens == generated
    assert stream.finish_reason == "cancelled"


def test_another_thread_can_cancel(model: volary.Model) -> None:
    stream = model.generate("Once", **ENDLESS)
    next(stream)
    timer = threading.Timer(0.05, stream.cancel)
    timer.start()
    assert sum(1 for _ in stream) < 10**9
    assert stream.finish_reason == "cancelled"
    timer.join()


def test_leaving_the_context_ends_the_stream(model: volary.Model) -> None:
    with model.generate("Once", **ENDLESS) as stream:
        for _ in stream:
            break
    assert stream.finish_reason == "cancelled"
    with pytest.raises(volary.ClosedError, match="stream: is closed"):
        next(stream)


def test_the_stream_is_one_calls_at_a_time(model: volary.Model) -> None:
    """Of two that ask at once, one reads the prompt, which takes long; the other hears that it is busy."""
    stream = model.generate(LONG_PROMPT, **ENDLESS)
    busy: list[volary.BusyError] = []

    def pull() -> None:
        try:
            next(stream, None)
        except volary.BusyError as error:
            busy.append(error)
            stream.cancel()

    threads = [threading.Thread(target=pull) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [str(error) for error in busy] == ["stream: another call is using it; wait until that has ended"]


async def _text(stream: volary.TokenStream) -> str:
    return "".join([piece async for piece in stream])


def test_async_iteration_gives_the_same(model: volary.Model) -> None:
    async def main() -> None:
        texts = await asyncio.gather(*(_text(model.generate("Once", max_tokens=30, seed=seed)) for seed in range(10)))
        assert texts == [model.complete("Once", max_tokens=30, seed=seed).text for seed in range(10)]
        tokens = [token async for piece in model.generate("Once", **GREEDY).pieces() for token in piece.tokens]
        assert tokens == model.complete("Once", **GREEDY).tokens

    asyncio.run(main())


def test_the_event_loop_runs_while_a_prompt_is_read(model: volary.Model) -> None:
    async def main() -> None:
        stream = model.generate(LONG_PROMPT, **ENDLESS)
        reading = asyncio.ensure_future(stream.__anext__())
        for _ in range(20):
            await asyncio.sleep(0.001)
        assert not reading.done()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert stream.finish_reason == "cancelled"

    asyncio.run(main())


def test_other_tasks_run_while_tokens_come(model: volary.Model) -> None:
    async def main() -> None:
        others = 0

        async def count() -> None:
            nonlocal others
            while True:
                others += 1
                await asyncio.sleep(0)

        counting = asyncio.ensure_future(count())
        seen = {others async for _ in model.generate("Once", max_tokens=500, ignore_eos=True, seed=1)}
        counting.cancel()
        # Not between all pieces, which take less than a switch of threads, but again and again.
        assert len(seen) > 2

    asyncio.run(main())


def test_a_cancelled_task_ends_the_native_work(model: volary.Model) -> None:
    async def main() -> None:
        stream = model.generate("Once", **ENDLESS)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(_text(stream), 0.05)
        generated = stream.stats.usage.generated_tokens
        await asyncio.sleep(0.05)
        assert stream.stats.usage.generated_tokens == generated
        assert stream.finish_reason == "cancelled"

    asyncio.run(main())


def test_a_chat_goes_on_after_a_timeout_and_after_break(model: volary.Model) -> None:
    async def main() -> None:
        chat = model.chat()
        try:
            await asyncio.wait_for(_text(chat.send("a", **ENDLESS)), 0.05)
        except asyncio.TimeoutError:
            # In here the traceback still refers to the stream.
            chat.undo()
        async for _ in chat.send("b", **ENDLESS):
            break
        async for _ in chat.send("c", **ENDLESS).pieces():
            break
        assert [message.content for message in chat.history if message.role == "user"] == ["b", "c"]

    asyncio.run(main())


def test_errors_arrive_through_async_iteration(own_model: volary.Model) -> None:
    async def main() -> None:
        stream = own_model.generate("Once", **GREEDY)
        stream.close()
        with pytest.raises(volary.ClosedError):
            async for _ in stream:
                pass

    asyncio.run(main())
