import Foundation
import Testing
import Volary

struct CancellationTests {
    @Test func cancellingTheTaskEndsATextBeforeItsNextToken() async throws {
        let generation = try await tinyModel().generate("Once", maxTokens: 100_000, ignoreEos: true)
        let task = Task {
            var tokens = 0
            for try await piece in generation.pieces {
                tokens += piece.tokens.count
                if tokens >= 5 { withUnsafeCurrentTask { $0?.cancel() } }
            }
            return tokens
        }
        let tokens = try await task.value
        let stats = try #require(generation.stats)
        #expect(stats.finishReason == "cancelled")
        #expect(stats.usage.generatedTokens <= tokens + 1)
    }

    @Test func cancellingFromOutsideEndsATextInTheMiddle() async throws {
        let generation = try await tinyModel().generate("Once", maxTokens: 100_000_000, ignoreEos: true)
        let (began, begin) = AsyncStream<Void>.makeStream()
        let task = Task {
            for try await _ in generation { begin.yield() }
        }
        for await _ in began { break }
        task.cancel()
        try await task.value
        #expect(generation.stats?.finishReason == "cancelled")
    }

    @Test func aGenerationCanBeCancelledWithoutATask() async throws {
        let generation = try await tinyModel().generate("Once", maxTokens: 100_000, ignoreEos: true)
        generation.cancel()
        for try await _ in generation { generation.cancel() }
        #expect(generation.stats?.finishReason == "cancelled")
    }

    @Test func cancellingATextEndsTheReadingOfItsPrompt() async throws {
        let prompt = String(repeating: "a", count: 4_000_000)
        let generation = try await tinyModel().generate(prompt)
        let (began, begin) = AsyncStream<Void>.makeStream()
        let task = Task {
            var pieces = generation.makeAsyncIterator()
            begin.yield()
            return try await pieces.next()
        }
        for await _ in began { break }
        try await Task.sleep(for: .milliseconds(20))
        task.cancel()
        #expect(try await task.value == nil)
        let stats = try #require(generation.stats)
        #expect(stats.finishReason == "cancelled")
        #expect(stats.usage.generatedTokens == 0)
    }

    @Test func cancellingPrefillEndsIt() async throws {
        let model = try await tinyModel()
        let (middle, tell) = AsyncStream<Void>.makeStream()
        let task = Task {
            try await model.prefill(String(repeating: "a", count: 4_000_000)) { fraction in
                if fraction > 0 { tell.yield() }
            }
        }
        for await _ in middle { break }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
    }

    @Test func aTaskThatIsCancelledAlreadyDoesNothing() async throws {
        let model = try await tinyModel()
        let generation = model.generate("Once", maxTokens: 5)
        let task = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            let text = try await generation.joined()
            await #expect(throws: CancellationError.self) { try await model.complete("Once") }
            return text
        }
        #expect(try await task.value == "")
        #expect(generation.stats?.finishReason == "cancelled")
    }

    @Test func progressGoesFromNothingToAll() async throws {
        let (fractions, tell) = AsyncStream<Double>.makeStream()
        _ = try await tinyModel().prefill(String(repeating: "a", count: 10_000)) { tell.yield($0) }
        tell.finish()
        let told = await fractions.reduce(into: []) { $0.append($1) }
        #expect(told.first == 0 && told.last == 1)
        #expect(told == told.sorted())
    }
}
