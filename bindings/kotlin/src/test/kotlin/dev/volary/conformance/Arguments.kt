package dev.volary.conformance

import dev.volary.GenerateOptions
import dev.volary.Lora
import dev.volary.State
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonPrimitive
import kotlinx.serialization.json.boolean
import kotlinx.serialization.json.double
import kotlinx.serialization.json.int
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive

/** A step's arguments. Those that no verb asked for are mistakes: see [unused]. */
class Arguments(
    private val given: JsonObject,
    private val objects: Map<String, Any>,
    /** Whether the step saves something. */
    val isKept: Boolean = false,
) {
    private val used = mutableSetOf<String>()

    val unused: Set<String> get() = given.keys - used

    operator fun contains(name: String): Boolean = name in given

    private fun find(name: String): JsonElement? {
        used += name
        return given[name].takeUnless { it is JsonNull }
    }

    private fun primitive(name: String): JsonPrimitive? = find(name)?.jsonPrimitive

    /** The object that an earlier step saved. */
    fun saved(name: String): Any? {
        val reference = string(name) ?: return null
        return objects[reference.removePrefix("$")] ?: error("nothing was saved as $reference")
    }

    inline fun <reified T> on(name: String = "on"): T = saved(name) as? T ?: error("$name is no ${T::class.simpleName}")

    fun state(name: String = "state"): State? = saved(name) as State?

    fun string(name: String): String? = primitive(name)?.content

    fun text(name: String): String = string(name) ?: error("$name is not given")

    fun int(name: String): Int? = primitive(name)?.int

    fun double(name: String): Double? = primitive(name)?.double

    fun boolean(name: String): Boolean = primitive(name)?.boolean ?: false

    fun strings(name: String): List<String> = find(name)?.jsonArray.orEmpty().map { it.jsonPrimitive.content }

    fun ints(name: String): List<Int> = find(name)?.jsonArray.orEmpty().map { it.jsonPrimitive.int }

    fun objects(name: String): List<Arguments> =
        find(name)?.jsonArray.orEmpty().map { Arguments(it.jsonObject, objects) }

    fun map(name: String): Map<String, JsonPrimitive> =
        find(name)?.jsonObject.orEmpty().mapValues { it.value.jsonPrimitive }

    fun loras(): List<Lora> = objects("loras").map { lora ->
        Lora(lora.text("path"), lora.double("alpha"), lora.string("pissa_init"))
    }

    fun generateOptions(): GenerateOptions {
        val default = GenerateOptions()
        return GenerateOptions(
            maxTokens = int("max_tokens") ?: default.maxTokens,
            temperature = double("temperature"),
            topP = double("top_p"),
            topK = int("top_k"),
            minP = double("min_p"),
            presencePenalty = double("presence_penalty"),
            frequencyPenalty = double("frequency_penalty"),
            penaltyDecay = double("penalty_decay"),
            repetitionPenalty = double("repetition_penalty"),
            seed = string("seed")?.toULong(),
            stop = strings("stop"),
            stopTokens = ints("stop_tokens"),
            ignoreEos = boolean("ignore_eos"),
            bannedTokens = ints("banned_tokens"),
            logitBias = map("logit_bias").map { (token, bias) -> token.toInt() to bias.double }.toMap(),
            logprobs = int("logprobs"),
            state = state(),
        )
    }
}
