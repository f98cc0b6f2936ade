package dev.volary

import kotlin.test.Test
import kotlin.test.assertContains
import kotlin.test.assertEquals
import kotlin.test.assertTrue

/** The programs of examples/kotlin, as users run them. */
class ExamplesTest {
    private val model = golden("v7.pth")

    @Test
    fun `completion goes on with the prompt`() {
        val arguments = arrayOf("CompletionKt", model, "Once upon a time", "--max-tokens", "20", "--seed", "1")
        val run = java(*arguments)
        assertEquals(0, run.status, run.output)
        assertTrue(run.output.startsWith("Once upon a time"), run.output)
        assertContains(run.output, "tokens a second")
        assertEquals(run.output.lines().first(), java(*arguments).output.lines().first())
    }

    @Test
    fun `chat answers each line, and again after an empty one`() {
        val run = java("ChatKt", model, "--max-tokens", "5", "--system", "Be brief.", input = "Hello!\n\nBye!\n")
        assertEquals(0, run.status, run.output)
        assertEquals(4, run.output.split("> ").size - 1, run.output)
    }

    @Test
    fun `a model that is not there is told where to get`() {
        for (run in listOf(java("CompletionKt", "none.pth", "Once"), java("ChatKt", "none.pth"))) {
            assertEquals(2, run.status)
            assertContains(run.output, "none.pth: no such file; check the path")
            assertContains(run.output, "https://huggingface.co/BlinkDL")
        }
    }

    @Test
    fun `without a model the demo writes`() {
        val greedy = arrayOf("--max-tokens", "12", "--temperature", "0")
        val runs = listOf(java("CompletionKt", *greedy), java("ChatKt", *greedy, input = "Who are you?\n"))
        for ((run, text) in runs zip listOf("he was so happy", "I am a small bird")) {
            assertEquals(0, run.status, run.output)
            assertContains(run.output, "This is the demo")
            assertContains(run.output, text)
        }
    }

    @Test
    fun `with too many arguments both tell how they are used`() {
        for (run in listOf(java("CompletionKt", "a", "b", "c"), java("ChatKt", "a", "b"))) {
            assertEquals(2, run.status)
            assertContains(run.output, "usage: ")
            assertContains(run.output, "https://huggingface.co/BlinkDL")
        }
    }
}
