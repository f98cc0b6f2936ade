package dev.volary.conformance

import dev.volary.checkout
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import org.junit.jupiter.api.io.TempDir
import java.nio.file.Path
import kotlin.test.Test
import kotlin.test.assertContains
import kotlin.test.assertEquals
import kotlin.test.assertNull

/** That the runner of scenarios can fail, and that every verb does what the table says. */
class RunnerTest {
    @TempDir
    lateinit var temporary: Path

    private fun fault(steps: String): String? =
        Scenario("""{"steps": [$steps]}""", checkout.resolve("tests/golden").toPath(), temporary).run()

    private val load = """{"call": "Model.load", "with": {"path": "{golden}/v7.pth"}, "save": "model"}"""

    @Test
    fun `what is wrong is found`() {
        val missing = """"call": "Model.load", "with": {"path": "{tmp}/none.pth"}"""
        val exists = """"call": "file.exists", "with": {"path": "{tmp}"}"""
        val greedy = """"call": "Model.generate", "with": {"on": "${'$'}model", "prompt": "O", "max_tokens": 3"""
        val cases = mapOf(
            "" to "has no steps",
            """{"call": "Model.fly"}""" to "step 1 (Model.fly): unknown verb",
            """{$exists, "expects": true}""" to "unknown members: expects",
            """$load, {"call": "Model.info", "with": {"on": "${'$'}other"}}""" to
                "step 2 (Model.info): failed: java.lang.IllegalStateException: nothing was saved as ${'$'}other",
            """$load, {"call": "Model.info", "with": {"on": "${'$'}model"}, "error": {"kind": "io"}}""" to
                "succeeded, but must fail",
            "{$missing}" to "failed: not_found: $temporary/none.pth: no such file; check the path",
            """{$missing, "error": {"kind": "io"}}""" to """kind: expected "io", found "not_found"""",
            """{$missing, "error": {"kind": "not_found", "message": "no"}}""" to """message: expected "no"""",
            """$load, {"call": "Model.info", "with": {"on": "${'$'}model"}, "expect": {"n_layer": 99}}""" to
                "n_layer: expected 99",
            """$load, {$greedy}, "expect": {"text": "x"}}""" to """text: expected "x"""",
            """$load, {$greedy, "top_q": 1}}""" to "unknown arguments: top_q",
            """{$exists, "expect": false}""" to "expected false, found true",
            """{$exists, "expect": 1}""" to "expected 1, found true",
            """{$exists, "save": "x"}""" to "has nothing to save",
        )
        cases.forEach { (steps, wrong) -> assertContains(fault(steps) ?: "passed: $steps", wrong) }
    }

    @Test
    fun `results are compared as the table says`() {
        val cases = listOf(
            Triple("1", "1", true),
            Triple("1", "1.00001", false),
            Triple("1.0", "1.00009", true),
            Triple("1.0", "1.0002", false),
            Triple("1000.0", "1000.09", true),
            Triple("18446744073709551615", "18446744073709551615", true),
            Triple("18446744073709551615", "18446744073709551614", false),
            Triple("1.0", "null", false),
            Triple("null", "null", true),
            Triple("null", "\"null\"", false),
            Triple("\"1\"", "1", false),
            Triple("\"a\"", "\"a \"", false),
            Triple("[1, 2]", "[1, 2, 3]", false),
            Triple("[{\"a\": 1}]", "[{\"a\": 1, \"b\": 2}]", true),
            Triple("{\"a\": {\"b\": 1}}", "{\"a\": {\"b\": 2}}", false),
            Triple("{\"a\": 1}", "{}", false),
            Triple("{\"a\": 1}", "null", false),
            Triple("{\"above\": 0}", "0.1", true),
            Triple("{\"above\": 0}", "0", false),
            Triple("{\"above\": 0}", "null", false),
        )
        for ((expected, found, same) in cases) {
            val difference = difference(Json.parseToJsonElement(expected), Json.parseToJsonElement(found), "")
            assertEquals(same, difference == null, "$expected and $found")
        }
    }

    @Test
    fun `every verb does what the table says`() {
        val steps = javaClass.getResource("/every-verb.json")!!.readText()
        assertNull(Scenario(steps, checkout.resolve("tests/golden").toPath(), temporary).run())
        val calls = Json.parseToJsonElement(steps).jsonObject.getValue("steps").jsonArray
        assertEquals(verbs.keys, calls.map { it.jsonObject.getValue("call").jsonPrimitive.content }.toSet())
    }
}
