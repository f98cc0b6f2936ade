import Foundation
import Testing

@testable import Volary

struct ErrorTests {
    @Test func anErrorSaysWhatTheLibrarySays() async throws {
        let message = "/nowhere/model.pth: no such file; check the path"
        do {
            _ = try await Model(path: "/nowhere/model.pth")
            Issue.record("must fail")
        } catch {
            #expect(error as? VolaryError == .notFound(message))
            #expect(error.localizedDescription == message)
            #expect((error as? any LocalizedError)?.errorDescription == message)
        }
    }

    @Test func aWrongOptionIsToldWhenTheTextIsBegun() async throws {
        let generation = try await tinyModel().generate("Once", temperature: -1)
        do {
            _ = try await generation.joined()
            Issue.record("must fail")
        } catch VolaryError.invalidArgument(let message) {
            #expect(message.hasPrefix("temperature: "), "\(message)")
        }
        #expect(generation.stats == nil)
    }

    @Test func aPanicInTheLibraryIsAnInternalError() {
        struct Panic: LocalizedError {
            let errorDescription: String? = "index out of bounds"
        }
        let message = "volary: a fault of its own, please report it: index out of bounds"
        #expect(throws: VolaryError.internal(message)) { try call { throw Panic() } }
    }

    /// That it is Cargo's too.
    @Test func thePackageHasTheProjectsVersion() throws {
        let manifest = try String(contentsOf: project.appendingPathComponent("Cargo.toml"), encoding: .utf8)
        #expect(manifest.contains("\nversion = \"\(Library.version)\"\n"))
    }

    @Test func aLibraryOfAnotherVersionIsRefused() throws {
        #expect(throws: Never.self) { try Library.check.get() }
        #expect(throws: Never.self) { try Library.check(found: Library.version).get() }
        guard case .failure(.unsupported(let message)) = Library.check(found: "0.0.7") else {
            Issue.record("must fail")
            return
        }
        #expect(message.contains("0.0.7") && message.contains(Library.version), "\(message)")
    }
}
