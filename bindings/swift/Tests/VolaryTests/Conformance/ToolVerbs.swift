import Foundation
import Volary

/// Verbs that work on files.
let toolVerbs: [String: Verb] = [
    "convert": { Done(result: try await converted($0)) },
    "merge_lora": {
        Done(
            result: try await mergeLora(
                $0.text("base"), $0.text("lora"), $0.text("target"), alpha: $0.double("alpha"),
                pissaInit: $0.string("pissa_init"), threads: $0.int("threads")))
    },
    "compare_formats": {
        Done(
            result: try await compareFormats(
                $0.text("path"), $0.text("text"), formats: $0.strings("formats"), threads: $0.int("threads"),
                tokenizer: $0.string("tokenizer"), groupNormEps: $0.double("group_norm_eps"),
                initialState: $0.string("initial_state"), loras: $0.loras(), skip: $0.int("skip") ?? 0,
                limit: $0.int("limit"), chunk: $0.int("chunk")))
    },
    "memory_bandwidth": { Done(result: try await memoryBandwidth(threads: $0.int("threads"))) },
    "file.write": { with in
        let content = try with.string("text").map { Data($0.utf8) } ?? bytes(with.text("hex"))
        try content.write(to: URL(fileURLWithPath: with.text("path")))
        return Done()
    },
    "file.copy": { with in
        let content = try Data(contentsOf: URL(fileURLWithPath: with.text("from")))
        try content.prefix(with.int("bytes") ?? content.count).write(to: URL(fileURLWithPath: with.text("to")))
        return Done()
    },
    "file.exists": { Done(result: FileManager.default.fileExists(atPath: try $0.text("path"))) },
]

private func bytes(_ hex: String) throws -> Data {
    let digits = Array(hex)
    let pairs = stride(from: 0, to: digits.count, by: 2).map { String(digits[$0..<min($0 + 2, digits.count)]) }
    let bytes = pairs.compactMap { $0.count == 2 ? UInt8($0, radix: 16) : nil }
    guard bytes.count == pairs.count else { throw Mistake("\(hex) is not hex") }
    return Data(bytes)
}

private func converted(_ with: Arguments) async throws -> ConvertReport {
    let isCancelled = try with.bool("cancel")
    let types = try with.map("tensor_types").sorted { $0.key < $1.key }.map { name, type in
        (name, try with.required("tensor_types", type.text))
    }
    let (source, target, type) = try (with.text("source"), with.text("target"), with.string("type"))
    let (encoder, policy) = try (with.string("encoder") ?? "search", with.string("policy"))
    let (version, tokenizer) = try (with.int("file_version"), with.string("tokenizer"))
    let threads = try with.int("threads")
    let running = Running()
    let task = Task {
        try await convert(
            source, target, type: type, encoder: encoder, policy: policy, tensorTypes: TensorTypes(types),
            fileVersion: version, tokenizer: tokenizer, threads: threads,
            progress: { _ in if isCancelled { running.cancel() } })
    }
    running.begin(task)
    do {
        return try await task.value
    } catch is CancellationError where isCancelled {
        // A cancelled task has an error of its own, in place of the one that tells it in the other languages.
        throw VolaryError.cancelled("cancelled")
    }
}

/// Lets the work's progress cancel its task, which it waits for.
private final class Running: @unchecked Sendable {
    private let hasBegun = DispatchSemaphore(value: 0)
    private var task: Task<ConvertReport, any Error>?

    func begin(_ task: Task<ConvertReport, any Error>) {
        self.task = task
        hasBegun.signal()
    }

    func cancel() {
        hasBegun.wait()
        task?.cancel()
        hasBegun.signal()
    }
}
