package dev.volary

import kotlinx.coroutines.ExperimentalCoroutinesApi
import kotlinx.coroutines.currentCoroutineContext
import kotlinx.coroutines.ensureActive
import kotlinx.coroutines.flow.AbstractFlow
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.FlowCollector
import kotlinx.coroutines.flow.flow
import dev.volary.internal.TokenStream as NativeStream

/**
 * A text to be generated: a cold flow of its pieces, of a chat's reply only the answer's.
 *
 * Nothing happens before it is collected, mistakes in the options included, and each collection generates anew. The
 * model works off the collector's thread, but for tokens that together take less than a millisecond, and only while the
 * collector waits for the next piece: what was not collected was not generated. Leaving or cancelling the collection
 * stops it before its next token.
 */
@OptIn(ExperimentalCoroutinesApi::class)
public class Generation internal constructor(internal val begin: () -> NativeStream) : AbstractFlow<String>() {
    private val running = mutableListOf<NativeStream>()
    private var ended: Stats? = null

    /** The pieces with their tokens, and with a chat model's thoughts among them. */
    public val pieces: Flow<Piece> = flow {
        run(NativeStream::next, {}) { emit(it.ours()) }
    }

    /** Collects the text; use `collect`. */
    override suspend fun collectSafely(collector: FlowCollector<String>): Unit =
        run(NativeStream::nextText, {}) { collector.emitShown(it) }

    /**
     * Collects the text as `collect` does, and gives the state after all of it, from which another text can go on.
     * Not for a chat's replies, whose state is the chat's.
     */
    public suspend fun collectState(collector: FlowCollector<String> = FlowCollector {}): State =
        run(NativeStream::nextText, { State(call { it.takeState() }) }) { collector.emitShown(it) }

    /**
     * Ends the collections that are running before their next token, from any thread: they complete as if the text
     * were at its end, with the finish reason `cancelled`.
     */
    public fun cancel() {
        synchronized(running) { running.forEach { it.cancel() } }
    }

    /**
     * Counts, times, seed and, at the end, why it ended: of the collection that runs, or else of that which ended last;
     * `null` before the first.
     */
    public val stats: Stats?
        get() = synchronized(running) { running.lastOrNull()?.stats()?.ours() ?: ended }

    private suspend fun FlowCollector<String>.emitShown(text: String) {
        if (text.isNotEmpty()) emit(text)
    }

    private suspend fun <P : Any, T> run(
        pull: (NativeStream) -> P?,
        atEnd: (NativeStream) -> T,
        collect: suspend (P) -> Unit,
    ): T {
        currentCoroutineContext().ensureActive()
        val stream = toTheEnd { call(begin) }
        synchronized(running) { running.add(stream) }
        val pulls = Pulls()
        try {
            while (true) {
                collect(pulls.run(stream::cancel) { call { pull(stream) } } ?: break)
            }
            return atEnd(stream)
        } finally {
            // Waits for the token that is being computed, if the collection was cancelled meanwhile.
            toTheEnd { stream.release() }
            synchronized(running) {
                running.remove(stream)
                ended = stream.stats().ours()
                stream.destroy()
            }
        }
    }
}

/**
 * Calls one after the other, off the caller's thread if they are long. Going to another thread and back takes up
 * to a tenth of a millisecond, and a small model's token less; so while they take less than [SHORT] together, they stay.
 */
private class Pulls {
    private var last = SHORT
    private var sinceAway = 0L

    suspend fun <T> run(cancel: () -> Unit, work: () -> T): T {
        currentCoroutineContext().ensureActive()
        val stays = sinceAway + last < SHORT
        val start = System.nanoTime()
        val result = if (stays) work() else offThread(cancel, work)
        last = System.nanoTime() - start
        sinceAway = if (stays) sinceAway + last else 0
        return result
    }

    private companion object {
        /** Nanoseconds for which nobody misses a thread. */
        const val SHORT = 1_000_000L
    }
}
