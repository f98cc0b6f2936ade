package dev.volary

import dev.volary.internal.ConvertOptions
import dev.volary.internal.Outcome
import dev.volary.internal.TensorType

/** Describes the model in a file without loading it. */
public fun readInfo(path: String): ModelInfo {
    Library.load()
    return call { dev.volary.internal.readInfo(path) }.ours()
}

/**
 * Writes a checkpoint as another file, `.gguf` or rwkv.cpp's `.bin` by the extension of [target]. The file appears
 * under its name only when it is complete.
 *
 * @param type the number format of most matrices, `F16`, `Q5_1`, `Q4_K`, …; `null`: each keeps its own
 * @param encoder `search` for less error, or `reference`, bit for bit what rwkv.cpp and ggml write
 * @param policy which tensors get the format: `default`, `rwkvcpp` or `llamacpp`
 * @param tensorTypes formats by patterns of names, in which `*` stands for any characters; the last wins
 * @param fileVersion of a `.bin`: 100 or 101
 * @param tokenizer to embed in a GGUF file
 */
public suspend fun convert(
    source: String,
    target: String,
    type: String? = null,
    encoder: String = "search",
    policy: String? = null,
    tensorTypes: Map<String, String> = emptyMap(),
    fileVersion: Int? = null,
    tokenizer: String? = null,
    threads: Int? = null,
    progress: Progress? = null,
): ConvertReport {
    Library.load()
    val options = ConvertOptions(
        type,
        encoder,
        policy,
        tensorTypes.map { (pattern, format) -> TensorType(pattern, format) },
        fileVersion?.toLong(),
        tokenizer,
        threads?.toLong(),
    )
    val done = outcome(progress) { dev.volary.internal.convert(source, target, options) }
    return (done as Outcome.Converted).report.ours()
}

/**
 * Writes the checkpoint [base] with a LoRA, PiSSA, DiSHA or Bone merged into it; the extension of [target] tells the
 * file type: `.pth`, `.safetensors`, `.gguf` or `.bin`.
 */
public suspend fun mergeLora(
    base: String,
    lora: String,
    target: String,
    alpha: Double? = null,
    pissaInit: String? = null,
    threads: Int? = null,
    progress: Progress? = null,
): MergeSummary {
    Library.load()
    val file = Lora(lora, alpha, pissaInit).native()
    val done = outcome(progress) { dev.volary.internal.mergeLora(base, file, target, threads?.toLong()) }
    return (done as Outcome.Merged).summary.ours()
}

/** Measures what quantizing costs the model in a file: itself first, then itself in each of [formats]. */
public suspend fun compareFormats(
    path: String,
    text: String,
    formats: List<String>,
    threads: Int? = null,
    tokenizer: String? = null,
    groupNormEps: Double? = null,
    initialState: String? = null,
    loras: List<Lora> = emptyList(),
    skip: Int = 0,
    limit: Int? = null,
    chunk: Int? = null,
    progress: Progress? = null,
): List<FormatReport> {
    Library.load()
    val opening = modelOptions(threads, tokenizer, groupNormEps, null, initialState, loras)
    val options = perplexityOptions(skip, limit, chunk)
    val done = outcome(progress) { dev.volary.internal.compareFormats(path, text, formats, opening, options) }
    return (done as Outcome.Compared).reports.map { it.ours() }
}

/**
 * Measures how fast this machine reads memory, in GB/s: 10^9 bytes a second. It takes some tenths of a second, and
 * 256 MiB of memory meanwhile. A model cannot write tokens faster than this divided by its
 * [BenchReport.decodeBytesPerToken], unless the caches hold it.
 *
 * @param threads `null`: as many as there are cores for this process
 */
public suspend fun memoryBandwidth(threads: Int? = null): Double {
    Library.load()
    return (outcome { dev.volary.internal.memoryBandwidth(threads?.toLong()) } as Outcome.Streamed).gbPerSecond
}
