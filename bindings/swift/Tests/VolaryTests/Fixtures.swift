import Foundation
import Testing
import Volary

/// The project, whatever folder the tests run in.
let project = URL(fileURLWithPath: #filePath).appendingPathComponent("../../../../..").standardizedFileURL

let golden = project.appendingPathComponent("tests/golden")

/// A tiny model with random weights, whose tokens are bytes.
func tinyModel() async throws -> Model {
    try await Model(path: golden.appendingPathComponent("v7.pth").path, threads: 1)
}

/// Gives `work` an empty folder, and removes it afterwards.
func inTemporaryFolder<T>(_ work: (URL) async throws -> T) async throws -> T {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("volary-\(UUID())")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    return try await work(folder)
}

extension AsyncSequence where Element == String {
    /// All of it in one.
    func joined() async throws -> String { try await reduce(into: "") { $0 += $1 } }
}

/// Asserts that `work` fails as something closed does.
func expectClosed(_ work: () async throws -> Void, sourceLocation: SourceLocation = #_sourceLocation) async {
    do {
        try await work()
        Issue.record("must fail, because it was closed", sourceLocation: sourceLocation)
    } catch VolaryError.closed {
    } catch {
        Issue.record("\(error), not that it was closed", sourceLocation: sourceLocation)
    }
}
