import Foundation
internal import VolaryGenerated

/// Why a call failed, by kind. The message is one line: what was wrong, where, and what to do.
public enum VolaryError: LocalizedError, Sendable, Equatable {
    /// There is no such file.
    case notFound(String)
    /// A file could not be opened, read or written.
    case io(String)
    /// A file is damaged, or is not what it was given as.
    case format(String)
    /// The input is sound, but this version of Volary cannot use it.
    case unsupported(String)
    /// Two things that must belong together do not: a model and a tokenizer, a model and a state.
    case mismatch(String)
    /// An argument or option is outside what it may be.
    case invalidArgument(String)
    /// The work was cancelled.
    case cancelled(String)
    /// The object was closed.
    case closed(String)
    /// Another call is using the object.
    case busy(String)
    /// A fault of Volary itself.
    case `internal`(String)

    /// The message.
    public var message: String {
        switch self {
        case .notFound(let message), .io(let message), .format(let message), .unsupported(let message),
            .mismatch(let message), .invalidArgument(let message), .cancelled(let message), .closed(let message),
            .busy(let message), .internal(let message):
            message
        }
    }

    public var errorDescription: String? { message }

    init(_ error: any Error) {
        guard let error = error as? VolaryGenerated.VolaryError else {
            let cause = (error as? any LocalizedError)?.errorDescription ?? "\(error)"
            self = (error as? VolaryError) ?? .internal("volary: a fault of its own, please report it: \(cause)")
            return
        }
        switch error {
        case .NotFound(let message): self = .notFound(message)
        case .Io(let message): self = .io(message)
        case .Format(let message): self = .format(message)
        case .Unsupported(let message): self = .unsupported(message)
        case .Mismatch(let message): self = .mismatch(message)
        case .InvalidArgument(let message): self = .invalidArgument(message)
        case .Cancelled(let message): self = .cancelled(message)
        case .Closed(let message): self = .closed(message)
        case .Busy(let message): self = .busy(message)
        case .Internal(let message): self = .internal(message)
        }
    }
}

/// Calls the library; what the generated code throws becomes ours.
func call<T>(_ work: () throws -> T) throws -> T {
    try Library.check.get()
    do {
        return try work()
    } catch {
        throw VolaryError(error)
    }
}

/// The native library, checked when it is first wanted.
enum Library {
    /// That of Cargo.toml.
    static let version = "0.1.0"

    static let check = check(found: VolaryGenerated.version())

    static func check(found: String) -> Result<Void, VolaryError> {
        guard found != version else { return .success(()) }
        let cause = "this package is \(version), but the native library found is \(found); use the one of the same version"
        return .failure(.unsupported("volary: \(cause)"))
    }
}
