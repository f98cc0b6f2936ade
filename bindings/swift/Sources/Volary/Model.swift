import Foundation
internal import VolaryGenerated

/// A loaded model: weights, tokenizer, threads. Immutable; any number of tasks may share it.
///
/// ```swift
/// let model = try await Model(path: "rwkv7-g1-1.5b.gguf")
/// for try await piece in model.generate("Once upon a time", maxTokens: 100) { print(piece, terminator: "") }
/// ```
public final class Model: Sendable {
    let native: VolaryGenerated.Model

    /// Loads a model from a `.pth`, `.safetensors`, `.bin` or `.gguf` file.
    ///
    /// - Parameters:
    ///   - path: of the file
    ///   - threads: to compute with; `nil`: as many as there are cores for this process
    ///   - tokenizer: a `tokenizer.json` or a World vocabulary, in place of the one that the model's vocabulary size tells
    ///   - groupNormEps: epsilon of the group norm of RWKV-5 to 7; `nil`: 64e-5
    ///   - type: a number format to quantize the weights to while they are loaded
    ///   - initialState: a file of tuned initial states
    ///   - loras: to merge into the weights while they are loaded
    ///   - progress: told how far it is
    public init(
        path: String, threads: Int? = nil, tokenizer: String? = nil, groupNormEps: Double? = nil, type: String? = nil,
        initialState: String? = nil, loras: [Lora] = [], progress: Progress? = nil
    ) async throws {
        let options = ModelOptions(
            threads: threads.map(Int64.init), tokenizer: tokenizer, groupNormEps: groupNormEps, type: type,
            initialState: initialState, loras: loras.map(\.native))
        let done = try await outcome(progress) { load(path: path, options: options) }
        guard case .loaded(let model) = done else { throw unexpected(done) }
        native = model
    }

    /// Loads the demo model: a small RWKV-7 that tells old stories, and comes with the package as a resource. The options
    /// are those of ``init(path:threads:tokenizer:groupNormEps:type:initialState:loras:progress:)``.
    public static func demo(
        threads: Int? = nil, tokenizer: String? = nil, groupNormEps: Double? = nil, type: String? = nil,
        initialState: String? = nil, loras: [Lora] = [], progress: Progress? = nil
    ) async throws -> Model {
        guard let file = Bundle.module.url(forResource: "demo", withExtension: "gguf") else {
            throw VolaryError.notFound("demo.gguf: is not in the package's resources; cargo xtask generate-swift, and build anew")
        }
        return try await Model(
            path: file.path, threads: threads, tokenizer: tokenizer, groupNormEps: groupNormEps, type: type,
            initialState: initialState, loras: loras, progress: progress)
    }

    /// What the model is: generation, sizes, formats, metadata.
    public var info: ModelInfo { get throws { ModelInfo(try call(native.info)) } }

    /// Threads in use.
    public var threads: Int { get throws { Int(try call(native.threads)) } }

    /// Bytes that the weights take in memory.
    public var residentBytes: Int { get throws { Int(try call(native.residentBytes)) } }

    /// The instruction set in use, as `VOLARY_ISA` names it.
    public var isa: String { get throws { try call(native.isa) } }

    /// The model's tokenizer.
    public var tokenizer: Tokenizer { get throws { Tokenizer(try call(native.tokenizer)) } }

    /// A text that continues `prompt`.
    public func generate(_ prompt: String, options: GenerateOptions) -> Generation {
        Generation { [native] in try native.generate(prompt: prompt, options: options.native) }
    }

    /// A text that continues the tokens of `prompt`.
    public func generate(_ prompt: [Int], options: GenerateOptions) -> Generation {
        Generation { [native] in
            try native.generateTokens(prompt: prompt.map(Int64.init), options: options.native)
        }
    }

    /// The whole text that continues `prompt`.
    public func complete(_ prompt: String, options: GenerateOptions) async throws -> Completion {
        try await completeBatch([prompt], options: options)[0]
    }

    /// The texts that continue several prompts, each as its prompt gives alone; the weights are read once for all.
    public func completeBatch(_ prompts: [String], options: GenerateOptions) async throws -> [Completion] {
        let done = try await outcome(nil) { native.completeBatch(prompts: prompts, options: options.native) }
        guard case .completed(let completions) = done else { throw unexpected(done) }
        return completions.map(Completion.init)
    }

    /// Begins a conversation, in the chat format that suits the model or in the one named. What is wrong with it, the
    /// first call says.
    public func chat(system: String? = nil, format: String? = nil) -> Chat {
        Chat(Result { try call { try native.chat(system: system, format: format) } })
    }

    /// A state that has seen no text.
    public func newState() throws -> State { State(try call(native.newState)) }

    /// Reads a text and gives the state after it; `state` stays as it was.
    public func prefill(_ text: String, state: State? = nil, progress: Progress? = nil) async throws -> State {
        let done = try await outcome(progress) { native.prefill(text: text, state: state?.native) }
        guard case .evaluated(let evaluations) = done else { throw unexpected(done) }
        return State(evaluations[0].state)
    }

    /// Reads tokens and gives the state after them; `state` stays as it was.
    public func prefill(_ tokens: [Int], state: State? = nil, progress: Progress? = nil) async throws -> State {
        try await evaluate([tokens], [state], .nothing, progress)[0].state
    }

    /// The logits after a token, `[n_vocab]`, and the state after it; `state` stays as it was.
    public func eval(_ token: Int, state: State? = nil) throws -> (logits: [Float], state: State) {
        let done = try call { try native.eval(token: Int64(token), state: state?.native) }
        return (floats(done.logits), State(done.state))
    }

    /// Reads a token into `state`, which moves on, and gives the logits after it. Faster than ``eval(_:state:)``, which
    /// copies the state.
    public func decode(_ token: Int, state: State) throws -> [Float] {
        floats(try call { try native.decode(token: Int64(token), state: state.native) })
    }

    /// The logits after the last token, or with `allLogits` after each, `[n_tokens, n_vocab]` in one row, and the state
    /// after them; `state` stays as it was.
    public func evalSequence(
        _ tokens: [Int], state: State? = nil, allLogits: Bool = false, progress: Progress? = nil
    ) async throws -> (logits: [Float], state: State) {
        try await evaluate([tokens], [state], allLogits ? .all : .last, progress)[0]
    }

    /// As ``evalSequence(_:state:allLogits:progress:)`` for several texts at once; the weights are read once for all.
    public func evalBatch(
        _ sequences: [[Int]], states: [State?]? = nil, allLogits: Bool = false, progress: Progress? = nil
    ) async throws -> [(logits: [Float], state: State)] {
        let states = states ?? sequences.map { _ in nil }
        guard states.count == sequences.count else {
            throw VolaryError.invalidArgument(
                "states: are \(states.count) for \(sequences.count) sequences; give one for each")
        }
        return try await evaluate(sequences, states, allLogits ? .all : .last, progress)
    }

    private func evaluate(
        _ sequences: [[Int]], _ states: [State?], _ logits: Logits, _ progress: Progress?
    ) async throws -> [(logits: [Float], state: State)] {
        let prompts = zip(sequences, states).map { Prompt(tokens: $0.map(Int64.init), state: $1?.native) }
        let done = try await outcome(progress) { native.evalBatch(prompts: prompts, logits: logits) }
        guard case .evaluated(let evaluations) = done else { throw unexpected(done) }
        return evaluations.map { (floats($0.logits), State($0.state)) }
    }

    /// Measures how well the model predicts a text. `skip` tokens at the beginning do not count.
    public func perplexity(
        _ text: String, skip: Int = 0, limit: Int? = nil, chunk: Int? = nil, progress: Progress? = nil
    ) async throws -> PerplexityReport {
        let options = PerplexityOptions(skip: Int64(skip), limit: limit.map(Int64.init), chunk: chunk.map(Int64.init))
        let done = try await outcome(progress) { native.perplexity(text: text, options: options) }
        guard case .measured(let report) = done else { throw unexpected(done) }
        return PerplexityReport(report)
    }

    /// Measures how fast the model reads and writes.
    public func bench(
        prefillTokens: Int = 512, decodeTokens: Int = 64, batch: Int = 1, repeats: Int = 3, progress: Progress? = nil
    ) async throws -> BenchReport {
        let options = BenchOptions(
            prefillTokens: Int64(prefillTokens), decodeTokens: Int64(decodeTokens), batch: Int64(batch),
            repeats: Int64(repeats))
        let done = try await outcome(progress) { native.bench(options: options) }
        guard case .timed(let report) = done else { throw unexpected(done) }
        return BenchReport(report)
    }

    /// Closes the model: every later call is an error, and running texts end before their next token. Its memory goes when
    /// the last of them is gone; without this, when the model is no longer referred to.
    public func close() { native.release() }
}

/// The float32 numbers of some bytes, which are little-endian, as Swift's machines are.
func floats(_ data: Data) -> [Float] {
    [Float](unsafeUninitializedCapacity: data.count / MemoryLayout<Float>.size) { buffer, count in
        count = data.copyBytes(to: buffer) / MemoryLayout<Float>.size
    }
}
