internal import VolaryGenerated

/// Describes the model in a file without loading it.
public func readInfo(_ path: String) throws -> ModelInfo {
    ModelInfo(try call { try VolaryGenerated.readInfo(path: path) })
}

/// Number formats by patterns of tensors' names, in which `*` stands for any characters: `["emb*": "F16"]`. Their order
/// counts: the last that matches wins.
public struct TensorTypes: Sendable, ExpressibleByDictionaryLiteral {
    let pairs: [(String, String)]

    public init(_ pairs: [(pattern: String, type: String)]) { self.pairs = pairs }

    public init(dictionaryLiteral elements: (String, String)...) { pairs = elements }
}

/// Writes a checkpoint as another file, `.gguf` or rwkv.cpp's `.bin` by the extension of `target`. The file appears under
/// its name only when it is complete.
///
/// - Parameters:
///   - source: the file to convert
///   - target: the file to write
///   - type: the number format of most matrices, `F16`, `Q5_1`, `Q4_K`, …; `nil`: each keeps its own
///   - encoder: `search` for less error, or `reference`, bit for bit what rwkv.cpp and ggml write
///   - policy: which tensors get the format: `default`, `rwkvcpp` or `llamacpp`
///   - tensorTypes: formats by patterns of names, in which `*` stands for any characters; the last that matches wins
///   - fileVersion: of a `.bin`: 100 or 101
///   - tokenizer: to embed in a GGUF file
///   - threads: to encode with; `nil`: as many as there are cores for this process
///   - progress: told how far it is
@discardableResult
public func convert(
    _ source: String, _ target: String, type: String? = nil, encoder: String = "search", policy: String? = nil,
    tensorTypes: TensorTypes = [:], fileVersion: Int? = nil, tokenizer: String? = nil,
    threads: Int? = nil, progress: Progress? = nil
) async throws -> ConvertReport {
    let options = ConvertOptions(
        type: type, encoder: encoder, policy: policy,
        tensorTypes: tensorTypes.pairs.map { TensorType(pattern: $0, type: $1) }, fileVersion: fileVersion.map(Int64.init),
        tokenizer: tokenizer, threads: threads.map(Int64.init))
    let done = try await outcome(progress) {
        VolaryGenerated.convert(source: source, target: target, options: options)
    }
    guard case .converted(let report) = done else { throw unexpected(done) }
    return ConvertReport(report)
}

/// Writes the checkpoint `base` with a LoRA, PiSSA, DiSHA or Bone merged into it; the extension of `target` tells the file
/// type: `.pth`, `.safetensors`, `.gguf` or `.bin`.
@discardableResult
public func mergeLora(
    _ base: String, _ lora: String, _ target: String, alpha: Double? = nil, pissaInit: String? = nil,
    threads: Int? = nil, progress: Progress? = nil
) async throws -> MergeSummary {
    let file = LoraFile(path: lora, alpha: alpha, pissaInit: pissaInit)
    let done = try await outcome(progress) {
        VolaryGenerated.mergeLora(base: base, lora: file, target: target, threads: threads.map(Int64.init))
    }
    guard case .merged(let summary) = done else { throw unexpected(done) }
    return MergeSummary(summary)
}

/// Measures what quantizing costs the model in a file: itself first, then itself in each of `formats`.
public func compareFormats(
    _ path: String, _ text: String, formats: [String], threads: Int? = nil, tokenizer: String? = nil,
    groupNormEps: Double? = nil, initialState: String? = nil, loras: [Lora] = [], skip: Int = 0, limit: Int? = nil,
    chunk: Int? = nil, progress: Progress? = nil
) async throws -> [FormatReport] {
    let opening = ModelOptions(
        threads: threads.map(Int64.init), tokenizer: tokenizer, groupNormEps: groupNormEps, initialState: initialState,
        loras: loras.map(\.native))
    let options = PerplexityOptions(skip: Int64(skip), limit: limit.map(Int64.init), chunk: chunk.map(Int64.init))
    let done = try await outcome(progress) {
        VolaryGenerated.compareFormats(
            path: path, text: text, formats: formats, modelOptions: opening, options: options)
    }
    guard case .compared(let reports) = done else { throw unexpected(done) }
    return reports.map(FormatReport.init)
}

/// Measures how fast this machine reads memory, in GB/s: 10^9 bytes a second. It takes some tenths of a second, and
/// 256 MiB of memory meanwhile. A model cannot write tokens faster than this divided by its
/// ``BenchReport/decodeBytesPerToken``, unless the caches hold it.
///
/// - Parameter threads: `nil`: as many as there are cores for this process
public func memoryBandwidth(threads: Int? = nil) async throws -> Double {
    let done = try await outcome(nil) { VolaryGenerated.memoryBandwidth(threads: threads.map(Int64.init)) }
    guard case .streamed(let gbPerSecond) = done else { throw unexpected(done) }
    return gbPerSecond
}
