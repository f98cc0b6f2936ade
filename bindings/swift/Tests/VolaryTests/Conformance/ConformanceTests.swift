import Foundation
import Testing

/// The scenarios that the suites of all languages run.
struct ConformanceTests {
    private let folder = project.appendingPathComponent("tests/conformance")

    @Test func everyScenarioGivesWhatItSays() async throws {
        let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
            .filter { $0.pathExtension == "json" }
        var outcomes: [String: JSON] = [:]
        for file in files {
            let name = file.deletingPathExtension().lastPathComponent
            let failure = try await inTemporaryFolder {
                await Scenario.failure(try String(contentsOf: file, encoding: .utf8), in: $0)
            }
            outcomes[name] = failure.map(JSON.string) ?? .null
            if let failure { Issue.record("\(name): \(failure)") }
        }
        // What `cargo xtask conformance` reads.
        let report = project.appendingPathComponent("target/conformance/swift.json")
        try FileManager.default.createDirectory(
            at: report.deletingLastPathComponent(), withIntermediateDirectories: true)
        try "\(JSON.object(outcomes))\n".write(to: report, atomically: true, encoding: .utf8)
        #expect(!outcomes.isEmpty, "\(folder.path) holds no scenario")
    }

    @Test func everyVerbOfTheTableIsKnownAndNoOther() throws {
        let readme = try String(contentsOf: folder.appendingPathComponent("README.md"), encoding: .utf8)
        var table: Set<String> = []
        for row in readme.split(separator: "\n") where row.hasPrefix("| `") {
            let cell = row.split(separator: "|")[0].replacing(/\([^)]*\)/, with: "")
            table.formUnion(cell.matches(of: /`([\w.]+)`/).map { String($0.1) })
        }
        #expect(table.count > 40)
        #expect(table == Set(verbs.keys))
    }
}
