package dev.volary.conformance

import dev.volary.VolaryException
import kotlinx.coroutines.runBlocking
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonArray
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonPrimitive
import kotlinx.serialization.json.contentOrNull
import kotlinx.serialization.json.doubleOrNull
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import java.math.BigDecimal
import java.nio.file.Path

/** Runs the steps of tests/conformance/NAME.json; the format is described in README.md beside it. */
class Scenario(text: String, private val golden: Path, private val temporary: Path) {
    private val steps = Json.parseToJsonElement(text).jsonObject.getValue("steps").jsonArray.map { it.jsonObject }

    /** What went wrong; null if nothing did. */
    fun run(): String? {
        if (steps.isEmpty()) return "has no steps"
        val objects = mutableMapOf<String, Any>()
        try {
            steps.forEachIndexed { index, step ->
                val verb = step.getValue("call").jsonPrimitive.content
                fault(verb, step, objects)?.let { return "step ${index + 1} ($verb): $it" }
            }
            return null
        } finally {
            objects.values.filterIsInstance<AutoCloseable>().forEach { it.close() }
        }
    }

    private fun fault(verb: String, step: JsonObject, objects: MutableMap<String, Any>): String? {
        unknown("members", step.keys - setOf("call", "with", "save", "expect", "error", "about"))?.let { return it }
        val perform = verbs[verb] ?: return "unknown verb"
        val save = step["save"]?.jsonPrimitive?.content
        val arguments = Arguments(replaced(step["with"] ?: JsonObject(emptyMap())).jsonObject, objects, save != null)
        val result = try {
            runBlocking { perform(arguments) }
        } catch (error: VolaryException) {
            return unknown("arguments", arguments.unused) ?: differs(error, step["error"]?.jsonObject)
        } catch (error: Exception) {
            return "failed: $error"
        }
        unknown("arguments", arguments.unused)?.let { return it }
        if (save != null) objects[save] = result.kept ?: return "has nothing to save"
        return when {
            "error" in step -> "succeeded, but must fail: ${step["error"]}"
            "expect" in step -> difference(replaced(step.getValue("expect")), json(result.value), "")
            else -> null
        }
    }

    private fun unknown(what: String, names: Set<String>): String? =
        if (names.isEmpty()) null else "unknown $what: ${names.joinToString()}"

    private fun differs(error: VolaryException, expected: JsonObject?): String? {
        val kind = error::class.simpleName.orEmpty().snakeCase()
        if (expected == null) return "failed: $kind: ${error.message}"
        val found = JsonObject(mapOf("kind" to JsonPrimitive(kind), "message" to JsonPrimitive(error.message)))
        return difference(replaced(expected), found, "")
    }

    private fun replaced(element: JsonElement): JsonElement = when {
        element is JsonObject -> JsonObject(element.mapValues { replaced(it.value) })
        element is JsonArray -> JsonArray(element.map(::replaced))
        element is JsonPrimitive && element.isString -> JsonPrimitive(
            element.content.replace("{golden}", golden.toString()).replace("{tmp}", temporary.toString()),
        )
        else -> element
    }
}

/** How what was found differs from what was expected; null if it does not. */
fun difference(expected: JsonElement, found: JsonElement, at: String): String? = when {
    expected is JsonObject && found is JsonObject -> expected.entries.firstNotNullOfOrNull { (name, value) ->
        val here = if (at.isEmpty()) name else "$at.$name"
        if (name in found) difference(value, found.getValue(name), here) else "$here is not there"
    }
    expected is JsonArray && found is JsonArray && expected.size == found.size ->
        expected.indices.firstNotNullOfOrNull { difference(expected[it], found[it], "$at[$it]") }
    expected is JsonObject && found is JsonPrimitive && isAbove(expected, found) -> null
    expected is JsonPrimitive && found is JsonPrimitive && same(expected, found) -> null
    else -> "${if (at.isEmpty()) "" else "$at: "}expected $expected, found $found"
}

/** Whether a number is above that of `{"above": 0}`. */
private fun isAbove(expected: JsonObject, found: JsonPrimitive): Boolean {
    val least = expected["above"]?.jsonPrimitive?.doubleOrNull
    val number = found.takeUnless { it.isString }?.doubleOrNull
    return expected.size == 1 && least != null && number != null && number > least
}

/** To be equal, a number with a point need only be near. */
private fun same(expected: JsonPrimitive, found: JsonPrimitive): Boolean {
    if (expected.isString != found.isString) return false
    val wanted = if (expected.isString || expected is JsonNull) null else expected.content.toBigDecimalOrNull()
    val number = found.content.toBigDecimalOrNull()
    if (wanted == null || number == null) return expected.contentOrNull == found.contentOrNull
    if (expected.content.all { it.isDigit() || it == '-' }) return wanted.compareTo(number) == 0
    return (wanted - number).abs() <= BigDecimal("1e-4") * wanted.abs().max(BigDecimal.ONE)
}

fun String.snakeCase(): String = replace(Regex("(?<=.)[A-Z]")) { "_${it.value}" }.lowercase()
