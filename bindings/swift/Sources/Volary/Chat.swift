internal import VolaryGenerated

/// A conversation with a model: roles, prompt formats, retry, alternate replies, undo, save.
public final class Chat: Sendable {
    private let native: Result<VolaryGenerated.Chat, any Error>

    init(_ native: Result<VolaryGenerated.Chat, any Error>) { self.native = native }

    /// Loads a conversation that ``save(_:)`` wrote, to go on with the same model.
    public static func load(_ model: Model, path: String) throws -> Chat {
        let chat = try call { try VolaryGenerated.Chat.load(model: model.native, path: path) }
        return Chat(.success(chat))
    }

    /// Says `text` when the reply is iterated. A reply that is left ends where it was shown.
    public func send(_ text: String, options: GenerateOptions) -> Generation {
        Generation { [native] in try native.get().send(text: text, options: options.native) }
    }

    /// Replaces the last reply by another one to the same message, when it is iterated.
    public func retry(options: GenerateOptions) -> Generation {
        Generation { [native] in try native.get().retry(options: options.native) }
    }

    /// As ``retry(options:)``, but keeps the former reply among the new one's alternatives.
    public func alternate(options: GenerateOptions) -> Generation {
        Generation { [native] in try native.get().alternate(options: options.native) }
    }

    /// Takes back the last message and its reply.
    public func undo() throws { try call { try native.get().undo() } }

    /// Forgets the conversation, but not the system message.
    public func reset() throws { try call { try native.get().reset() } }

    /// Sets, changes or (`nil`) removes the system message.
    public func setSystem(_ text: String?) throws { try call { try native.get().setSystem(text: text) } }

    /// All messages, oldest first, the system message among them.
    public var history: [Message] { get throws { try call { try native.get().history() }.map(Message.init) } }

    /// The name of the chat format.
    public var format: String { get throws { try call { try native.get().format() } } }

    /// Saves the conversation. The file appears under its name only when it is complete.
    public func save(_ path: String) throws { try call { try native.get().save(path: path) } }

    /// Closes the chat: a running reply ends, and every later call is an error.
    public func close() {
        if case .success(let chat) = native { chat.release() }
    }
}
