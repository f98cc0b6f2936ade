package dev.volary.conformance

import dev.volary.checkout
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonPrimitive
import org.junit.jupiter.api.DynamicTest
import org.junit.jupiter.api.TestFactory
import java.io.File
import java.nio.file.Files
import kotlin.test.AfterTest
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertTrue
import kotlin.test.fail

/** The scenarios that every language's suite runs. */
class ConformanceTest {
    private val folder = checkout.resolve("tests/conformance")
    private val outcomes = sortedMapOf<String, String?>()

    @TestFactory
    fun scenarios(): List<DynamicTest> {
        val files = folder.listFiles { file -> file.extension == "json" }.orEmpty().sorted()
        assertTrue(files.isNotEmpty(), "no *.json in $folder")
        return files.map { file -> DynamicTest.dynamicTest(file.nameWithoutExtension) { run(file) } }
    }

    private fun run(file: File) {
        val temporary = Files.createTempDirectory("volary")
        try {
            val name = file.nameWithoutExtension
            outcomes[name] = "the suite itself failed"
            outcomes[name] = Scenario(file.readText(), checkout.resolve("tests/golden").toPath(), temporary).run()
            outcomes[name]?.let { fail(it) }
        } finally {
            temporary.toFile().deleteRecursively()
        }
    }

    /** `cargo xtask conformance` reads it. */
    @AfterTest
    fun report() {
        if (outcomes.isEmpty()) return
        val report = JsonObject(outcomes.mapValues { (_, fault) -> fault?.let { JsonPrimitive(it) } ?: JsonNull })
        val file = checkout.resolve("target/conformance/kotlin.json")
        file.parentFile.mkdirs()
        file.writeText(report.toString())
    }

    @Test
    fun `every verb of the table is known, and no other`() {
        val rows = folder.resolve("README.md").readLines().filter { it.startsWith("| `") }
        val cells = rows.map { it.split('|')[1].replace(Regex("""\([^)]*\)"""), "") }
        val names = cells.flatMap { cell -> Regex("`([\\w.]+)`").findAll(cell).map { it.groupValues[1] } }
        assertTrue(names.size > 40)
        assertEquals(names.toSet() - "on", verbs.keys)
    }
}
