package dev.volary

import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.flow.collect
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withContext
import kotlin.coroutines.CoroutineContext
import kotlin.coroutines.EmptyCoroutineContext
import kotlin.system.measureNanoTime

private const val TOKENS = 500
private const val WARM_UP = 40
private const val ROUNDS = 21

/** What streaming costs beside the native work: `mvn -f bindings/kotlin test-compile exec:exec@overhead`. */
fun main(): Unit = withModel { model ->
    val contexts = mapOf(
        "runBlocking" to EmptyCoroutineContext,
        "Dispatchers.Default" to Dispatchers.Default,
        "Dispatchers.IO" to Dispatchers.IO,
    )
    for ((name, context) in contexts) {
        repeat(WARM_UP) { overhead(model, context) }
        val microseconds = List(ROUNDS) { overhead(model, context) }.sorted()
        val median = microseconds[ROUNDS / 2]
        println("%-20s %5.1f µs a token (%.1f to %.1f)".format(name, median, microseconds.first(), microseconds.last()))
    }
}

/** Microseconds a token that the native side did not use. */
private fun overhead(model: Model, context: CoroutineContext): Double = runBlocking {
    withContext(context) {
        val flow = model.generate("Once", letters(TOKENS))
        val nanoseconds = measureNanoTime { flow.collect() }
        val (usage, timings) = flow.stats!!
        check(usage.generatedTokens == TOKENS.toLong())
        (nanoseconds / 1e3 - (timings.prefillSeconds + timings.decodeSeconds) * 1e6) / TOKENS
    }
}
