import Foundation
import Volary

/// A scenario of tests/conformance; README.md there describes the format.
struct Scenario {
    let steps: [[String: JSON]]

    init(_ text: String) throws {
        let members = try JSON(parsing: text).members ?? [:]
        guard case .array(let steps) = members["steps"], !steps.isEmpty else { throw Mistake("has no steps") }
        self.steps = try steps.map {
            guard let step = $0.members else { throw Mistake("\($0) is no step") }
            return step
        }
    }

    /// What went wrong; `nil` if nothing did.
    static func failure(_ text: String, in folder: URL) async -> String? {
        let scenario: Scenario
        do { scenario = try Scenario(text) } catch { return "\(error)" }
        var objects: [String: Any] = [:]
        for (index, step) in scenario.steps.enumerated() {
            let verb = step["call"]?.text ?? ""
            let places = ["{golden}": golden.path, "{tmp}": folder.path]
            let placed = JSON.object(step).mapStrings { text in
                places.reduce(text) { $0.replacingOccurrences(of: $1.key, with: $1.value) }
            }
            if let failure = await fault(verb, placed.members!, &objects) {
                return "step \(index + 1) (\(verb)): \(failure)"
            }
        }
        return nil
    }

    private static func fault(_ verb: String, _ step: [String: JSON], _ objects: inout [String: Any]) async -> String? {
        let unknown = Set(step.keys).subtracting(["call", "with", "save", "expect", "error", "about"])
        guard unknown.isEmpty else { return "unknown members: \(unknown.sorted().joined(separator: ", "))" }
        guard let perform = verbs[verb] else { return "unknown verb" }
        let save = step["save"]?.text
        let arguments = Arguments(step["with"]?.members ?? [:], objects, isKept: save != nil)
        do {
            let done = try await perform(arguments)
            if let unused = unusedArguments(arguments) { return unused }
            if let error = step["error"] { return "succeeded, but must fail: \(error)" }
            if let save {
                guard let kept = done.kept else { return "has nothing to save" }
                objects[save] = kept
            }
            return step["expect"]?.difference(from: JSON(describing: done.result))
        } catch let error as VolaryError {
            if let unused = unusedArguments(arguments) { return unused }
            let kind = Mirror(reflecting: error).children.first!.label!.snakeCase
            guard let expected = step["error"] else { return "failed: \(kind): \(error.message)" }
            let found = JSON.object(["kind": .string(kind), "message": .string(error.message)])
            return expected.difference(from: found, at: "the error")
        } catch {
            return "failed: \(error)"
        }
    }

    private static func unusedArguments(_ arguments: Arguments) -> String? {
        arguments.unused.isEmpty ? nil : "unknown arguments: \(arguments.unused.joined(separator: ", "))"
    }
}
