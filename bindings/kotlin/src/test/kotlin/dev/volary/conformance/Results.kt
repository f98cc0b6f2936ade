package dev.volary.conformance

import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonArray
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonPrimitive
import kotlin.reflect.full.memberProperties

/** What a verb gives: what `save` keeps, and what `expect` is compared with. */
class Result(val kept: Any? = null, val value: Any? = null)

/** Any result as JSON, the properties of records by their names in `src/volary.udl`. */
fun json(value: Any?): JsonElement = when (value) {
    null -> JsonNull
    is String -> JsonPrimitive(value)
    is Boolean -> JsonPrimitive(value)
    is Number -> JsonPrimitive(value)
    is ULong -> Json.parseToJsonElement(value.toString())
    is FloatArray -> json(
        mapOf(
            "len" to value.size,
            "argmax" to value.indices.maxByOrNull { value[it] },
            "head" to value.take(4),
        ),
    )
    is Map<*, *> -> JsonObject(value.entries.associate { (name, member) -> name.toString() to json(member) })
    is List<*> -> JsonArray(value.map(::json))
    else -> JsonObject(
        value::class.memberProperties.associate { it.name.snakeCase() to json(it.getter.call(value)) },
    )
}
