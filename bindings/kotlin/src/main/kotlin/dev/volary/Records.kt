package dev.volary

import java.nio.ByteBuffer
import java.nio.ByteOrder
import dev.volary.internal.BenchReport as NativeBenchReport
import dev.volary.internal.Completion as NativeCompletion
import dev.volary.internal.ConvertReport as NativeConvertReport
import dev.volary.internal.FormatReport as NativeFormatReport
import dev.volary.internal.MergeSummary as NativeMergeSummary
import dev.volary.internal.Message as NativeMessage
import dev.volary.internal.ModelInfo as NativeModelInfo
import dev.volary.internal.PerplexityReport as NativePerplexityReport
import dev.volary.internal.Piece as NativePiece
import dev.volary.internal.Stats as NativeStats
import dev.volary.internal.Timings as NativeTimings
import dev.volary.internal.TokenLogprob as NativeTokenLogprob
import dev.volary.internal.Usage as NativeUsage

/** A description of a model. */
public data class ModelInfo(
    /** The file's name without folder and extension. */
    val name: String,
    /** The file. */
    val path: String,
    /** `pth`, `safetensors`, `bin` or `gguf`. */
    val fileType: String,
    /** Bytes of the file, or of all its files. */
    val fileSize: Long,
    /** The generation: `RWKV-4`, `RWKV-5.2`, … */
    val architecture: String,
    /** Numbers in all tensors. */
    val parameters: Long,
    /** Layers. */
    val nLayer: Int,
    /** Width of the residual stream. */
    val nEmbd: Int,
    /** Width of the channel mix's hidden layer. */
    val nFfn: Int,
    /** Heads of the time mix. */
    val nHead: Int,
    /** Channels in a head. */
    val headSize: Int,
    /** Token ids. */
    val nVocab: Int,
    /** The tokenizer's name, if one is known. */
    val tokenizer: String?,
    /** The name of the chat format that suits the model. */
    val chatFormat: String,
    /** What the file says beside the tensors. */
    val metadata: Map<String, String>,
    /** Every tensor. */
    val tensors: List<TensorInfo>,
)

/** A description of a tensor. */
public data class TensorInfo(
    /** Name, as BlinkDL gives it. */
    val name: String,
    /** Row-major, outermost dimension first. */
    val shape: List<Long>,
    /** Number format in the file. */
    val format: String,
    /** Bytes in the file. */
    val size: Long,
)

/** Text as it comes: whole characters, of one token or several. */
public data class Piece(
    /** What to show. */
    val text: String,
    /** The tokens whose text this piece completes. */
    val tokens: List<Int>,
    /** For each of [tokens], if asked for. */
    val logprobs: List<TokenLogprob>,
    /** Whether the text is a chat model's thought rather than its answer. */
    val thinking: Boolean,
) {
    /** The text. */
    override fun toString(): String = text
}

/** How likely a token was, by the model alone. */
public data class TokenLogprob(
    /** The token sampled. */
    val token: Int,
    /** Natural logarithm of its probability. */
    val logprob: Float,
    /** The likeliest tokens, likeliest first, as many as were asked for. */
    val top: List<Alternative>,
)

/** A token that might have been sampled. */
public data class Alternative(
    /** The token. */
    val token: Int,
    /** Natural logarithm of its probability. */
    val logprob: Float,
)

/** Token counts of a generation. */
public data class Usage(
    /** Tokens of the prompt. */
    val promptTokens: Long,
    /** Tokens generated, those included that ended the text without being shown. */
    val generatedTokens: Long,
)

/** Times of a generation. Time that the caller spends between pieces does not count. */
public data class Timings(
    /** Seconds until the first token was generated. */
    val prefillSeconds: Double,
    /** Seconds for all further tokens. */
    val decodeSeconds: Double,
)

/** What a generation has done so far. */
public data class Stats(
    /** Token counts. */
    val usage: Usage,
    /** Times. */
    val timings: Timings,
    /** The seed in use, given or drawn. */
    val seed: ULong,
    /** Why the text ended, once it has: `length`, `end_of_text`, `stop_token`, `stop_text` or `cancelled`. */
    val finishReason: String?,
)

/** A finished text. */
public data class Completion(
    /** The text, without the prompt and without what stopped it. */
    val text: String,
    /** The tokens of the text. */
    val tokens: List<Int>,
    /** For each of [tokens], if asked for. */
    val logprobs: List<TokenLogprob>,
    /** Why the text ended: `length`, `end_of_text`, `stop_token`, `stop_text` or `cancelled`. */
    val finishReason: String,
    /** Token counts. */
    val usage: Usage,
    /** Times. */
    val timings: Timings,
    /** The seed in use, given or drawn. */
    val seed: ULong,
) {
    /** The text. */
    override fun toString(): String = text
}

/** Logits, `[n_vocab]` or `[n_tokens, n_vocab]` in one row, and the state after them. */
public class Evaluation internal constructor(
    /** The logits. */
    public val logits: FloatArray,
    /** The state after the tokens. */
    public val state: State,
) {
    /** [logits], for `val (logits, state) = …`. */
    public operator fun component1(): FloatArray = logits

    /** [state]. */
    public operator fun component2(): State = state
}

/** A message of a conversation. */
public data class Message(
    /** Who says it: `system`, `user` or `assistant`. */
    val role: String,
    /** What is said. A reply that was cancelled holds what was shown of it. */
    val content: String,
    /** What a model that thinks thought before its reply. */
    val thought: String,
    /** Earlier replies to the same message, oldest first, that [Chat.alternate] put aside. */
    val alternatives: List<String>,
)

/** What [convert] wrote. */
public data class ConvertReport(
    /** `bin` or `gguf`. */
    val fileType: String,
    /** Bytes of the source. */
    val sourceSize: Long,
    /** Bytes of the new file. */
    val fileSize: Long,
    /** Tensors and their bytes, by format. */
    val formats: List<FormatShare>,
    /** Tensors that have another format than asked for, because their rows do not divide into its blocks. */
    val refitted: List<String>,
    /** Matrices that were quantized before and are now in another quantized format: each such step loses more. */
    val requantized: Long,
)

/** How much of a file is in one number format. */
public data class FormatShare(
    /** The format. */
    val format: String,
    /** Tensors in it. */
    val tensors: Long,
    /** Their bytes. */
    val size: Long,
)

/** How many of a model's tensors a merge changed, by kind. */
public data class MergeSummary(
    /** Matrices with a LoRA added. */
    val lora: Long,
    /** Matrices with a PiSSA added. */
    val pissa: Long,
    /** Matrices with a DiSHA or Bone added. */
    val disha: Long,
    /** Matrices with a Bat added. */
    val bat: Long,
    /** Tensors replaced by those that the file holds in full. */
    val replaced: Long,
)

/** How well a model predicts a text. */
public data class PerplexityReport(
    /** Tokens in the whole text. */
    val textTokens: Long,
    /** Tokens after the limit. */
    val tokens: Long,
    /** Tokens whose predictions count. */
    val predictions: Long,
    /** Mean of `-ln p` over the predictions: nats per token. */
    val crossEntropy: Double,
    /** Standard error of the cross-entropy; `null` for a single prediction. */
    val crossEntropyError: Double?,
    /** `e` to the power of the cross-entropy. */
    val perplexity: Double,
    /** Standard error of the perplexity. */
    val perplexityError: Double?,
    /** Bits to write a byte of the predicted text with; `null` if the tokenizer is not known. */
    val bitsPerByte: Double?,
    /** Seconds in the forward pass. */
    val seconds: Double,
    /** Milliseconds in the forward pass for each token read. */
    val millisecondsPerToken: Double,
)

/** What was measured of one number format. */
public data class FormatReport(
    /** The format; `null` for the model as it was opened. */
    val format: String?,
    /** How well it predicts the text. */
    val perplexity: PerplexityReport,
    /** Percent by which its perplexity is above the unquantized model's. */
    val perplexityChangePercent: Double,
    /** Mean Kullback-Leibler divergence of its distributions from the unquantized model's, in nats per token. */
    val klDivergence: Double,
    /** Bytes that the weights take in memory. */
    val size: Long,
    /** Bits in memory for each of the model's parameters. */
    val bitsPerWeight: Double,
    /** Prompt tokens read in a second. */
    val prefillTokensPerSecond: Double?,
    /** Tokens written in a second. */
    val decodeTokensPerSecond: Double?,
)

/** How fast a model reads and writes: medians over the repetitions, tokens of all sessions counted. */
public data class BenchReport(
    /** Bytes that the weights take in memory. */
    val residentBytes: Long,
    /** Instruction set in use. */
    val isa: String,
    /** Threads in use. */
    val threads: Int,
    /** Sessions at once. */
    val batch: Long,
    /** Tokens of each session's prompt. */
    val prefillTokens: Long,
    /** Tokens each session wrote. */
    val decodeTokens: Long,
    /** Repetitions. */
    val repeats: Long,
    /** Prompt tokens read in a second. */
    val prefillTokensPerSecond: Double?,
    /**
     * Arithmetic of reading the prompt, in GFLOP/s: 10^9 operations a second, two for each weight that a token is
     * multiplied with.
     */
    val prefillGflopPerSecond: Double?,
    /** Tokens written in a second. */
    val decodeTokensPerSecond: Double?,
    /**
     * Bytes moved for each token written: its share of the weights, which all sessions read together, but of the
     * embedding one row, and its session's state, read and written.
     */
    val decodeBytesPerToken: Long,
    /** Memory traffic of writing, in GB/s: 10^9 bytes a second, to be held against [memoryBandwidth]. */
    val decodeGbPerSecond: Double?,
    /** The most memory this process has held, in bytes, where the system tells. */
    val peakRssBytes: Long?,
)

internal fun NativeModelInfo.ours() = ModelInfo(
    name, path, fileType, fileSize.toLong(), architecture, parameters.toLong(), nLayer.toInt(), nEmbd.toInt(),
    nFfn.toInt(), nHead.toInt(), headSize.toInt(), nVocab.toInt(), tokenizer, chatFormat, metadata,
    tensors.map { TensorInfo(it.name, it.shape.map(ULong::toLong), it.format, it.size.toLong()) },
)

internal fun NativePiece.ours() = Piece(text, tokens.ints(), logprobs.map { it.ours() }, thinking)

internal fun NativeTokenLogprob.ours() =
    TokenLogprob(token.toInt(), logprob, top.map { Alternative(it.token.toInt(), it.logprob) })

internal fun NativeUsage.ours() = Usage(promptTokens.toLong(), generatedTokens.toLong())

internal fun NativeTimings.ours() = Timings(prefillSeconds, decodeSeconds)

internal fun NativeStats.ours() = Stats(usage.ours(), timings.ours(), seed, finishReason)

internal fun NativeCompletion.ours() = Completion(
    text, tokens.ints(), logprobs.map { it.ours() }, finishReason, usage.ours(), timings.ours(), seed,
)

internal fun NativeMessage.ours() = Message(role, content, thought, alternatives)

internal fun NativeConvertReport.ours() = ConvertReport(
    fileType, sourceSize.toLong(), fileSize.toLong(),
    formats.map { FormatShare(it.format, it.tensors.toLong(), it.size.toLong()) }, refitted, requantized.toLong(),
)

internal fun NativeMergeSummary.ours() =
    MergeSummary(lora.toLong(), pissa.toLong(), disha.toLong(), bat.toLong(), replaced.toLong())

internal fun NativePerplexityReport.ours() = PerplexityReport(
    textTokens.toLong(), tokens.toLong(), predictions.toLong(), crossEntropy, crossEntropyError, perplexity,
    perplexityError, bitsPerByte, seconds, millisecondsPerToken,
)

internal fun NativeFormatReport.ours() = FormatReport(
    format, perplexity.ours(), perplexityChangePercent, klDivergence, size.toLong(), bitsPerWeight,
    prefillTokensPerSecond, decodeTokensPerSecond,
)

internal fun NativeBenchReport.ours() = BenchReport(
    residentBytes.toLong(), isa, threads.toInt(), batch.toLong(), prefillTokens.toLong(), decodeTokens.toLong(),
    repeats.toLong(), prefillTokensPerSecond, prefillGflopPerSecond, decodeTokensPerSecond,
    decodeBytesPerToken.toLong(), decodeGbPerSecond, peakRssBytes?.toLong(),
)

internal fun ByteArray.floats(): FloatArray {
    val floats = FloatArray(size / Float.SIZE_BYTES)
    ByteBuffer.wrap(this).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(floats)
    return floats
}

internal fun FloatArray.bytes(): ByteArray {
    val buffer = ByteBuffer.allocate(size * Float.SIZE_BYTES).order(ByteOrder.LITTLE_ENDIAN)
    buffer.asFloatBuffer().put(this)
    return buffer.array()
}
