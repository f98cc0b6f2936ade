package dev.volary.conformance

import dev.volary.ConvertReport
import dev.volary.VolaryException
import dev.volary.compareFormats
import dev.volary.convert
import dev.volary.memoryBandwidth
import dev.volary.mergeLora
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.cancel
import kotlinx.coroutines.coroutineScope
import java.io.File

/** Verbs that work on files. */
internal fun toolVerbs(): Map<String, Verb> = mapOf(
    "convert" to told(::converted),
    "merge_lora" to told {
        mergeLora(
            base = it.text("base"),
            lora = it.text("lora"),
            target = it.text("target"),
            alpha = it.double("alpha"),
            pissaInit = it.string("pissa_init"),
            threads = it.int("threads"),
        )
    },
    "compare_formats" to told {
        compareFormats(
            path = it.text("path"),
            text = it.text("text"),
            formats = it.strings("formats"),
            threads = it.int("threads"),
            tokenizer = it.string("tokenizer"),
            groupNormEps = it.double("group_norm_eps"),
            initialState = it.string("initial_state"),
            loras = it.loras(),
            skip = it.int("skip") ?: 0,
            limit = it.int("limit"),
            chunk = it.int("chunk"),
        )
    },
    "memory_bandwidth" to told { memoryBandwidth(it.int("threads")) },
    "file.write" to told {
        File(it.text("path")).writeBytes(it.string("text")?.encodeToByteArray() ?: bytes(it.text("hex")))
    },
    "file.copy" to told {
        val content = File(it.text("from")).readBytes()
        File(it.text("to")).writeBytes(content.copyOf(it.int("bytes") ?: content.size))
    },
    "file.exists" to told { File(it.text("path")).exists() },
)

private fun bytes(hex: String) = hex.chunked(2).map { it.toInt(16).toByte() }.toByteArray()

private suspend fun converted(with: Arguments): ConvertReport {
    val cancel = with.boolean("cancel")
    try {
        return coroutineScope {
            convert(
                source = with.text("source"),
                target = with.text("target"),
                type = with.string("type"),
                encoder = with.string("encoder") ?: "search",
                policy = with.string("policy"),
                tensorTypes = with.map("tensor_types").mapValues { it.value.content },
                fileVersion = with.int("file_version"),
                tokenizer = with.string("tokenizer"),
                threads = with.int("threads"),
                progress = { if (cancel) cancel() },
            )
        }
    } catch (error: CancellationException) {
        // A cancelled coroutine has an exception of its own, in place of the one that tells it in the other languages.
        throw if (cancel) VolaryException.Cancelled("cancelled") else error
    }
}
