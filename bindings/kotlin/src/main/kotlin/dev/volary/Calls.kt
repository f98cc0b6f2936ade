package dev.volary

import dev.volary.internal.LongJob
import dev.volary.internal.Outcome
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.NonCancellable
import kotlinx.coroutines.Runnable
import kotlinx.coroutines.currentCoroutineContext
import kotlinx.coroutines.ensureActive
import kotlinx.coroutines.suspendCancellableCoroutine
import kotlinx.coroutines.withContext
import dev.volary.internal.InternalException as NativePanic
import dev.volary.internal.VolaryException as NativeException

/** Told which fraction of the work is done, from 0 to 1, in the caller's context. */
public typealias Progress = (fraction: Double) -> Unit

/** Calls the library; what the generated code throws becomes ours. */
internal inline fun <T> call(work: () -> T): T =
    try {
        work()
    } catch (error: NativeException) {
        throw translated(error)
    } catch (error: NativePanic) {
        throw VolaryException.Internal("volary: a fault of its own, please report it: ${error.message}")
    }

/** What a person is told of an object: [described], unless it is closed. */
internal inline fun shown(kind: String, described: () -> String): String =
    try {
        "$kind(${described()})"
    } catch (_: VolaryException.Closed) {
        "$kind(closed)"
    }

/**
 * Threads that wait for the native code, which computes on threads of its own. They are a view of their own of
 * `Dispatchers.IO`, so that many generations at once take none of the application's.
 */
private val waiting = Dispatchers.IO.limitedParallelism(64, "volary")

/**
 * Runs [work] off the caller's thread. Cancelling the coroutine calls [cancel], and does not wait for [work] to end.
 */
internal suspend fun <T> offThread(cancel: () -> Unit, work: () -> T): T =
    // A withContext would notice the cancellation only when the work has ended.
    suspendCancellableCoroutine { caller ->
        caller.invokeOnCancellation { cancel() }
        waiting.dispatch(caller.context, Runnable { caller.resumeWith(runCatching(work)) })
    }

/** Runs [work] off the caller's thread, to its end: for what is short, and must not be lost. */
internal suspend fun <T> toTheEnd(work: () -> T): T = withContext(NonCancellable) { offThread({}, work) }

/**
 * Waits for a job off the caller's thread. Cancelling the coroutine, or an exception of [progress], cancels the job;
 * it has ended when this throws: no thread is left at work, no file half written.
 */
internal suspend fun outcome(progress: Progress? = null, start: () -> LongJob): Outcome {
    currentCoroutineContext().ensureActive()
    val job = toTheEnd { call(start) }
    try {
        var told = 0.0
        // The job begins when it is first asked: who cancels here finds that nothing was done.
        progress?.invoke(told)
        while (true) {
            val fraction = offThread(job::cancel) { job.progress(WAIT_MILLISECONDS) } ?: break
            if (fraction > told) progress?.invoke(fraction)
            told = fraction
        }
        val outcome = toTheEnd { call { job.result() } }
        if (told < 1.0) outcome.tell(progress)
        return outcome
    } catch (error: Throwable) {
        job.cancel()
        toTheEnd { while (job.progress(WAIT_MILLISECONDS) != null) Unit }
        throw error
    } finally {
        job.destroy()
    }
}

private fun Outcome.tell(progress: Progress?) {
    try {
        progress?.invoke(1.0)
    } catch (error: Throwable) {
        destroy()
        throw error
    }
}

/** News and cancellation end the wait sooner. */
private const val WAIT_MILLISECONDS = 500u
