package dev.volary

import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.io.TempDir
import java.nio.file.Path
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertFalse
import kotlin.test.assertTrue

class ToolsTest {
    @TempDir
    lateinit var temporary: Path

    private fun file(name: String) = temporary.resolve(name).toString()

    private fun files() = temporary.toFile().list()!!.toList()

    @Test
    fun `a model is described and converted`() = runBlocking {
        val info = readInfo(golden("v7.pth"))
        assertEquals("RWKV-7", info.architecture)
        assertEquals("pth", info.fileType)
        assertTrue(info.tensors.isNotEmpty())
        val fractions = mutableListOf<Double>()
        val report = convert(
            golden("v7.pth"), file("a.gguf"), type = "Q8_0", tensorTypes = mapOf("emb*" to "F32"),
            progress = { fractions += it },
        )
        assertEquals(fractions.sorted().distinct(), fractions)
        assertEquals(1.0, fractions.last())
        assertEquals("gguf", report.fileType)
        assertTrue(report.formats.any { it.format == "Q8_0" })
        assertEquals(report.fileSize, readInfo(file("a.gguf")).fileSize)
    }

    @Test
    fun `LoRAs are merged into files and while a model is loaded`() = runBlocking {
        val lora = golden("lora/v7-lora.pth")
        val summary = mergeLora(golden("v7.pth"), lora, file("a.pth"), alpha = 32.0)
        assertEquals(2, summary.lora)
        Model.load(file("a.pth")).use { merged ->
            Model.load(golden("v7.pth"), loras = listOf(Lora(lora, alpha = 32.0))).use { loaded ->
                assertEquals(merged.complete("Once", seed = 1u).text, loaded.complete("Once", seed = 1u).text)
            }
        }
        val (pissa, init) = golden("lora/v7-pissa.pth") to golden("lora/v7-pissa-init.pth")
        assertEquals(1, mergeLora(golden("v7.pth"), pissa, file("b.pth"), pissaInit = init).pissa)
    }

    @Test
    fun `a model is measured`() = withModel { model ->
        val text = "Once upon a time"
        val report = model.perplexity(text, skip = 2, limit = 10, chunk = 3)
        assertEquals(8, report.predictions)
        val reports = compareFormats(golden("v7.pth"), text, listOf("Q8_0"), skip = 2, limit = 10)
        assertEquals(listOf(null, "Q8_0"), reports.map { it.format })
        assertEquals(report.crossEntropy, reports.first().perplexity.crossEntropy, 1e-4)
        val speed = model.bench(prefillTokens = 8, decodeTokens = 4, batch = 2, repeats = 1)
        assertEquals(2, speed.batch)
        assertEquals(model.isa, speed.isa)
    }

    @Test
    fun `options of loading arrive`() = runBlocking {
        Model.load(golden("v7.pth"), threads = 1, type = "Q8_0", initialState = golden("v7-state.pth")).use { model ->
            assertEquals(1, model.threads)
            Model.load(golden("v7.pth")).use { plain ->
                assertTrue(model.residentBytes < plain.residentBytes)
                val states = listOf(model, plain).map { each -> each.newState().use { it.toFloats().toList() } }
                assertFalse(states[0] == states[1])
            }
        }
        assertFailsWith<VolaryException.InvalidArgument> { Model.load(golden("v7.pth"), threads = -1) }
        assertFailsWith<VolaryException.InvalidArgument> { Model.load(golden("v7.pth"), groupNormEps = -1.0) }
        assertFailsWith<VolaryException.NotFound> { Model.load(golden("v7.pth"), tokenizer = file("none.json")) }
    }

    @Test
    fun `errors tell their kind, and the file`() = runBlocking {
        val error = assertFailsWith<VolaryException.NotFound> { Model.load(file("none.pth")) }
        assertEquals("${file("none.pth")}: no such file; check the path", error.message)
        assertFailsWith<VolaryException.NotFound> { readInfo(file("none.pth")) }
        assertFailsWith<VolaryException.NotFound> { convert(file("none.pth"), file("a.gguf")) }
        assertFailsWith<VolaryException> { Model.load(golden("os-system.pth")) }
        assertEquals(listOf(), files())
    }

    @Test
    fun `cancelling the coroutine cancels the job`() = runBlocking {
        val job = launch(Dispatchers.Default) {
            convert(golden("v7.pth"), file("a.gguf")) { throw CancellationException("enough") }
        }
        job.join()
        assertEquals(listOf(), files())
        Model.load(golden("v7.pth")).use { model ->
            val started = CompletableDeferred<Unit>()
            val bench = launch(Dispatchers.Default) {
                model.bench(prefillTokens = 100_000, decodeTokens = 100_000, repeats = 1000) { started.complete(Unit) }
            }
            started.await()
            bench.cancelAndJoin()
        }
    }

    @Test
    fun `an exception of progress cancels the job and is the caller's`() = runBlocking {
        assertFailsWith<ArithmeticException> {
            convert(golden("v7.pth"), file("a.gguf")) { throw ArithmeticException() }
        }
        assertEquals(listOf(), files())
    }

    @Test
    fun `tokenizers`() {
        Tokenizer.rawBytes().use { bytes ->
            assertEquals(listOf(195, 169), bytes.encode("é"))
            assertEquals(listOf(0, 255), bytes.encode(byteArrayOf(0, -1)))
            assertEquals("é\uFFFD", bytes.decode(listOf(195, 169, 255)))
            assertEquals(listOf<Byte>(-61), bytes.decodeBytes(listOf(195)).toList())
            assertEquals(null, bytes.endOfText)
        }
        Tokenizer.world().use { world ->
            assertEquals(65530, world.nVocab)
            assertEquals("Hello, 世界 🎉", world.decode(world.encode("Hello, 世界 🎉")))
        }
        Tokenizer.ofModel(golden("v7.pth")).use { assertEquals("bytes", it.name) }
        assertFailsWith<VolaryException.Format> { Tokenizer.open(golden("v7.pth")) }
    }
}
