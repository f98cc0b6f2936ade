package dev.volary

import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.awaitCancellation
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.currentCoroutineContext
import kotlinx.coroutines.flow.collect
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.job
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withContext
import kotlinx.coroutines.yield
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertNull
import kotlin.test.assertTrue

class GenerationTest {
    @Test
    fun `the pieces are the text`() = withModel { model ->
        val done = model.complete("Once", maxTokens = 40, seed = 7u)
        val flow = model.generate("Once", maxTokens = 40, seed = 7u)
        assertEquals(done.text, flow.toList().joinToString(""))
        assertEquals(done.tokens, flow.pieces.toList().flatMap { it.tokens })
        assertEquals(done.usage, flow.stats?.usage)
        assertEquals(done.finishReason, flow.stats?.finishReason)
        assertEquals(7u, flow.stats?.seed)
    }

    @Test
    fun `a flow is cold, and each collection generates anew`() = withModel { model ->
        val mistake = model.generate("Once", topP = 2.0)
        assertNull(mistake.stats)
        assertFailsWith<VolaryException.InvalidArgument> { mistake.collect() }
        val flow = model.generate("Once", maxTokens = 10, seed = 3u)
        assertEquals(flow.toList(), flow.toList())
    }

    @Test
    fun `options by name and in a record are the same`() = withModel { model ->
        val named = model.generate("Once", maxTokens = 20, temperature = 1.5, topP = 0.9, topK = 50, seed = 11u)
        val record = GenerateOptions(maxTokens = 20, temperature = 1.5, topP = 0.9, topK = 50, seed = 11u)
        assertEquals(named.toList(), model.generate("Once", record).toList())
        assertEquals(named.toList(), model.generate("Once".map { it.code }, record).toList())
    }

    @Test
    fun `every option arrives`() = withModel { model ->
        assertFailsWith<VolaryException.InvalidArgument> { model.complete("a", maxTokens = -1) }
        val mistakes: List<Pair<String, GenerateOptions>> = listOf(
            "temperature" to GenerateOptions(temperature = -1.0),
            "top_p" to GenerateOptions(topP = 2.0),
            "top_k" to GenerateOptions(topK = -1),
            "min_p" to GenerateOptions(minP = 2.0),
            "penalty_decay" to GenerateOptions(penaltyDecay = 2.0),
            "repetition_penalty" to GenerateOptions(repetitionPenalty = 0.0),
            "presence_penalty" to GenerateOptions(presencePenalty = Double.NaN),
            "frequency_penalty" to GenerateOptions(frequencyPenalty = Double.NaN),
            "stop_tokens" to GenerateOptions(stopTokens = listOf(-1)),
            "banned_tokens" to GenerateOptions(bannedTokens = listOf(-1)),
            "logit_bias" to GenerateOptions(logitBias = mapOf(-1 to 1.0)),
            "logprobs" to GenerateOptions(logprobs = 1000),
        )
        for ((name, options) in mistakes) {
            val error = assertFailsWith<VolaryException.InvalidArgument>(name) { model.complete("a", options) }
            assertTrue(error.message!!.startsWith(name), error.message)
        }
        val done = model.complete("a", GenerateOptions(maxTokens = 3, logprobs = 2))
        assertEquals(listOf(2, 2, 2), done.logprobs.map { it.top.size })
        assertEquals("stop_text", model.complete("a", letters(9).copy(stop = listOf("AAA"))).finishReason)
        assertEquals(ULong.MAX_VALUE, model.complete("a", maxTokens = 1, seed = ULong.MAX_VALUE).seed)
    }

    @Test
    fun `what was not collected was not generated`() = withModel { model ->
        val flow = model.generate("Once", letters(1000))
        assertEquals(listOf("A", "A", "A"), flow.take(3).toList())
        assertEquals(3, flow.stats?.usage?.generatedTokens)
        assertEquals("cancelled", flow.stats?.finishReason)
    }

    @Test
    fun `an exception of the collector ends the native work`() = withModel { model ->
        val flow = model.generate("Once", letters(1000))
        assertFailsWith<ArithmeticException> { flow.collect { throw ArithmeticException() } }
        assertEquals(1, flow.stats?.usage?.generatedTokens)
    }

    @Test
    fun `cancelling the coroutine ends the native work`() = withModel { model ->
        val flow = model.generate("Once", letters(1000))
        withContext(Dispatchers.Default) {
            val shown = CompletableDeferred<Unit>()
            val job = launch {
                flow.collect {
                    shown.complete(Unit)
                    awaitCancellation()
                }
            }
            shown.await()
            job.cancelAndJoin()
        }
        assertEquals(1, flow.stats?.usage?.generatedTokens)
    }

    @Test
    fun `cancelling the coroutine ends the reading of a long prompt`() = withModel { model ->
        val flow = model.generate(List(500_000) { it % 256 }, letters(1))
        val job = launch(Dispatchers.Default) { flow.collect() }
        while (flow.stats == null) yield()
        job.cancelAndJoin()
        assertEquals(0, flow.stats?.usage?.generatedTokens)
        assertEquals("cancelled", flow.stats?.finishReason)
    }

    @Test
    fun `a cancelled generation completes as if at its end`() = withModel { model ->
        val flow = model.generate("Once", letters(1000))
        val pieces = mutableListOf<String>()
        flow.collect {
            pieces += it
            if (pieces.size == 2) flow.cancel()
        }
        assertEquals(listOf("A", "A"), pieces)
        assertEquals("cancelled", flow.stats?.finishReason)
        flow.cancel()
    }

    @Test
    fun `the state after the text is that of its tokens`() = withModel { model ->
        val tokens = mutableListOf<Int>()
        model.generate("Once", maxTokens = 12, seed = 5u).pieces.collect { tokens += it.tokens }
        val shown = StringBuilder()
        model.generate("Once", maxTokens = 12, seed = 5u).collectState { shown.append(it) }.use { state ->
            model.prefill("Once".map { it.code } + tokens).use { expected ->
                val (wanted, found) = expected.toFloats() to state.toFloats()
                assertEquals(wanted.size, found.size)
                assertTrue(wanted.indices.all { kotlin.math.abs(wanted[it] - found[it]) < 1e-3 })
            }
            assertEquals(5, model.complete(" and then", maxTokens = 5, seed = 5u, state = state).usage.generatedTokens)
        }
        assertEquals(model.complete("Once", maxTokens = 12, seed = 5u).text, shown.toString())
    }

    @Test
    fun `the caller's thread is free meanwhile`() = runBlocking {
        Model.load(golden("v7.pth")).use { model ->
            var others = 0
            val ticker = launch { while (true) { others++; yield() } }
            val thread = Thread.currentThread()
            val seen = mutableListOf<Int>()
            model.generate("Once", letters(200)).collect {
                assertEquals(thread, Thread.currentThread())
                seen += others
            }
            model.complete("Once", letters(200))
            assertTrue(others > seen.last())
            // Not between all pieces: one that comes at once is not waited for.
            assertTrue(seen.distinct().size > 1)
            ticker.cancel()
        }
    }

    @Test
    fun `a coroutine cancelled before generates nothing`() = withModel { model ->
        val flow = model.generate("Once", letters(3))
        val job = launch(Dispatchers.Default) {
            currentCoroutineContext().job.cancel()
            flow.collect()
        }
        job.join()
        assertNull(flow.stats)
    }
}
