import Foundation
import Testing
import Volary

/// What the documentation's programs print, here nobody reads.
func print(_ text: Any..., separator: String = " ", terminator: String = "\n") {}

/// Changes to a folder, once, in which the documentation's names stand for tiny models.
private let inFolderOfModels: Bool = {
    let (files, folder) = (FileManager.default, project.appendingPathComponent("target/swift-snippets"))
    try? files.removeItem(at: folder)
    do {
        try files.createDirectory(at: folder, withIntermediateDirectories: true)
        for (name, file) in [("rwkv7-g1-1.5b.gguf", "v7.gguf"), ("rwkv7.pth", "v7.pth"), ("lora.pth", "lora/v7-lora.pth")] {
            try files.createSymbolicLink(
                at: folder.appendingPathComponent(name), withDestinationURL: golden.appendingPathComponent(file))
        }
    } catch {
        return false
    }
    return files.changeCurrentDirectoryPath(folder.path)
}()

/// The code of docs/swift.md, between lines that say so, and the lines that the API was designed by.
struct Snippets {
    init() { #expect(inFolderOfModels) }

    @Test func listing() async throws {
        let token = 79

        let model = try await Model(path: "rwkv7-g1-1.5b.gguf")
        for try await piece in model.generate("Once upon a time", maxTokens: 100, topP: 0.5, stop: ["\n\n"]) { print(piece, terminator: "") }
        let done = try await model.complete("The capital of France is", maxTokens: 8)
        let chat = model.chat(system: "You are brief.")
        for try await piece in chat.send("Hello!") { print(piece, terminator: "") }
        let (logits, state) = try model.eval(token, state: nil)    // [Float]

        let numbers: [Float] = logits
        // Its seed is any: it may end by itself.
        #expect((1...8).contains(done.usage.generatedTokens))
        #expect(try chat.history.map(\.role) == ["system", "user", "assistant"])
        #expect(try numbers.count == model.info.nVocab && state.toFloats().count > 0)
    }

    @Test func firstProgram() async throws {
        // snippet
        let model = try await Model(path: "rwkv7-g1-1.5b.gguf")
        for try await piece in model.generate("Once upon a time", maxTokens: 100) {
            print(piece, terminator: "")
        }
        // end
    }

    @Test func loading() async throws {
        // snippet
        let model = try await Model(path: "rwkv7.pth", type: "Q8_0") { fraction in
            print("\(Int(fraction * 100)) %")
        }
        print(try model.info.architecture, try model.residentBytes)
        // end
    }

    @Test func streaming() async throws {
        let model = try await Model(path: "rwkv7-g1-1.5b.gguf")
        // snippet
        let story = model.generate("Once upon a time", temperature: 1.0, topP: 0.5, seed: 1, stop: ["\n\n"])
        for try await piece in story { print(piece, terminator: "") }
        if let stats = story.stats {
            print(stats.finishReason ?? "", stats.usage.generatedTokens, stats.timings.decodeSeconds)
        }
        // end
        // snippet
        for try await piece in model.generate("Once", maxTokens: 20, logprobs: 3).pieces {
            print(piece.text, piece.tokens, piece.logprobs.map(\.logprob))
        }
        let done = try await model.complete("The capital of France is", maxTokens: 8)
        print(done.text, done.finishReason)
        // end
        // snippet
        let task = Task {
            for try await piece in model.generate("A long story:", maxTokens: 10_000) { print(piece, terminator: "") }
        }
        task.cancel()
        // end
        try await task.value
    }

    @Test func chatting() async throws {
        let model = try await Model(path: "rwkv7-g1-1.5b.gguf")
        // snippet
        let chat = model.chat(system: "You are brief.")
        for try await piece in chat.send("Hello!", maxTokens: 200) { print(piece, terminator: "") }
        for try await piece in chat.retry() { print(piece, terminator: "") }
        try chat.undo()
        try chat.save("talk.volary")
        let again = try Chat.load(model, path: "talk.volary")
        print(try again.history.map(\.content))
        // end
    }

    @Test func states() async throws {
        let model = try await Model(path: "rwkv7-g1-1.5b.gguf")
        // snippet
        let preface = try await model.prefill("A long preface.")
        try preface.save("preface.state")
        for try await piece in model.generate(" And then", state: preface) { print(piece, terminator: "") }

        let tokens = try model.tokenizer.encode("Hello")
        var (logits, state) = try await model.evalSequence(tokens)
        logits = try model.decode(tokens[0], state: state)    // [Float]; moves the state on
        state = try preface.clone()
        // end
        #expect(logits.count == 256)
        _ = state
    }

    @Test func files() async throws {
        // snippet
        try await mergeLora("rwkv7.pth", "lora.pth", "tuned.pth", alpha: 32)
        let report = try await convert("tuned.pth", "tuned.gguf", type: "Q5_1", tensorTypes: ["emb*": "F16"])
        print(report.fileSize, report.formats.map(\.format))
        // end
    }

    @Test func sharing() async throws {
        // snippet
        let model = try await Model(path: "rwkv7-g1-1.5b.gguf", threads: 4)
        let texts = try await withThrowingTaskGroup(of: String.self) { group in
            for prompt in ["One", "Two", "Three"] {
                group.addTask { try await model.complete(prompt, maxTokens: 20).text }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        let batch = try await model.completeBatch(["One", "Two", "Three"], maxTokens: 20)    // reads the weights once for all
        model.close()
        // end
        #expect(texts.count == 3 && batch.count == 3)
    }

    @Test func errors() async throws {
        // snippet
        do {
            _ = try await Model(path: "missing.gguf")
        } catch VolaryError.notFound(let message) {
            print(message)    // missing.gguf: no such file; check the path
        } catch {
            print(error.localizedDescription)
        }
        // end
    }

    @Test func theDocumentationHoldsWhatIsCompiledHere() throws {
        let page = try String(contentsOf: project.appendingPathComponent("docs/swift.md"), encoding: .utf8)
        let code = try String(contentsOfFile: #filePath, encoding: .utf8)
        let documented = blocks(of: page, from: "```swift", to: "```")
        let compiled = blocks(of: code, from: "        // snippet", to: "        // end")
        #expect(documented.count == compiled.count && !documented.isEmpty)
        for (documented, compiled) in zip(documented, compiled) { #expect(documented == compiled) }
    }

    /// The lines between two that read `from` and `to`, without imports, which a function cannot have, and margin.
    private func blocks(of text: String, from: String, to: String) -> [String] {
        var (blocks, block): ([String], [String]?) = ([], nil)
        for line in text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init) {
            switch (block, line) {
            case (nil, from): block = []
            case (let lines?, to):
                let margin = lines.filter { !$0.isEmpty }.map { $0.prefix { $0 == " " }.count }.min() ?? 0
                let kept = lines.map { String($0.dropFirst(margin)) }.filter { !$0.hasPrefix("import ") }
                blocks.append(kept.joined(separator: "\n").trimmingCharacters(in: .newlines))
                block = nil
            case (_?, _): block?.append(line)
            case (nil, _): break
            }
        }
        return blocks
    }
}
