package dev.volary

import dev.volary.internal.GenerateOptions as NativeOptions
import dev.volary.internal.LoraFile as NativeLora
import dev.volary.internal.ModelOptions as NativeModelOptions
import dev.volary.internal.TokenBias

/**
 * Options of a generation. `null` means what RWKV's author recommends for the kind of model.
 *
 * @property maxTokens at most so many tokens
 * @property temperature 0 or more; 0 always takes the likeliest token
 * @property topP 0 to 1; 1 keeps all tokens
 * @property topK keeps at most so many tokens; 0 for no limit
 * @property minP 0 to 1; drops tokens less likely than this fraction of the likeliest
 * @property presencePenalty taken from the logit of each token generated before
 * @property frequencyPenalty taken from a token's logit for each time it was generated
 * @property penaltyDecay 0 to 1; what the counts of the frequency penalty are multiplied by at each step
 * @property repetitionPenalty above 0; divides positive logits, and multiplies negative ones, of earlier tokens
 * @property seed the same seed gives the same text; `null`: a fresh one each time, to be read from the statistics
 * @property stop texts that end the generation and are not part of it
 * @property stopTokens tokens that end the generation and are not part of it, beside the end-of-text token
 * @property ignoreEos never generates the end-of-text token
 * @property bannedTokens tokens never to generate
 * @property logitBias added to the logits of these tokens
 * @property logprobs reports each token's log-probability and those of so many likeliest alternatives (0 to 100)
 * @property state goes on from this state instead of from nothing; it stays as it is
 */
public data class GenerateOptions(
    val maxTokens: Int = 256,
    val temperature: Double? = null,
    val topP: Double? = null,
    val topK: Int? = null,
    val minP: Double? = null,
    val presencePenalty: Double? = null,
    val frequencyPenalty: Double? = null,
    val penaltyDecay: Double? = null,
    val repetitionPenalty: Double? = null,
    val seed: ULong? = null,
    val stop: List<String> = emptyList(),
    val stopTokens: List<Int> = emptyList(),
    val ignoreEos: Boolean = false,
    val bannedTokens: List<Int> = emptyList(),
    val logitBias: Map<Int, Double> = emptyMap(),
    val logprobs: Int? = null,
    val state: State? = null,
) {
    internal fun native(): NativeOptions = NativeOptions(
        maxTokens = maxTokens.toLong(),
        temperature = temperature,
        topP = topP,
        topK = topK?.toLong(),
        minP = minP,
        presencePenalty = presencePenalty,
        frequencyPenalty = frequencyPenalty,
        penaltyDecay = penaltyDecay,
        repetitionPenalty = repetitionPenalty,
        seed = seed,
        stop = stop,
        stopTokens = stopTokens.longs(),
        ignoreEos = ignoreEos,
        bannedTokens = bannedTokens.longs(),
        logitBias = logitBias.map { (token, bias) -> TokenBias(token.toLong(), bias) },
        logprobs = logprobs?.toLong(),
        state = state?.native,
    )
}

/**
 * A file of trained additions to a model: a LoRA, PiSSA, DiSHA or Bone.
 *
 * @property path the file as the trainer saved it: `.pth` or `.safetensors`
 * @property alpha the training's `lora_alpha`; a LoRA needs it, the other kinds have none
 * @property pissaInit the initial values that PiSSA saves when training begins
 */
public data class Lora(val path: String, val alpha: Double? = null, val pissaInit: String? = null) {
    internal fun native(): NativeLora = NativeLora(path, alpha, pissaInit)
}

internal fun modelOptions(
    threads: Int?,
    tokenizer: String?,
    groupNormEps: Double?,
    type: String?,
    initialState: String?,
    loras: List<Lora>,
): NativeModelOptions =
    NativeModelOptions(threads?.toLong(), tokenizer, groupNormEps, type, initialState, loras.map { it.native() })

internal fun List<Int>.longs(): List<Long> = map { it.toLong() }

internal fun List<UInt>.ints(): List<Int> = map { it.toInt() }
