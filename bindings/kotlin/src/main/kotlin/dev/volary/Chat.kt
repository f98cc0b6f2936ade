package dev.volary

import dev.volary.internal.Chat as NativeChat

/**
 * A conversation with a model: roles, prompt formats, retry, alternate replies, undo, save.
 *
 * While a reply is being collected every other call is an error. A reply that is left or cancelled ends where it was
 * shown.
 */
public class Chat internal constructor(private val native: NativeChat) : AutoCloseable {
    /** Says [text] and gives the reply, when it is collected. The options are those of [GenerateOptions]. */
    public fun send(
        text: String,
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
    ): Generation = send(
        text,
        GenerateOptions(
            maxTokens, temperature, topP, topK, minP, presencePenalty, frequencyPenalty, penaltyDecay,
            repetitionPenalty, seed, stop, stopTokens, ignoreEos, bannedTokens, logitBias, logprobs,
        ),
    )

    /** Replaces the last reply by another one to the same message. The options are those of [GenerateOptions]. */
    public fun retry(
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
    ): Generation = retry(
        GenerateOptions(
            maxTokens, temperature, topP, topK, minP, presencePenalty, frequencyPenalty, penaltyDecay,
            repetitionPenalty, seed, stop, stopTokens, ignoreEos, bannedTokens, logitBias, logprobs,
        ),
    )

    /** As [retry], but keeps the former reply. The options are those of [GenerateOptions]. */
    public fun alternate(
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
    ): Generation = alternate(
        GenerateOptions(
            maxTokens, temperature, topP, topK, minP, presencePenalty, frequencyPenalty, penaltyDecay,
            repetitionPenalty, seed, stop, stopTokens, ignoreEos, bannedTokens, logitBias, logprobs,
        ),
    )

    /** Says [text] and gives the reply, when it is collected. */
    public fun send(text: String, options: GenerateOptions): Generation =
        Generation { native.send(text, options.native()) }

    /** Replaces the last reply by another one to the same message, when it is collected. */
    public fun retry(options: GenerateOptions): Generation = Generation { native.retry(options.native()) }

    /** As [retry], but keeps the former reply among the new one's [alternatives][Message.alternatives]. */
    public fun alternate(options: GenerateOptions): Generation = Generation { native.alternate(options.native()) }

    /** Takes back the last message and its reply. */
    public fun undo(): Unit = call { native.undo() }

    /** Forgets the conversation, but not the system message. */
    public fun reset(): Unit = call { native.reset() }

    /** Sets, changes or (`null`) removes the system message. */
    public fun setSystem(text: String?): Unit = call { native.setSystem(text) }

    /** All messages, oldest first, the system message among them. */
    public val history: List<Message> get() = call { native.history() }.map { it.ours() }

    /** The name of the chat format. */
    public val format: String get() = call { native.format() }

    /** Saves the conversation. The file appears under its name only when it is complete. */
    public fun save(path: String): Unit = call { native.save(path) }

    /** A running reply ends, and every later call is an error; closing again is none. */
    override fun close() {
        native.release()
    }

    /** Loads conversations. */
    public companion object {
        /** Loads a conversation that [save] wrote, to go on with the same model. */
        public fun load(model: Model, path: String): Chat = Chat(call { NativeChat.load(model.native, path) })
    }
}
