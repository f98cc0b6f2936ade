import Foundation
import Testing
import Volary

struct LifetimeTests {
    @Test func closingAModelEndsItsTextsButNotItsStates() async throws {
        let model = try await tinyModel()
        let state = try await model.prefill("Once")
        let generation = model.generate(" upon", maxTokens: 100_000, ignoreEos: true)
        var pieces = 0
        for try await _ in generation {
            pieces += 1
            if pieces == 3 { model.close() }
        }
        #expect(generation.stats?.finishReason == "cancelled")
        #expect(try state.clone().toFloats() == state.toFloats())
        await expectClosed { _ = try model.info }
        await expectClosed { _ = try model.eval(1, state: state) }
        await expectClosed { _ = try await model.generate("a").joined() }
        await expectClosed { _ = try await model.complete("a") }
    }

    @Test func whatIsPrintedTellsTheModelAndTheTokenizer() async throws {
        let model = try await tinyModel()
        let tokenizer = try model.tokenizer
        #expect("\(model) \(tokenizer)" == "Model(v7, RWKV-7) Tokenizer(bytes, 256 ids)")
        model.close()
        tokenizer.close()
        #expect("\(model) \(tokenizer)" == "Model(closed) Tokenizer(closed)")
    }

    @Test func whatIsClosedIsAnErrorAndClosingTwiceIsNot() async throws {
        let model = try await tinyModel()
        let (state, tokenizer, chat) = try (model.newState(), model.tokenizer, model.chat())
        for _ in 1...2 {
            state.close()
            tokenizer.close()
            chat.close()
        }
        await expectClosed { _ = try state.clone() }
        await expectClosed { _ = try state.toBytes() }
        await expectClosed { _ = try model.decode(1, state: state) }
        await expectClosed { _ = try await model.complete("a", state: state) }
        await expectClosed { _ = try tokenizer.encode("a") }
        await expectClosed { _ = try chat.history }
        await expectClosed { _ = try await chat.send("a").joined() }
        for _ in 1...2 { model.close() }
        await expectClosed { _ = try model.newState() }
        await expectClosed { _ = try model.chat().history }
    }

    @Test func closingAModelEndsAChatsReply() async throws {
        let model = try await tinyModel()
        let chat = model.chat()
        let reply = chat.send("Hello!", maxTokens: 100_000, ignoreEos: true)
        for try await _ in reply.pieces { model.close() }
        #expect(reply.stats?.finishReason == "cancelled")
        #expect(try chat.history.count == 2)
    }

    @Test func aTextKeepsItsModel() async throws {
        var model: Model? = try await tinyModel()
        let generation = model!.generate("Once", maxTokens: 5, temperature: 0)
        model = nil
        #expect(try await generation.joined() == tinyModel().complete("Once", maxTokens: 5, temperature: 0).text)
    }

    @Test func leavingTheLoopReleasesTheStream() async throws {
        let model = try await tinyModel()
        let generation = model.generate("Once", maxTokens: 100_000, ignoreEos: true)
        for try await _ in generation.pieces { break }
        let stats = try #require(generation.stats)
        #expect(stats.finishReason == "cancelled")
        await expectClosed { _ = try generation.takeState() }
        #expect(generation.stats == stats, "something went on working")
    }

    @Test func aReplyThatWasLeftEndsWhereItWasShown() async throws {
        let chat = try await tinyModel().chat()
        var shown = ""
        for try await piece in chat.send("Hello!", maxTokens: 100_000, ignoreEos: true).pieces {
            shown += piece.text
            if shown.count > 3 { break }
        }
        let reply = try chat.history[1]
        #expect(shown.hasSuffix(reply.content.trimmingCharacters(in: .whitespacesAndNewlines)))
        try chat.undo()
        #expect(try chat.history.isEmpty)
    }
}
