import Foundation
import Volary

/// What a verb gives: what `save` keeps, and what `expect` is compared with.
struct Done {
    var kept: Any?
    var result: Any?
}

typealias Verb = @Sendable (Arguments) async throws -> Done

/// The table of tests/conformance/README.md.
let verbs: [String: Verb] = [modelVerbs, generationVerbs, stateVerbs, tokenizerVerbs, chatVerbs, toolVerbs]
    .reduce(into: [:]) { all, some in all.merge(some) { first, _ in first } }

private let modelVerbs: [String: Verb] = [
    "Model.load": {
        Done(
            kept: try await Model(
                path: $0.text("path"), threads: $0.int("threads"), tokenizer: $0.string("tokenizer"),
                groupNormEps: $0.double("group_norm_eps"), type: $0.string("type"),
                initialState: $0.string("initial_state"), loras: $0.loras()))
    },
    "Model.demo": {
        Done(
            kept: try await Model.demo(
                threads: $0.int("threads"), tokenizer: $0.string("tokenizer"), groupNormEps: $0.double("group_norm_eps"),
                type: $0.string("type"), initialState: $0.string("initial_state"), loras: $0.loras()))
    },
    "Model.info": { Done(result: try model($0).info) },
    "read_info": { Done(result: try readInfo($0.text("path"))) },
    "Model.tokenizer": { try described(model($0).tokenizer) },
    "Model.new_state": { Done(kept: try model($0).newState()) },
    "Model.prefill": { with in
        let (model, state): (Model, Model.State?) = try (model(with), with.optional("state"))
        let read =
            with.has("tokens")
            ? try await model.prefill(with.ints("tokens"), state: state)
            : try await model.prefill(with.text("text"), state: state)
        return Done(kept: read)
    },
    "Model.eval": { with in
        let (logits, state) = try model(with).eval(with.token(), state: with.optional("state"))
        return Done(kept: state, result: logits)
    },
    "Model.eval_sequence": { with in
        let (logits, state) = try await model(with).evalSequence(
            with.ints("tokens"), state: with.optional("state"), allLogits: with.bool("all_logits"))
        return Done(kept: state, result: logits)
    },
    "Model.eval_batch": { with in
        let sequences = try with.each("sequences") { (try $0.ints("tokens"), try $0.optional("state") as Model.State?) }
        let done = try await model(with).evalBatch(sequences.map(\.0), states: sequences.map(\.1))
        return Done(result: done.map(\.logits))
    },
    "Model.decode": { Done(result: try model($0).decode($0.token(), state: $0.object("state"))) },
    "Model.chat": { Done(kept: try begun(model($0).chat(system: $0.string("system"), format: $0.string("format")))) },
    "Model.perplexity": {
        Done(
            result: try await model($0).perplexity(
                $0.text("text"), skip: $0.int("skip") ?? 0, limit: $0.int("limit"), chunk: $0.int("chunk")))
    },
    "Model.bench": {
        Done(
            result: try await model($0).bench(
                prefillTokens: $0.int("prefill_tokens") ?? 512, decodeTokens: $0.int("decode_tokens") ?? 64,
                batch: $0.int("batch") ?? 1, repeats: $0.int("repeats") ?? 3))
    },
]

private func model(_ with: Arguments) throws -> Model { try with.object() }

private let generationVerbs: [String: Verb] = [
    "Model.generate": { with in
        let (model, options) = try (model(with), with.generateOptions())
        let generation =
            with.has("tokens")
            ? model.generate(try with.ints("tokens"), options: options)
            : model.generate(try with.text("prompt"), options: options)
        return try await generated(generation, with)
    },
    "Model.complete": { Done(result: try await model($0).complete($0.text("prompt"), options: $0.generateOptions())) },
    "Model.complete_batch": {
        Done(result: try await model($0).completeBatch($0.strings("prompts"), options: $0.generateOptions()))
    },
]

private func generated(_ generation: Generation, _ with: Arguments) async throws -> Done {
    let cancelAfter = try with.int("cancel_after")
    var (text, count) = ("", 0)
    var pieces = generation.pieces.makeAsyncIterator()
    if cancelAfter == 0 { generation.cancel() }
    while let piece = try await pieces.next() {
        text += piece.text
        count += 1
        if count == cancelAfter { generation.cancel() }
    }
    guard case .object(var result) = JSON(describing: generation.stats) else { throw Mistake("has no statistics") }
    result["text"] = .string(text)
    return Done(kept: with.isKept ? try generation.takeState() : nil, result: JSON.object(result))
}

private let stateVerbs: [String: Verb] = [
    "State.clone": { Done(kept: try state($0).clone()) },
    "State.save": { with in
        try state(with).save(with.text("path"))
        return Done()
    },
    "State.load": { Done(kept: try Model.State.load($0.object("model"), path: $0.text("path"))) },
    "State.to_bytes": { Done(kept: try state($0).toBytes()) },
    "State.from_bytes": { Done(kept: try Model.State.fromBytes($0.object("bytes"))) },
    "State.to_floats": { Done(result: try state($0).toFloats()) },
]

private func state(_ with: Arguments) throws -> Model.State { try with.object() }

private let tokenizerVerbs: [String: Verb] = [
    "Tokenizer.world": { _ in try described(.world()) },
    "Tokenizer.raw_bytes": { _ in try described(.rawBytes()) },
    "Tokenizer.open": { try described(.open($0.text("path"))) },
    "Tokenizer.of_model": { try described(.ofModel($0.text("path"))) },
    "Tokenizer.encode": { Done(result: try tokenizer($0).encode($0.text("text"))) },
    "Tokenizer.decode": { Done(result: try tokenizer($0).decode($0.ints("ids"))) },
]

private func tokenizer(_ with: Arguments) throws -> Tokenizer { try with.object() }

private func described(_ tokenizer: Tokenizer) throws -> Done {
    let members: [String: Any?] = try [
        "name": tokenizer.name, "n_vocab": tokenizer.nVocab, "end_of_text": tokenizer.endOfText,
    ]
    return Done(kept: tokenizer, result: members)
}

private let chatVerbs: [String: Verb] = [
    "Chat.send": { try await generated(chat($0).send($0.text("text"), options: $0.generateOptions()), $0) },
    "Chat.retry": { try await generated(chat($0).retry(options: $0.generateOptions()), $0) },
    "Chat.alternate": { try await generated(chat($0).alternate(options: $0.generateOptions()), $0) },
    "Chat.undo": { with in
        try chat(with).undo()
        return Done()
    },
    "Chat.reset": { with in
        try chat(with).reset()
        return Done()
    },
    "Chat.set_system": { with in
        try chat(with).setSystem(with.string("text"))
        return Done()
    },
    "Chat.history": { Done(result: try chat($0).history) },
    "Chat.format": { Done(result: try chat($0).format) },
    "Chat.save": { with in
        try chat(with).save(with.text("path"))
        return Done()
    },
    "Chat.load": { Done(kept: try Chat.load($0.object("model"), path: $0.text("path"))) },
]

private func chat(_ with: Arguments) throws -> Chat { try with.object() }

/// What is wrong with how a chat was begun, its first call says.
private func begun(_ chat: Chat) throws -> Chat {
    _ = try chat.format
    return chat
}
