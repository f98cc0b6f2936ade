import Foundation

/// Prints a line where it is no part of the text.
public func tell(_ message: String) {
    FileHandle.standardError.write(Data("\(message)\n".utf8))
}

/// Prints and ends the program.
public func fail(_ message: String, status: Int32 = 1) -> Never {
    tell(message)
    exit(status)
}

/// The command's arguments: `--name value`, and the others in their order.
public struct CommandLine {
    public var others: [String] = []
    private var options: [String: String] = [:]
    private let usage: String

    /// Fails with `usage` where an option is none of `names`.
    public init(options names: [String], usage: String) {
        self.usage = usage
        var rest = Swift.CommandLine.arguments.dropFirst()
        while let argument = rest.popFirst() {
            guard argument.hasPrefix("--") else {
                others.append(argument)
                continue
            }
            let name = String(argument.dropFirst(2))
            guard names.contains(name), let value = rest.popFirst() else { fail(usage, status: 2) }
            options[name] = value
        }
    }

    public func string(_ name: String) -> String? { options[name] }

    public func number<T: LosslessStringConvertible>(_ name: String) -> T? {
        guard let text = options[name] else { return nil }
        guard let number = T(text) else { fail("--\(name): \(text) is no number\n\n\(usage)", status: 2) }
        return number
    }
}

/// Prints at once, though the line goes on.
public func show(_ piece: String) {
    FileHandle.standardOutput.write(Data(piece.utf8))
}

/// Runs `work` in a task that Ctrl-C cancels. Afterwards Ctrl-C ends the program again.
public func cancelledByCtrlC(_ work: @escaping @Sendable () async throws -> Void) async throws {
    let task = Task { try await work() }
    signal(SIGINT, SIG_IGN)
    let interrupts = DispatchSource.makeSignalSource(signal: SIGINT)
    interrupts.setEventHandler { task.cancel() }
    interrupts.resume()
    defer {
        interrupts.cancel()
        signal(SIGINT, SIG_DFL)
    }
    try await task.value
}
