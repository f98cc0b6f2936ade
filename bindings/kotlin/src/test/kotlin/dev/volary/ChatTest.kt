package dev.volary

import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.flow.collect
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import org.junit.jupiter.api.io.TempDir
import java.nio.file.Path
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith

class ChatTest {
    @TempDir
    lateinit var temporary: Path

    private val Chat.contents get() = history.map { it.content }

    @Test
    fun `a conversation is kept, taken back and saved`() = withModel { model ->
        val file = temporary.resolve("talk.volary").toString()
        model.chat(system = "Be brief.").use { chat ->
            assertEquals("AAA", chat.send("Hello!", letters(3)).toList().joinToString(""))
            chat.retry(letters(2)).collect()
            assertEquals(listOf("Be brief.", "Hello!", "AA"), chat.contents)
            chat.alternate(letters(4)).collect()
            assertEquals("AAAA", chat.history.last().content)
            assertEquals(listOf("AA"), chat.history.last().alternatives)
            assertEquals(listOf("system", "user", "assistant"), chat.history.map { it.role })
            chat.save(file)
            Chat.load(model, file).use { loaded ->
                assertEquals(chat.history, loaded.history)
                assertEquals(chat.format, loaded.format)
            }
            chat.undo()
            assertEquals(listOf("Be brief."), chat.contents)
            chat.setSystem(null)
            assertEquals(listOf(), chat.contents)
            chat.send("Hello?", maxTokens = 2, logitBias = mapOf(66 to 1000.0)).collect()
            chat.reset()
            assertEquals(listOf(), chat.contents)
        }
    }

    @Test
    fun `thoughts are pieces but no text`() = withModel { model ->
        model.chat(format = "g1-think").use { chat ->
            // The first ends the tag that begins a thought; none ends the thought.
            val thinking = GenerateOptions(maxTokens = 5, logitBias = mapOf('>'.code to 1000.0))
            assertEquals(listOf(), chat.send("Hello!", thinking).toList())
            val pieces = chat.retry(thinking).pieces.toList()
            assertEquals(List(4) { ">" to true }, pieces.map { it.text to it.thinking })
            assertEquals("" to ">>>>", chat.history.last().run { content to thought })
        }
    }

    @Test
    fun `a reply that is left ends where it was shown`() = withModel { model ->
        model.chat().use { chat ->
            chat.send("Hello!", letters(1000)).take(2).collect()
            assertEquals(listOf("Hello!", "AA"), chat.contents)
            assertEquals("AAA", chat.retry(letters(3)).toList().joinToString(""))
        }
    }

    @Test
    fun `a reply that is cancelled during a token frees its chat`() = withModel { model ->
        model.chat().use { chat ->
            repeat(20) {
                val shown = CompletableDeferred<Unit>()
                val reader = launch(Dispatchers.Default) {
                    chat.send("Hello!", letters(1_000_000)).collect { shown.complete(Unit) }
                }
                shown.await()
                reader.cancelAndJoin()
                chat.undo()
            }
        }
    }

    @Test
    fun `a second reply meanwhile is an error`() = withModel { model ->
        model.chat().use { chat ->
            chat.send("Hello!", letters(3)).collect {
                assertFailsWith<VolaryException> { chat.send("Hello?", letters(3)).collect() }
            }
            assertEquals(listOf("Hello!", "AAA"), chat.contents)
        }
    }

    @Test
    fun `the state of a reply is the chat's`() = withModel { model ->
        model.chat().use { chat ->
            assertFailsWith<VolaryException> { chat.send("Hello!", letters(3)).collectState() }
        }
    }

    @Test
    fun `an unknown format is an error`() = withModel { model ->
        assertFailsWith<VolaryException.InvalidArgument> { model.chat(format = "none") }
    }
}
