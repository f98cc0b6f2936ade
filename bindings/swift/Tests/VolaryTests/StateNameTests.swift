import StateWrapper
import Testing
import Volary

/// A view of SwiftUI's kind, in a file that imports both modules.
private struct View {
    @State var text = ""
    var memory: Model.State?
}

struct StateNameTests {
    @Test func aModuleWithAnotherStateCanBeImportedToo() async throws {
        let model = try await tinyModel()
        var view = View()
        view.text = "Once"
        view.memory = try await model.prefill(view.text)
        #expect(try await model.complete(" upon", maxTokens: 5, state: view.memory).tokens.count == 5)
    }
}
