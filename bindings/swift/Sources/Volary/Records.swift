internal import VolaryGenerated

/// A description of a model.
public struct ModelInfo: Sendable, Equatable {
    /// The file's name without folder and extension.
    public let name: String
    /// The file.
    public let path: String
    /// `pth`, `safetensors`, `bin` or `gguf`.
    public let fileType: String
    /// Bytes of the file, or of all its files.
    public let fileSize: Int
    /// The generation: `RWKV-4`, `RWKV-5.2`, …
    public let architecture: String
    /// Numbers in all tensors.
    public let parameters: Int
    /// Layers.
    public let nLayer: Int
    /// Width of the residual stream.
    public let nEmbd: Int
    /// Width of the channel mix's hidden layer.
    public let nFfn: Int
    /// Heads of the time mix.
    public let nHead: Int
    /// Channels in a head.
    public let headSize: Int
    /// Token ids.
    public let nVocab: Int
    /// The tokenizer's name, if one is known.
    public let tokenizer: String?
    /// The name of the chat format that suits the model.
    public let chatFormat: String
    /// What the file says beside the tensors.
    public let metadata: [String: String]
    /// Every tensor.
    public let tensors: [TensorInfo]

    init(_ native: VolaryGenerated.ModelInfo) {
        name = native.name
        path = native.path
        fileType = native.fileType
        fileSize = Int(native.fileSize)
        architecture = native.architecture
        parameters = Int(native.parameters)
        nLayer = Int(native.nLayer)
        nEmbd = Int(native.nEmbd)
        nFfn = Int(native.nFfn)
        nHead = Int(native.nHead)
        headSize = Int(native.headSize)
        nVocab = Int(native.nVocab)
        tokenizer = native.tokenizer
        chatFormat = native.chatFormat
        metadata = native.metadata
        tensors = native.tensors.map(TensorInfo.init)
    }
}

/// A description of a tensor.
public struct TensorInfo: Sendable, Equatable {
    /// Name, as BlinkDL gives it.
    public let name: String
    /// Row-major, outermost dimension first.
    public let shape: [Int]
    /// Number format in the file.
    public let format: String
    /// Bytes in the file.
    public let size: Int

    init(_ native: VolaryGenerated.TensorInfo) {
        name = native.name
        shape = native.shape.map(Int.init)
        format = native.format
        size = Int(native.size)
    }
}

/// Text as it comes: whole characters, of one token or several.
public struct Piece: Sendable, Equatable {
    /// What to show.
    public let text: String
    /// The tokens whose text this piece completes.
    public let tokens: [Int]
    /// For each of `tokens`, if asked for.
    public let logprobs: [TokenLogprob]
    /// Whether the text is a chat model's thought rather than its answer.
    public let thinking: Bool

    init(_ native: VolaryGenerated.Piece) {
        text = native.text
        tokens = native.tokens.map(Int.init)
        logprobs = native.logprobs.map(TokenLogprob.init)
        thinking = native.thinking
    }
}

/// How likely a token was, by the model alone.
public struct TokenLogprob: Sendable, Equatable {
    /// The token sampled.
    public let token: Int
    /// Natural logarithm of its probability.
    public let logprob: Float
    /// The likeliest tokens, likeliest first, as many as were asked for.
    public let top: [Alternative]

    init(_ native: VolaryGenerated.TokenLogprob) {
        token = Int(native.token)
        logprob = native.logprob
        top = native.top.map(Alternative.init)
    }
}

/// A token that might have been sampled.
public struct Alternative: Sendable, Equatable {
    /// The token.
    public let token: Int
    /// Natural logarithm of its probability.
    public let logprob: Float

    init(_ native: VolaryGenerated.Alternative) {
        token = Int(native.token)
        logprob = native.logprob
    }
}

/// Token counts of a generation.
public struct Usage: Sendable, Equatable {
    /// Tokens of the prompt.
    public let promptTokens: Int
    /// Tokens generated, those included that ended the text without being shown.
    public let generatedTokens: Int

    init(_ native: VolaryGenerated.Usage) {
        promptTokens = Int(native.promptTokens)
        generatedTokens = Int(native.generatedTokens)
    }
}

/// Times of a generation. Time that the caller spends between pieces does not count.
public struct Timings: Sendable, Equatable {
    /// Seconds until the first token was generated.
    public let prefillSeconds: Double
    /// Seconds for all further tokens.
    public let decodeSeconds: Double

    init(_ native: VolaryGenerated.Timings) {
        prefillSeconds = native.prefillSeconds
        decodeSeconds = native.decodeSeconds
    }
}

/// What a generation has done so far.
public struct Stats: Sendable, Equatable {
    /// Token counts.
    public let usage: Usage
    /// Times.
    public let timings: Timings
    /// The seed in use, given or drawn.
    public let seed: UInt64
    /// Why the text ended, once it has: `length`, `end_of_text`, `stop_token`, `stop_text` or `cancelled`.
    public let finishReason: String?

    init(_ native: VolaryGenerated.Stats) {
        usage = Usage(native.usage)
        timings = Timings(native.timings)
        seed = native.seed
        finishReason = native.finishReason
    }
}

/// A finished text.
public struct Completion: Sendable, Equatable {
    /// The text, without the prompt and without what stopped it.
    public let text: String
    /// The tokens of the text.
    public let tokens: [Int]
    /// For each of `tokens`, if asked for.
    public let logprobs: [TokenLogprob]
    /// Why the text ended: `length`, `end_of_text`, `stop_token`, `stop_text` or `cancelled`.
    public let finishReason: String
    /// Token counts.
    public let usage: Usage
    /// Times.
    public let timings: Timings
    /// The seed in use, given or drawn.
    public let seed: UInt64

    init(_ native: VolaryGenerated.Completion) {
        text = native.text
        tokens = native.tokens.map(Int.init)
        logprobs = native.logprobs.map(TokenLogprob.init)
        finishReason = native.finishReason
        usage = Usage(native.usage)
        timings = Timings(native.timings)
        seed = native.seed
    }
}

/// A message of a conversation.
public struct Message: Sendable, Equatable {
    /// Who says it: `system`, `user` or `assistant`.
    public let role: String
    /// What is said. A reply that was cancelled holds what was shown of it.
    public let content: String
    /// What a model that thinks thought before its reply.
    public let thought: String
    /// Earlier replies to the same message, oldest first, that `alternate` put aside.
    public let alternatives: [String]

    init(_ native: VolaryGenerated.Message) {
        role = native.role
        content = native.content
        thought = native.thought
        alternatives = native.alternatives
    }
}

/// What ``convert(_:_:type:encoder:policy:tensorTypes:fileVersion:tokenizer:threads:progress:)`` wrote.
public struct ConvertReport: Sendable, Equatable {
    /// `bin` or `gguf`.
    public let fileType: String
    /// Bytes of the source.
    public let sourceSize: Int
    /// Bytes of the new file.
    public let fileSize: Int
    /// Tensors and their bytes, by format.
    public let formats: [FormatShare]
    /// Tensors that have another format than asked for, because their rows do not divide into its blocks.
    public let refitted: [String]
    /// Matrices that were quantized before and are now in another quantized format: each such step loses more.
    public let requantized: Int

    init(_ native: VolaryGenerated.ConvertReport) {
        fileType = native.fileType
        sourceSize = Int(native.sourceSize)
        fileSize = Int(native.fileSize)
        formats = native.formats.map(FormatShare.init)
        refitted = native.refitted
        requantized = Int(native.requantized)
    }
}

/// How much of a file is in one number format.
public struct FormatShare: Sendable, Equatable {
    /// The format.
    public let format: String
    /// Tensors in it.
    public let tensors: Int
    /// Their bytes.
    public let size: Int

    init(_ native: VolaryGenerated.FormatShare) {
        format = native.format
        tensors = Int(native.tensors)
        size = Int(native.size)
    }
}

/// How many of a model's tensors a merge changed, by kind.
public struct MergeSummary: Sendable, Equatable {
    /// Matrices with a LoRA added.
    public let lora: Int
    /// Matrices with a PiSSA added.
    public let pissa: Int
    /// Matrices with a DiSHA or Bone added.
    public let disha: Int
    /// Matrices with a Bat added.
    public let bat: Int
    /// Tensors replaced by those that the file holds in full.
    public let replaced: Int

    init(_ native: VolaryGenerated.MergeSummary) {
        lora = Int(native.lora)
        pissa = Int(native.pissa)
        disha = Int(native.disha)
        bat = Int(native.bat)
        replaced = Int(native.replaced)
    }
}

/// How well a model predicts a text.
public struct PerplexityReport: Sendable, Equatable {
    /// Tokens in the whole text.
    public let textTokens: Int
    /// Tokens after the limit.
    public let tokens: Int
    /// Tokens whose predictions count.
    public let predictions: Int
    /// Mean of `-ln p` over the predictions: nats per token.
    public let crossEntropy: Double
    /// Standard error of the cross-entropy.
    public let crossEntropyError: Double?
    /// `e` to the power of the cross-entropy.
    public let perplexity: Double
    /// Standard error of the perplexity.
    public let perplexityError: Double?
    /// Bits to write a byte of the predicted text with.
    public let bitsPerByte: Double?
    /// Seconds in the forward pass.
    public let seconds: Double
    /// Milliseconds in the forward pass for each token read.
    public let millisecondsPerToken: Double

    init(_ native: VolaryGenerated.PerplexityReport) {
        textTokens = Int(native.textTokens)
        tokens = Int(native.tokens)
        predictions = Int(native.predictions)
        crossEntropy = native.crossEntropy
        crossEntropyError = native.crossEntropyError
        perplexity = native.perplexity
        perplexityError = native.perplexityError
        bitsPerByte = native.bitsPerByte
        seconds = native.seconds
        millisecondsPerToken = native.millisecondsPerToken
    }
}

/// What was measured of one number format.
public struct FormatReport: Sendable, Equatable {
    /// The format; `nil` for the model as it was opened.
    public let format: String?
    /// How well it predicts the text.
    public let perplexity: PerplexityReport
    /// Percent by which its perplexity is above the unquantized model's.
    public let perplexityChangePercent: Double
    /// Mean Kullback-Leibler divergence of its distributions from the unquantized model's, in nats per token.
    public let klDivergence: Double
    /// Bytes that the weights take in memory.
    public let size: Int
    /// Bits in memory for each of the model's parameters.
    public let bitsPerWeight: Double
    /// Prompt tokens read in a second.
    public let prefillTokensPerSecond: Double?
    /// Tokens written in a second.
    public let decodeTokensPerSecond: Double?

    init(_ native: VolaryGenerated.FormatReport) {
        format = native.format
        perplexity = PerplexityReport(native.perplexity)
        perplexityChangePercent = native.perplexityChangePercent
        klDivergence = native.klDivergence
        size = Int(native.size)
        bitsPerWeight = native.bitsPerWeight
        prefillTokensPerSecond = native.prefillTokensPerSecond
        decodeTokensPerSecond = native.decodeTokensPerSecond
    }
}

/// How fast a model reads and writes: medians over the repetitions, tokens of all sessions counted.
public struct BenchReport: Sendable, Equatable {
    /// Bytes that the weights take in memory.
    public let residentBytes: Int
    /// Instruction set in use.
    public let isa: String
    /// Threads in use.
    public let threads: Int
    /// Sessions at once.
    public let batch: Int
    /// Tokens of each session's prompt.
    public let prefillTokens: Int
    /// Tokens each session wrote.
    public let decodeTokens: Int
    /// Repetitions.
    public let repeats: Int
    /// Prompt tokens read in a second.
    public let prefillTokensPerSecond: Double?
    /// Arithmetic of reading the prompt, in GFLOP/s: 10^9 operations a second, two for each weight that a token is
    /// multiplied with.
    public let prefillGflopPerSecond: Double?
    /// Tokens written in a second.
    public let decodeTokensPerSecond: Double?
    /// Bytes moved for each token written: its share of the weights, which all sessions read together, but of the
    /// embedding one row, and its session's state, read and written.
    public let decodeBytesPerToken: Int
    /// Memory traffic of writing, in GB/s: 10^9 bytes a second, to be held against ``memoryBandwidth(threads:)``.
    public let decodeGbPerSecond: Double?
    /// The most memory this process has held, in bytes, where the system tells.
    public let peakRssBytes: Int?

    init(_ native: VolaryGenerated.BenchReport) {
        residentBytes = Int(native.residentBytes)
        isa = native.isa
        threads = Int(native.threads)
        batch = Int(native.batch)
        prefillTokens = Int(native.prefillTokens)
        decodeTokens = Int(native.decodeTokens)
        repeats = Int(native.repeats)
        prefillTokensPerSecond = native.prefillTokensPerSecond
        prefillGflopPerSecond = native.prefillGflopPerSecond
        decodeTokensPerSecond = native.decodeTokensPerSecond
        decodeBytesPerToken = Int(native.decodeBytesPerToken)
        decodeGbPerSecond = native.decodeGbPerSecond
        peakRssBytes = native.peakRssBytes.map(Int.init)
    }
}

extension Model: CustomStringConvertible {
    public var description: String {
        (try? info).map { "Model(\($0.name), \($0.architecture))" } ?? "Model(closed)"
    }
}

extension Tokenizer: CustomStringConvertible {
    public var description: String {
        guard let name = try? name, let nVocab = try? nVocab else { return "Tokenizer(closed)" }
        return "Tokenizer(\(name), \(nVocab) ids)"
    }
}

extension Piece: CustomStringConvertible {
    public var description: String { text }
}

extension Completion: CustomStringConvertible {
    public var description: String { text }
}
