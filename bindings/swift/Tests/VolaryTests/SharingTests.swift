import Testing
import Volary

struct SharingTests {
    @Test func eightTasksThatShareAModelGetTheTextsOfOne() async throws {
        let model = try await tinyModel()
        @Sendable func text(_ number: Int) async throws -> String {
            let state = try await model.prefill("Task \(number):")
            return try await model.generate(" says", maxTokens: 40, seed: UInt64(number), state: state).joined()
        }
        var alone: [String] = []
        for number in 0..<8 { alone.append(try await text(number)) }
        #expect(Set(alone).count == 8)
        try await withThrowingTaskGroup(of: (Int, [String]).self) { group in
            for number in 0..<8 {
                group.addTask {
                    var together: [String] = []
                    for _ in 1...5 { together.append(try await text(number)) }
                    return (number, together)
                }
            }
            for try await (number, together) in group {
                #expect(together == Array(repeating: alone[number], count: 5))
            }
        }
    }

    @MainActor @Test func aTextCanBeShownByTheMainActor() async throws {
        var shown = ""
        for try await piece in try await tinyModel().generate("Once", maxTokens: 20, seed: 1) { shown += piece }
        #expect(try await shown == tinyModel().complete("Once", maxTokens: 20, seed: 1).text)
    }

    @MainActor @Test func theActorIsFreeWhileATextIsWaitedFor() async throws {
        let model = try await tinyModel()
        var others = 0
        let ticker = Task { @MainActor in
            while !Task.isCancelled {
                others += 1
                await Task.yield()
            }
        }
        var seen: Set<Int> = []
        for try await _ in model.generate("Once", maxTokens: 500, ignoreEos: true) { seen.insert(others) }
        ticker.cancel()
        // Not between all pieces: tokens that come at once are not waited for.
        #expect(seen.count > 1)
    }

    @Test func aGenerationCanBeIteratedAgain() async throws {
        let generation = try await tinyModel().generate("Once", maxTokens: 20, seed: 1)
        #expect(try await generation.joined() == generation.joined())
        #expect(generation.stats?.usage.generatedTokens == 20)
    }

    @Test func aTextGoesOnFromTheStateAfterAnother() async throws {
        let model = try await tinyModel()
        let first = model.generate("Once", maxTokens: 10, temperature: 0)
        #expect(throws: VolaryError.self) { try first.takeState() }
        let tokens = try await first.pieces.reduce(into: []) { $0 += $1.tokens }
        let state = try first.takeState()
        let apart = try await model.complete(" and", maxTokens: 10, temperature: 0, state: state).text
        let whole = try model.tokenizer.encode("Once") + tokens + model.tokenizer.encode(" and")
        #expect(try await model.generate(whole, maxTokens: 10, temperature: 0).joined() == apart)
        #expect(throws: VolaryError.self) { try first.takeState() }
    }
}
