package dev.volary

import kotlinx.coroutines.runBlocking
import java.io.File
import kotlin.test.Test
import kotlin.test.assertContains
import kotlin.test.assertEquals

/** What users type. The folder that tests run in holds the model. */
class ListingTest {
    @Test
    fun `every line runs as written`() = runBlocking {
        val token = 65
        Model.load("rwkv7-g1-1.5b.gguf").use { model ->
            model.generate("Once upon a time", maxTokens = 100, topP = 0.5, stop = listOf("\n\n")).collect { print(it) }
            val done = model.complete("The capital of France is", maxTokens = 8)
            val chat = model.chat(system = "You are brief.")
            chat.send("Hello!").collect { print(it) }
            val (logits, state) = model.eval(token, null)

            // Its seed is any: it may end by itself.
            assertContains(1L..8L, done.usage.generatedTokens)
            assertEquals("Hello!", chat.history[1].content)
            assertEquals(256, logits.size)
            state.close()
        }
    }

    @Test
    fun `the demo needs no file, and leaves none`() = runBlocking {
        fun unpacked() = File(System.getProperty("java.io.tmpdir")).list()!!.filter { it.startsWith("volary-") }.toSet()
        val before = unpacked()
        val fractions = mutableListOf<Double>()
        Model.demo(progress = { fraction -> fractions += fraction }).use { model ->
            assertEquals(setOf(), unpacked() - before)
            assertEquals(8, model.complete("Once upon a time", maxTokens = 8, seed = 1u).usage.generatedTokens)
        }
        assertEquals(1.0, fractions.last())
    }

    @Test
    fun `loading tells its progress`() = runBlocking {
        val fractions = mutableListOf<Double>()
        Model.load("rwkv7-g1-1.5b.gguf", progress = { fraction -> fractions += fraction }).close()
        assertEquals(1.0, fractions.last())
    }
}
