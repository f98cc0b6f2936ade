import Testing
import Volary

struct ThoughtTests {
    @Test func thoughtsArePiecesButNoText() async throws {
        let chat = try await tinyModel().chat(format: "g1-think")
        // The first ends the tag that begins a thought; none ends the thought.
        let thinking = GenerateOptions(maxTokens: 5, logitBias: [Int(UInt8(ascii: ">")): 1000])
        #expect(try await chat.send("Hello!", options: thinking).joined() == "")
        let pieces = try await chat.retry(options: thinking).pieces.reduce(into: []) { $0.append($1) }
        #expect(pieces.map(\.text) == Array(repeating: ">", count: 4))
        #expect(pieces.map(\.thinking) == Array(repeating: true, count: 4))
        let reply = try #require(chat.history.last)
        #expect(reply.content == "" && reply.thought == ">>>>")
    }
}
