package dev.volary

import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitAll
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.runBlocking
import kotlin.concurrent.thread
import kotlin.test.Test
import kotlin.test.assertEquals

/** `Stress.kt` is the long form of this. */
class ThreadsTest {
    @Test
    fun `eight threads with a state each get what one gets`() = withModel { model ->
        val alone = List(THREADS) { text(model, it) }
        val found = arrayOfNulls<String>(THREADS)
        val threads = List(THREADS) { thread { found[it] = runBlocking { text(model, it) } } }
        threads.forEach { it.join() }
        assertEquals(alone, found.toList())
    }

    @Test
    fun `a hundred coroutines get what one gets`() = withModel { model ->
        val alone = List(THREADS) { text(model, it) }
        val together = List(100) { async(Dispatchers.Default) { text(model, it % THREADS) } }.awaitAll()
        assertEquals(List(100) { alone[it % THREADS] }, together)
    }

    private suspend fun text(model: Model, number: Int): String =
        model.prefill("This is number $number.").use { state ->
            model.generate(" And", maxTokens = 30, seed = number.toULong(), state = state).toList().joinToString("")
        }

    private companion object {
        const val THREADS = 8
    }
}
