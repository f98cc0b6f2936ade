import Foundation
import Volary

/// Something wrong with a scenario, rather than with what it tests.
struct Mistake: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// A step's arguments, and the objects of the steps before.
final class Arguments {
    private let given: [String: JSON]
    private let objects: [String: Any]
    private var used: Set<String> = []
    /// Whether the step saves something.
    let isKept: Bool

    init(_ given: [String: JSON], _ objects: [String: Any], isKept: Bool = false) {
        self.given = given
        self.objects = objects
        self.isKept = isKept
    }

    /// Those that no verb asked for: mistakes.
    var unused: [String] { given.keys.filter { !used.contains($0) }.sorted() }

    func has(_ name: String) -> Bool { given[name] != nil }

    private func find(_ name: String) -> JSON? {
        used.insert(name)
        return given[name] == .null ? nil : given[name]
    }

    private func read<T>(_ name: String, _ read: (JSON) -> T?) throws -> T? {
        guard let value = find(name) else { return nil }
        guard let read = read(value) else { throw Mistake("\(name) cannot be \(value)") }
        return read
    }

    /// The object that an earlier step saved.
    func optional<T>(_ name: String) throws -> T? {
        guard let reference = try string(name) else { return nil }
        guard reference.hasPrefix("$") else { throw Mistake("\(name): \(reference) is no $name") }
        guard let object = objects[String(reference.dropFirst())] else {
            throw Mistake("\(name): nothing was saved as \(reference)")
        }
        guard let object = object as? T else { throw Mistake("\(name): \(reference) is no \(T.self)") }
        return object
    }

    func object<T>(_ name: String = "on") throws -> T { try required(name, optional(name)) }

    func required<T>(_ name: String, _ value: T?) throws -> T {
        guard let value else { throw Mistake("lacks \(name)") }
        return value
    }

    func string(_ name: String) throws -> String? { try read(name, \.text) }

    func text(_ name: String) throws -> String { try required(name, string(name)) }

    func int(_ name: String) throws -> Int? { try read(name) { $0.digits.flatMap { Int($0) } } }

    func token(_ name: String = "token") throws -> Int { try required(name, int(name)) }

    func uint64(_ name: String) throws -> UInt64? { try read(name) { $0.digits.flatMap { UInt64($0) } } }

    func double(_ name: String) throws -> Double? { try read(name) { $0.digits.flatMap(Double.init) } }

    func bool(_ name: String) throws -> Bool {
        try read(name) { if case .bool(let value) = $0 { value } else { nil } } ?? false
    }

    private func list<T>(_ name: String, _ item: (JSON) -> T?) throws -> [T] {
        try read(name) { value in
            guard case .array(let items) = value else { return nil }
            let read = items.compactMap(item)
            return read.count == items.count ? read : nil
        } ?? []
    }

    func strings(_ name: String) throws -> [String] { try list(name, \.text) }

    func ints(_ name: String) throws -> [Int] { try list(name) { $0.digits.flatMap { Int($0) } } }

    /// For each object of a list, what `read` makes of its members, all of which it must ask for.
    func each<T>(_ name: String, _ read: (Arguments) throws -> T) throws -> [T] {
        try list(name, \.members).map { members in
            let arguments = Arguments(members, objects)
            let result = try read(arguments)
            guard arguments.unused.isEmpty else {
                throw Mistake("\(name): unknown arguments: \(arguments.unused.joined(separator: ", "))")
            }
            return result
        }
    }

    func map(_ name: String) throws -> [String: JSON] { try read(name, \.members) ?? [:] }

    func loras() throws -> [Lora] {
        try each("loras") {
            try Lora(path: $0.text("path"), alpha: $0.double("alpha"), pissaInit: $0.string("pissa_init"))
        }
    }

    func generateOptions() throws -> GenerateOptions {
        let biases = try map("logit_bias").map { token, bias in
            (try required("logit_bias", Int(token)), try required("logit_bias", bias.digits.flatMap(Double.init)))
        }
        return try GenerateOptions(
            maxTokens: int("max_tokens") ?? GenerateOptions().maxTokens, temperature: double("temperature"),
            topP: double("top_p"), topK: int("top_k"), minP: double("min_p"),
            presencePenalty: double("presence_penalty"), frequencyPenalty: double("frequency_penalty"),
            penaltyDecay: double("penalty_decay"), repetitionPenalty: double("repetition_penalty"),
            seed: uint64("seed"), stop: strings("stop"), stopTokens: ints("stop_tokens"), ignoreEos: bool("ignore_eos"),
            bannedTokens: ints("banned_tokens"), logitBias: Dictionary(uniqueKeysWithValues: biases),
            logprobs: int("logprobs"), state: optional("state"))
    }
}

extension JSON {
    var text: String? { if case .string(let text) = self { text } else { nil } }

    var members: [String: JSON]? { if case .object(let members) = self { members } else { nil } }

    /// A number's.
    var digits: String? { if case .number(let digits) = self { digits } else { nil } }
}
