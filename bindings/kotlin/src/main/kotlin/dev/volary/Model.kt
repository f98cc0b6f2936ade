package dev.volary

import dev.volary.internal.BenchOptions
import dev.volary.internal.Logits
import dev.volary.internal.Outcome
import dev.volary.internal.PerplexityOptions
import dev.volary.internal.Prompt
import dev.volary.internal.Model as NativeModel

/**
 * A loaded model: weights, tokenizer, threads. Immutable; any number of threads and coroutines may share it.
 *
 * Closing it ends running texts before their next token; its memory goes when the last of them is gone. What takes
 * long is a flow or a `suspend` function and computes off the caller's thread; cancelling the coroutine stops it.
 */
public class Model internal constructor(internal val native: NativeModel) : AutoCloseable {
    /** What the model is: generation, sizes, formats, metadata. */
    public val info: ModelInfo get() = call { native.info() }.ours()

    /** Its name and architecture, or that it is closed. */
    override fun toString(): String = shown("Model") { info.run { "$name, $architecture" } }

    /** Threads in use. */
    public val threads: Int get() = call { native.threads() }.toInt()

    /** Bytes that the weights take in memory. */
    public val residentBytes: Long get() = call { native.residentBytes() }.toLong()

    /** The instruction set in use, as `VOLARY_ISA` names it. */
    public val isa: String get() = call { native.isa() }

    /** The model's tokenizer. It outlives the model. */
    public val tokenizer: Tokenizer get() = Tokenizer(call { native.tokenizer() })

    /** A text that continues [prompt]. The options are those of [GenerateOptions]. */
    public fun generate(
        prompt: String,
        maxTokens: Int = 256,
        temperature: Double? = null,
        topP: Double? = null,
        topK: Int? = null,
        minP: Double? = null,
        presencePenalty: Double? = null,
        frequencyPenalty: Double? = null,
        penaltyDecay: Double? = null,
        repetitionPenalty: Double? = null,
        seed: ULong? = null,
        stop: List<String> = emptyList(),
        stopTokens: List<Int> = emptyList(),
        ignoreEos: Boolean = false,
        bannedTokens: List<Int> = emptyList(),
        logitBias: Map<Int, Double> = emptyMap(),
        logprobs: Int? = null,
        state: State? = null,
    ): Generation = generate(
        prompt,
        GenerateOptions(
            maxTokens, temperature, topP, topK, minP, presencePenalty, frequencyPenalty, penaltyDecay,
            repetitionPenalty, seed, stop, stopTokens, ignoreEos, bannedTokens, logitBias, logprobs, state,
        ),
    )

    /** A text that continues the tokens of [prompt]. The options are those of [GenerateOptions]. */
    public fun generate(
        prompt: List<Int>,
        maxTokens: Int = 256,
        temperature: Double? = null,
        topP: Double? = null,
        topK: Int? = null,
        minP: Double? = null,
        presencePenalty: Double? = null,
        frequencyPenalty: Double? = null,
        penaltyDecay: Double? = null,
        repetitionPenalty: Double? = null,
        seed: ULong? = null,
        stop: List<String> = emptyList(),
        stopTokens: List<Int> = emptyList(),
        ignoreEos: Boolean = false,
        bannedTokens: List<Int> = emptyList(),
        logitBias: Map<Int, Double> = emptyMap(),
        logprobs: Int? = null,
        state: State? = null,
    ): Generation = generate(
        prompt,
        GenerateOptions(
            maxTokens, temperature, topP, topK, minP, presencePenalty, frequencyPenalty, penaltyDecay,
            repetitionPenalty, seed, stop, stopTokens, ignoreEos, bannedTokens, logitBias, logprobs, state,
        ),
    )

    /** The whole text that continues [prompt]. The options are those of [GenerateOptions]. */
    public suspend fun complete(
        prompt: String,
        maxTokens: Int = 256,
        temperature: Double? = null,
        topP: Double? = null,
        topK: Int? = null,
        minP: Double? = null,
        presencePenalty: Double? = null,
        frequencyPenalty: Double? = null,
        penaltyDecay: Double? = null,
        repetitionPenalty: Double? = null,
        seed: ULong? = null,
        stop: List<String> = emptyList(),
        stopTokens: List<Int> = emptyList(),
        ignoreEos: Boolean = false,
        bannedTokens: List<Int> = emptyList(),
        logitBias: Map<Int, Double> = emptyMap(),
        logprobs: Int? = null,
        state: State? = null,
    ): Completion = complete(
        prompt,
        GenerateOptions(
            maxTokens, temperature, topP, topK, minP, presencePenalty, frequencyPenalty, penaltyDecay,
            repetitionPenalty, seed, stop, stopTokens, ignoreEos, bannedTokens, logitBias, logprobs, state,
        ),
    )

    /**
     * The texts that continue several prompts, each as its prompt gives alone; the weights are read once for all. The
     * options are those of [GenerateOptions].
     */
    public suspend fun completeBatch(
        prompts: List<String>,
        maxTokens: Int = 256,
        temperature: Double? = null,
        topP: Double? = null,
        topK: Int? = null,
        minP: Double? = null,
        presencePenalty: Double? = null,
        frequencyPenalty: Double? = null,
        penaltyDecay: Double? = null,
        repetitionPenalty: Double? = null,
        seed: ULong? = null,
        stop: List<String> = emptyList(),
        stopTokens: List<Int> = emptyList(),
        ignoreEos: Boolean = false,
        bannedTokens: List<Int> = emptyList(),
        logitBias: Map<Int, Double> = emptyMap(),
        logprobs: Int? = null,
        state: State? = null,
    ): List<Completion> = completeBatch(
        prompts,
        GenerateOptions(
            maxTokens, temperature, topP, topK, minP, presencePenalty, frequencyPenalty, penaltyDecay,
            repetitionPenalty, seed, stop, stopTokens, ignoreEos, bannedTokens, logitBias, logprobs, state,
        ),
    )

    /** A text that continues [prompt]. */
    public fun generate(prompt: String, options: GenerateOptions): Generation =
        Generation { native.generate(prompt, options.native()) }

    /** A text that continues the tokens of [prompt]. */
    public fun generate(prompt: List<Int>, options: GenerateOptions): Generation =
        Generation { native.generateTokens(prompt.longs(), options.native()) }

    /** The whole text that continues [prompt]. */
    public suspend fun complete(prompt: String, options: GenerateOptions): Completion =
        completeBatch(listOf(prompt), options).single()

    /** The texts that continue several prompts, each as its prompt gives alone; the weights are read once for all. */
    public suspend fun completeBatch(prompts: List<String>, options: GenerateOptions): List<Completion> {
        val done = outcome { native.completeBatch(prompts, options.native()) } as Outcome.Completed
        return done.completions.map { it.ours() }
    }

    /** Begins a conversation, in the chat [format] that suits the model or in the one named. */
    public fun chat(system: String? = null, format: String? = null): Chat = Chat(call { native.chat(system, format) })

    /** A state that has seen no text: zeros, or the tuned initial state the model was loaded with. */
    public fun newState(): State = State(call { native.newState() })

    /** Reads a text and gives the state after it; [state], `null` for a new text, stays as it was. */
    public suspend fun prefill(text: String, state: State? = null, progress: Progress? = null): State {
        val done = outcome(progress) { native.prefill(text, state?.native) } as Outcome.Evaluated
        return State(done.evaluations.single().state)
    }

    /** Reads tokens and gives the state after them; [state], `null` for a new text, stays as it was. */
    public suspend fun prefill(tokens: List<Int>, state: State? = null, progress: Progress? = null): State =
        evaluate(listOf(tokens), listOf(state), Logits.NOTHING, progress).single().state

    /**
     * The logits after a token, `[n_vocab]`, and the state after it, which is the caller's to close; [state], `null`
     * for a new text, stays as it was. Computes on the caller's thread.
     */
    public fun eval(token: Int, state: State? = null): Evaluation {
        val done = call { native.eval(token.toLong(), state?.native) }
        return Evaluation(done.logits.floats(), State(done.state))
    }

    /**
     * Reads a token into [state], which moves on, and gives the logits after it, `[n_vocab]`. Computes on the
     * caller's thread, and faster than [eval], which makes a new state.
     */
    public fun decode(token: Int, state: State): FloatArray =
        call { native.decode(token.toLong(), state.native) }.floats()

    /**
     * The logits after the last token, or with [allLogits] after each, `[n_tokens, n_vocab]` in one row, and the state
     * after them; [state], `null` for a new text, stays as it was.
     */
    public suspend fun evalSequence(
        tokens: List<Int>,
        state: State? = null,
        allLogits: Boolean = false,
        progress: Progress? = null,
    ): Evaluation = evalBatch(listOf(tokens), listOf(state), allLogits, progress).single()

    /** As [evalSequence] for several texts at once; the weights are read once for all of them. */
    public suspend fun evalBatch(
        sequences: List<List<Int>>,
        states: List<State?> = sequences.map { null },
        allLogits: Boolean = false,
        progress: Progress? = null,
    ): List<Evaluation> = evaluate(sequences, states, if (allLogits) Logits.ALL else Logits.LAST, progress)

    private suspend fun evaluate(
        sequences: List<List<Int>>,
        states: List<State?>,
        logits: Logits,
        progress: Progress?,
    ): List<Evaluation> {
        if (sequences.size != states.size) {
            val counts = "${states.size} given for ${sequences.size} sequences"
            throw VolaryException.InvalidArgument("states: $counts; give one for each, null for a new text")
        }
        val done = outcome(progress) {
            native.evalBatch(sequences.zip(states) { tokens, state -> Prompt(tokens.longs(), state?.native) }, logits)
        } as Outcome.Evaluated
        return done.evaluations.map { Evaluation(it.logits.floats(), State(it.state)) }
    }

    /**
     * Measures how well the model predicts a text. The first [skip] tokens are read but not counted; of the text are
     * kept [limit] tokens. [chunk] tokens go through the layers together, which changes speed and memory only.
     */
    public suspend fun perplexity(
        text: String,
        skip: Int = 0,
        limit: Int? = null,
        chunk: Int? = null,
        progress: Progress? = null,
    ): PerplexityReport {
        val options = perplexityOptions(skip, limit, chunk)
        return (outcome(progress) { native.perplexity(text, options) } as Outcome.Measured).report.ours()
    }

    /**
     * Measures how fast the model reads and writes: [batch] sessions at once each read [prefillTokens] and write
     * [decodeTokens], [repeats] times; the medians count.
     */
    public suspend fun bench(
        prefillTokens: Int = 512,
        decodeTokens: Int = 64,
        batch: Int = 1,
        repeats: Int = 3,
        progress: Progress? = null,
    ): BenchReport {
        val options =
            BenchOptions(prefillTokens.toLong(), decodeTokens.toLong(), batch.toLong(), repeats.toLong())
        return (outcome(progress) { native.bench(options) } as Outcome.Timed).report.ours()
    }

    /** Every later call is an error, and running texts end before their next token; closing again is none. */
    override fun close() {
        native.release()
    }

    /** Loads models. */
    public companion object {
        /**
         * Loads a model from a `.pth`, `.safetensors`, `.bin` or `.gguf` file.
         *
         * @param threads to compute with; `null`: as many as there are cores for this process
         * @param tokenizer a `tokenizer.json` or a World vocabulary, in place of the one that the model's vocabulary
         * size tells
         * @param groupNormEps epsilon of the group norm of RWKV-5 to 7; `null`: 64e-5, as BlinkDL trains them
         * @param type a number format to quantize the weights to while they are loaded; `null`: as the file has them
         * @param initialState a file of tuned initial states
         * @param loras to merge into the weights while they are loaded, one after the other
         */
        public suspend fun load(
            path: String,
            threads: Int? = null,
            tokenizer: String? = null,
            groupNormEps: Double? = null,
            type: String? = null,
            initialState: String? = null,
            loras: List<Lora> = emptyList(),
            progress: Progress? = null,
        ): Model {
            Library.load()
            val options = modelOptions(threads, tokenizer, groupNormEps, type, initialState, loras)
            return Model((outcome(progress) { dev.volary.internal.load(path, options) } as Outcome.Loaded).model)
        }

        /**
         * Loads the demo model: a small RWKV-7 that tells old stories, and comes with the package. It is unpacked into
         * a temporary file, which is gone when this returns. The options are those of [load].
         */
        public suspend fun demo(
            threads: Int? = null,
            tokenizer: String? = null,
            groupNormEps: Double? = null,
            type: String? = null,
            initialState: String? = null,
            loras: List<Lora> = emptyList(),
            progress: Progress? = null,
        ): Model = Demo.asFile { load(it, threads, tokenizer, groupNormEps, type, initialState, loras, progress) }
    }
}

internal fun perplexityOptions(skip: Int, limit: Int?, chunk: Int?) =
    PerplexityOptions(skip.toLong(), limit?.toLong(), chunk?.toLong())
