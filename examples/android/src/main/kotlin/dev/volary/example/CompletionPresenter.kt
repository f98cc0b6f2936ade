package dev.volary.example

import dev.volary.Generation
import dev.volary.Model
import dev.volary.Progress
import dev.volary.VolaryException
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Job
import kotlinx.coroutines.launch

/** What the screen shows. */
interface CompletionView {
    /** Replaces the text. */
    fun show(text: String)

    /** Adds to the text. */
    fun append(piece: String)

    /** A line about what is going on, or went wrong. */
    fun tell(line: String)

    /** Whether a text is being written: the button then stops it. */
    fun writing(isWriting: Boolean)
}

/**
 * What the screen does, free of Android: it loads the model, and writes texts until it is told to stop. All is
 * called, and shown, on the thread of [scope]; the model computes on its own.
 */
class CompletionPresenter(
    private val view: CompletionView,
    private val scope: CoroutineScope,
    private val load: suspend (Progress) -> Model,
) {
    private var model: Model? = null
    private var writing: Generation? = null

    /** Loads the model. */
    fun start(): Job = scope.launch {
        reportingErrors {
            model = load { fraction -> view.tell("Loading: ${(fraction * 100).toInt()} %") }
            view.tell("Ready")
        }
    }

    /** The button: writes a text that continues [prompt], or stops the one being written. */
    fun press(prompt: String): Job? {
        writing?.let {
            it.cancel()
            return null
        }
        val generation = (model ?: return null).generate(prompt, maxTokens = 200)
        writing = generation
        return scope.launch { write(prompt, generation) }
    }

    private suspend fun write(prompt: String, generation: Generation) {
        view.writing(true)
        view.show(prompt)
        try {
            reportingErrors {
                generation.collect(view::append)
                val (usage, timings) = generation.stats!!
                view.tell("%.1f tokens a second".format(usage.generatedTokens / timings.decodeSeconds))
            }
        } finally {
            writing = null
            view.writing(false)
        }
    }

    /** Frees the model; cancel the scope, too. */
    fun close() {
        model?.close()
        model = null
    }

    private inline fun reportingErrors(work: () -> Unit) {
        try {
            work()
        } catch (error: VolaryException) {
            view.tell(error.message.orEmpty())
        }
    }
}
