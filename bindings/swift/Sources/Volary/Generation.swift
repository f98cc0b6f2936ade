import Foundation
internal import VolaryGenerated

/// A text to be generated: an asynchronous sequence of its pieces, of a chat's reply only the answer's.
///
/// Nothing happens before it is iterated, and each iteration generates anew. The model works on a thread of its own while
/// the next piece is waited for, but for tokens that together take less than a millisecond. Leaving the loop, or
/// cancelling the task, stops it; a cancelled iteration just ends.
public struct Generation: AsyncSequence, Sendable {
    let start: @Sendable () throws -> TokenStream
    let latest = Latest()

    /// The pieces with their tokens, and with a chat model's thoughts among them.
    public var pieces: Pieces { Pieces(generation: self) }

    /// Counts, times, seed and the reason of the end, of the iteration begun last.
    public var stats: Stats? { latest.stream.map { Stats($0.stats()) } }

    /// Ends the iteration begun last before its next token, from any thread; the iteration just ends, with the finish
    /// reason `cancelled`. Cancelling the task that iterates does the same.
    public func cancel() { latest.stream?.cancel() }

    /// The state after the whole text, from which another text can go on: to be had once, after an iteration that came to
    /// the end. Not of a chat's reply, whose state is the chat's.
    public func takeState() throws -> Model.State {
        guard let stream = latest.stream else {
            throw VolaryError.invalidArgument("state: there is none before the text was generated; iterate it first")
        }
        return Model.State(try call(stream.takeState))
    }

    public func makeAsyncIterator() -> Iterator { Iterator(pulling: Pulling(start, latest)) }

    public struct Iterator: AsyncIteratorProtocol {
        let pulling: Pulling

        public mutating func next() async throws -> String? { try await next(isolation: nil) }

        public mutating func next(isolation actor: isolated (any Actor)?) async throws -> String? {
            while let text = try await pulling.next(isolation: actor, { try $0.nextText() }) {
                if !text.isEmpty { return text }
            }
            return nil
        }
    }

    /// The pieces of a generation.
    public struct Pieces: AsyncSequence, Sendable {
        let generation: Generation

        public func makeAsyncIterator() -> Iterator {
            Iterator(pulling: Pulling(generation.start, generation.latest))
        }

        public struct Iterator: AsyncIteratorProtocol {
            let pulling: Pulling

            public mutating func next() async throws -> Piece? { try await next(isolation: nil) }

            public mutating func next(isolation actor: isolated (any Actor)?) async throws -> Piece? {
                try await pulling.next(isolation: actor, { try $0.next() }).map(Piece.init)
            }
        }
    }
}

/// The stream that was begun last.
final class Latest: @unchecked Sendable {
    private let lock = NSLock()
    private var begun: TokenStream?

    func begin(_ stream: TokenStream) { lock.withLock { begun = stream } }

    var stream: TokenStream? { lock.withLock { begun } }
}

/// One iteration: a native stream, pulled on a queue of its own if a pull, which takes as long as a token does, is long.
/// Going to another thread and back takes some hundredths of a millisecond, and a small model's token less.
final class Pulling: @unchecked Sendable {
    /// For how long nobody misses a thread.
    private static let short = Duration.milliseconds(1)
    private let queue = DispatchQueue(label: "volary.stream")
    private let stream: Result<TokenStream, any Error>
    private var hasEnded = false
    private var last = short
    private var sinceAway = Duration.zero

    init(_ start: () throws -> TokenStream, _ latest: Latest) {
        stream = Result { try call(start) }
        if case .success(let stream) = stream { latest.begin(stream) }
    }

    /// On the caller's actor, so that it changes threads twice at most: to the queue's and back.
    func next<P: Sendable>(
        isolation actor: isolated (any Actor)?, _ pull: @escaping @Sendable (TokenStream) throws -> P?
    ) async throws -> P? {
        let stream = try stream.get()
        let stays = sinceAway + last < Self.short
        let start = ContinuousClock.now
        let piece: P?
        if stays {
            if Task.isCancelled { stream.cancel() }
            piece = try call { try pull(stream) }
        } else {
            piece = try await withTaskCancellationHandler {
                _ = actor  // What a closure mentions, it stays on.
                return try await withCheckedThrowingContinuation {
                    (continuation: CheckedContinuation<P?, any Error>) in
                    queue.async { continuation.resume(with: Result { try call { try pull(stream) } }) }
                }
            } onCancel: {
                stream.cancel()
            }
        }
        last = ContinuousClock.now - start
        sinceAway = stays ? sinceAway + last : .zero
        hasEnded = piece == nil
        return piece
    }

    deinit {
        // What came to its end has a state to be taken.
        if case .success(let stream) = stream, !hasEnded { stream.release() }
    }
}
