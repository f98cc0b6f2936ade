package dev.volary

import kotlinx.coroutines.flow.take
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.runBlocking
import java.io.File
import java.util.concurrent.atomic.AtomicLong
import kotlin.concurrent.thread
import kotlin.system.exitProcess
import kotlin.time.Duration.Companion.seconds
import kotlin.time.TimeSource

private const val THREADS = 8
private val DURATION = 60.seconds
private const val WARM_UP = 3_000
private const val CYCLES = 10_000
private const val ALLOWED_GROWTH = 5_000_000L

/**
 * Eight threads share a model for a minute, and 10,000 objects of each kind are made and closed while the process's
 * memory is watched: `mvn -f bindings/kotlin test-compile exec:exec@stress`.
 */
fun main() {
    val sound = shared() and cycles()
    exitProcess(if (sound) 0 else 1)
}

private suspend fun text(model: Model, number: Int): String =
    model.prefill("This is number $number.").use { state ->
        model.generate(" And", maxTokens = 30, seed = number.toULong(), state = state).toList().joinToString("")
    }

private fun shared(): Boolean {
    val (texts, wrong) = AtomicLong() to AtomicLong()
    withModel { model ->
        val alone = List(THREADS) { text(model, it) }
        val start = TimeSource.Monotonic.markNow()
        val threads = List(THREADS) { number ->
            thread {
                runBlocking {
                    while (start.elapsedNow() < DURATION) {
                        if (text(model, number) != alone[number]) wrong.incrementAndGet()
                        texts.incrementAndGet()
                    }
                }
            }
        }
        threads.forEach { it.join() }
    }
    println("$THREADS threads, ${DURATION.inWholeSeconds} s: $texts texts, $wrong of them wrong")
    return texts.get() > 0 && wrong.get() == 0L
}

private fun cycles(): Boolean = runBlocking {
    repeat(WARM_UP) { cycle() }
    val before = residentBytes()
    repeat(CYCLES) {
        cycle()
        if ((it + 1) % 2_000 == 0) println("${it + 1} cycles: ${(residentBytes() - before) / 1000} kB more")
    }
    val growth = residentBytes() - before
    println("$CYCLES cycles grew the process by ${growth / 1000} kB, from ${before / 1_000_000} MB")
    growth < ALLOWED_GROWTH
}

private suspend fun cycle() {
    Model.load(golden("v7.pth"), threads = 1).use { model ->
        model.tokenizer.use { tokenizer ->
            model.prefill(tokenizer.encode("Once")).use { state ->
                model.generate(" upon", letters(3).copy(state = state)).take(1).toList()
            }
        }
    }
}

private fun residentBytes(): Long {
    System.gc()
    val line = File("/proc/self/status").readLines().first { it.startsWith("VmRSS:") }
    return line.filter { it.isDigit() }.toLong() * 1024
}
