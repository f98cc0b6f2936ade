@file:Suppress("UNUSED_VARIABLE", "UnusedVariable")

package dev.volary

import kotlinx.coroutines.flow.take
import kotlinx.coroutines.runBlocking
import kotlin.test.Test
import kotlin.test.assertContains
import kotlin.test.assertEquals
import kotlin.test.assertTrue

/** The Kotlin in docs/kotlin.md is what stands between the marks here, and runs in the folder that holds its files. */
class DocumentationTest {
    @Test
    fun `the documentation says what is run here`() {
        val documented = Regex("```kotlin\n(.*?)```", RegexOption.DOT_MATCHES_ALL)
            .findAll(checkout.resolve("docs/kotlin.md").readText()).map { it.groupValues[1].trimEnd() }.toList()
        val sources = checkout.resolve("bindings/kotlin/src/test/kotlin")
        val here = Regex("// snippet\n(.*?)\n *// end\n", RegexOption.DOT_MATCHES_ALL)
            .findAll(sources.resolve("dev/volary/DocumentationTest.kt").readText())
        val run = here.map { it.groupValues[1].trimIndent() }.toList() + sources.resolve("FirstProgram.kt").readText().trimEnd()
        assertTrue(documented.size > 8)
        assertEquals(documented.sorted().joinToString("\n\n"), run.sorted().joinToString("\n\n"))
    }

    @Test
    fun `the first program runs`() {
        val run = java("FirstProgramKt")
        assertEquals(0, run.status, run.output)
        assertContains(run.output, "8 tokens)")
    }

    private fun snippet(work: suspend (Model) -> Unit) =
        runBlocking { Model.load("rwkv7-g1-1.5b.gguf").use { work(it) } }

    @Test
    fun loading(): Unit = runBlocking {
        // snippet
        val model = Model.load("rwkv7-g1-1.5b.gguf", type = "Q8_0", progress = { fraction -> println(fraction) })
        // end
        model.close()
    }

    @Test
    fun streaming() = snippet { model ->
        // snippet
        val story = model.generate("Once upon a time", maxTokens = 100, topP = 0.5, stop = listOf("\n\n"), seed = 1u)
        story.collect { piece -> print(piece) }
        // end
    }

    @Test
    fun options() = snippet { model ->
        // snippet
        val sampling = GenerateOptions(maxTokens = 50, topP = 0.3, stop = listOf("\n\n"))
        val first = model.complete("Once upon a time", sampling)
        val second = model.complete("Long ago", sampling.copy(temperature = 0.8))
        // end
    }

    @Test
    fun pieces() = snippet { model ->
        // snippet
        val text = model.generate("Once upon a time", maxTokens = 20, logprobs = 3)
        text.pieces.collect { piece -> println("${piece.text} ${piece.tokens} ${piece.logprobs.map { it.logprob }}") }
        println("${text.stats?.finishReason} ${text.stats?.usage} ${text.stats?.timings}")
        // end
    }

    @Test
    fun batches() = snippet { model ->
        // snippet
        val answers = model.completeBatch(listOf("One", "Two", "Three"), maxTokens = 32)
        // end
        assertEquals(3, answers.size)
    }

    @Test
    fun chats() = snippet { model ->
        // snippet
        val chat = model.chat(system = "You are brief.")
        chat.send("Hello!", maxTokens = 50).collect { print(it) }
        chat.retry(maxTokens = 50).take(3).collect { print(it) }  // another reply; left early, it ends where it was shown
        chat.alternate(maxTokens = 50).collect { print(it) }      // another one, which keeps the former
        println(chat.history.last().alternatives)
        chat.save("talk.volary")
        val same = Chat.load(model, "talk.volary")
        chat.undo()
        // end
        assertEquals(3, same.history.size)
    }

    @Test
    fun states() = snippet { model ->
        // snippet
        val tokens = model.tokenizer.encode("Hello")            // List<Int>
        val (logits, state) = model.eval(tokens[0], null)       // as in rwkv.cpp: the state passed in stays as it was
        val (last, after) = model.evalSequence(tokens, state)   // n_vocab floats; allLogits = true: n_tokens * n_vocab
        val next = model.decode(tokens[0], after)               // in place, so faster than eval

        val preface = model.prefill("A long preface.")
        preface.save("preface.state")
        val loaded = State.load(model, "preface.state")
        val done = model.complete(" and then", maxTokens = 20, state = loaded)    // goes on from there; the state stays
        val end = model.generate(" and then", state = loaded).collectState { print(it) }     // the state after the text
        listOf(state, after, preface, loaded, end).forEach { it.close() }
        // end
    }

    @Test
    fun files() = snippet { model ->
        // snippet
        val report = convert("in.pth", "out.gguf", type = "Q8_0", progress = { fraction -> println(fraction) })
        val summary = mergeLora("base.pth", "lora.pth", "merged.pth", alpha = 32.0)
        val info = readInfo("in.pth")
        println(model.perplexity("The quick brown fox").perplexity)
        val speed = model.bench(prefillTokens = 64, decodeTokens = 16)
        println("${speed.decodeTokensPerSecond} tokens/s, ${speed.decodeGbPerSecond} of ${memoryBandwidth()} GB/s")
        val costs = compareFormats("in.pth", "The quick brown fox", listOf("Q8_0", "Q5_1"))
        // end
        assertEquals(listOf(null, "Q8_0", "Q5_1"), costs.map { it.format })
    }

    @Test
    fun errors(): Unit = runBlocking {
        // snippet
        try {
            Model.load("missing.gguf")
        } catch (error: VolaryException.NotFound) {
            println(error.message)    // missing.gguf: no such file; check the path
        }
        // end
    }
}
