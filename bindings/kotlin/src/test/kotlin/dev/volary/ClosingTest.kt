package dev.volary

import kotlinx.coroutines.flow.collect
import kotlinx.coroutines.runBlocking
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith

/** Closed objects raise; none crashes. */
class ClosingTest {
    private suspend fun closed(what: String, work: suspend () -> Any?) {
        val error = assertFailsWith<VolaryException.Closed> { work() }
        assertEquals("$what: is closed; open or make another one", error.message)
    }

    @Test
    fun `what is printed tells the model and the tokenizer`() = withModel { model ->
        val tokenizer = model.tokenizer
        assertEquals("Model(v7, RWKV-7)" to "Tokenizer(bytes, 256 ids)", "$model" to "$tokenizer")
        model.close()
        tokenizer.close()
        assertEquals("Model(closed)" to "Tokenizer(closed)", "$model" to "$tokenizer")
    }

    @Test
    fun `a model closed while a text runs ends the text`() = withModel { model ->
        val flow = model.generate("Once", letters(1000))
        var pieces = 0
        flow.collect { if (++pieces == 2) model.close() }
        assertEquals(2, pieces)
        assertEquals("cancelled", flow.stats?.finishReason)
    }

    @Test
    fun `a model closed while a reply runs ends the reply`() = withModel { model ->
        val chat = model.chat()
        chat.send("Hello!", letters(1000)).collect { model.close() }
        assertEquals("A", chat.history.last().content)
        chat.close()
    }

    @Test
    fun `a chat closed while its reply runs ends the reply`() = withModel { model ->
        val chat = model.chat()
        val reply = chat.send("Hello!", letters(1000))
        reply.collect { chat.close() }
        assertEquals("cancelled", reply.stats?.finishReason)
    }

    @Test
    fun `states and tokenizers outlive their model`() = withModel { model ->
        val (state, tokenizer) = model.prefill("Once") to model.tokenizer
        model.close()
        state.clone().use { assertEquals(state.toFloats().toList(), it.toFloats().toList()) }
        assertEquals(listOf(65), tokenizer.encode("A"))
        closed("model") { model.decode(65, state) }
        state.close()
        tokenizer.close()
    }

    @Test
    fun `a closed model raises`() = withModel { model ->
        val state = model.newState()
        val flow = model.generate("Once")
        repeat(2) { model.close() }
        val calls: List<suspend () -> Any?> = listOf(
            { model.info },
            { model.threads },
            { model.residentBytes },
            { model.isa },
            { model.tokenizer },
            { model.newState() },
            { model.prefill("a") },
            { model.prefill(listOf(65)) },
            { model.eval(65) },
            { model.evalSequence(listOf(65)) },
            { model.generate("a").collect() },
            { flow.collect() },
            { model.complete("a") },
            { model.chat() },
            { model.perplexity("abc") },
            { model.bench() },
            { State.fromFloats(model, FloatArray(4352)) },
            { State.load(model, "a.state") },
            { Chat.load(model, "a.chat") },
        )
        calls.forEach { closed("model", it) }
        state.close()
    }

    @Test
    fun `a closed state raises, as an argument, too`() = withModel { model ->
        val state = model.newState()
        val flow = model.generate("Once", state = state)
        repeat(2) { state.close() }
        val calls: List<suspend () -> Any?> = listOf(
            { state.clone() },
            { state.save("a.state") },
            { state.toBytes() },
            { state.toFloats() },
            { model.eval(65, state) },
            { model.decode(65, state) },
            { model.evalSequence(listOf(65), state) },
            { model.prefill("a", state) },
            { flow.collect() },
            { model.complete("a", state = state) },
        )
        calls.forEach { closed("state", it) }
    }

    @Test
    fun `a closed tokenizer raises`() = runBlocking {
        val tokenizer = Tokenizer.rawBytes()
        repeat(2) { tokenizer.close() }
        val calls: List<suspend () -> Any?> = listOf(
            { tokenizer.name },
            { tokenizer.nVocab },
            { tokenizer.endOfText },
            { tokenizer.encode("a") },
            { tokenizer.encode(byteArrayOf(1)) },
            { tokenizer.decode(listOf(65)) },
            { tokenizer.decodeBytes(listOf(65)) },
        )
        calls.forEach { closed("tokenizer", it) }
    }

    @Test
    fun `a closed chat raises`() = withModel { model ->
        val chat = model.chat()
        repeat(2) { chat.close() }
        val calls: List<suspend () -> Any?> = listOf(
            { chat.send("a").collect() },
            { chat.retry().collect() },
            { chat.alternate().collect() },
            { chat.undo() },
            { chat.reset() },
            { chat.setSystem("a") },
            { chat.history },
            { chat.format },
            { chat.save("a.chat") },
        )
        calls.forEach { closed("chat", it) }
    }
}
