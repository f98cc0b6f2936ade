import Foundation
import Testing

/// That the runner of scenarios can fail, and that every verb does what the table says.
struct RunnerTests {
    @Test func whatIsWrongIsFound() async throws {
        let load = #"{"call": "Model.load", "with": {"path": "{golden}/v7.pth"}, "save": "model"}"#
        let missing = #""call": "Model.load", "with": {"path": "{tmp}/none.pth"}"#
        let exists = #""call": "file.exists", "with": {"path": "{tmp}"}"#
        let greedy = #""call": "Model.generate", "with": {"on": "$model", "prompt": "O", "max_tokens": 3"#
        let cases = [
            ("", "has no steps"),
            (#"{"call": "Model.fly"}"#, "step 1 (Model.fly): unknown verb"),
            (#"{\#(exists), "expects": true}"#, "unknown members: expects"),
            (
                #"\#(load), {"call": "Model.info", "with": {"on": "$other"}}"#,
                "step 2 (Model.info): failed: on: nothing was saved as $other"
            ),
            (#"\#(load), {"call": "Model.chat", "with": {"on": "model"}}"#, "on: model is no $name"),
            (#"\#(load), {"call": "Chat.undo", "with": {"on": "$model"}}"#, "on: $model is no Chat"),
            (#"\#(load), {"call": "Model.eval", "with": {"on": "$model"}}"#, "lacks token"),
            (#"\#(load), {"call": "Model.eval", "with": {"on": "$model", "token": "7"}}"#, #"token cannot be "7""#),
            (
                #"\#(load), {"call": "Model.info", "with": {"on": "$model"}, "error": {"kind": "io"}}"#,
                "succeeded, but must fail"
            ),
            ("{\(missing)}", "failed: not_found: {tmp}/none.pth: no such file; check the path"),
            (#"{\#(missing), "error": {"kind": "io"}}"#, #"kind is "not_found", not "io""#),
            (#"{\#(missing), "error": {"kind": "not_found", "message": "no"}}"#, #", not "no""#),
            (
                #"\#(load), {"call": "Model.info", "with": {"on": "$model"}, "expect": {"n_layer": 99}}"#,
                "n_layer is 2, not 99"
            ),
            (#"\#(load), {\#(greedy)}, "expect": {"text": "x"}}"#, #", not "x""#),
            (#"\#(load), {\#(greedy), "top_q": 1}}"#, "unknown arguments: top_q"),
            (#"{\#(exists), "expect": false}"#, "the result is true, not false"),
            (#"{\#(exists), "expect": 1}"#, "the result is true, not 1"),
            (#"{\#(exists), "save": "x"}"#, "has nothing to save"),
        ]
        for (steps, wrong) in cases {
            try await inTemporaryFolder { folder in
                let failure = await Scenario.failure(#"{"steps": [\#(steps)]}"#, in: folder)
                let wrong = wrong.replacingOccurrences(of: "{tmp}", with: folder.path)
                #expect(failure?.contains(wrong) == true, "\(steps): \(failure ?? "passed"), not \(wrong)")
            }
        }
    }

    @Test(arguments: [
        ("1", "1", true), ("1", "1.00001", false), ("1.0", "1.00009", true), ("1.0", "1.0002", false),
        ("1000.0", "1000.09", true), ("18446744073709551615", "18446744073709551615", true),
        ("18446744073709551615", "18446744073709551614", false), ("1.0", "null", false), ("null", "null", true),
        ("null", "\"null\"", false), ("\"1\"", "1", false), ("\"a\"", "\"a \"", false), ("[1, 2]", "[1, 2, 3]", false),
        (#"[{"a": 1}]"#, #"[{"a": 1, "b": 2}]"#, true), (#"{"a": {"b": 1}}"#, #"{"a": {"b": 2}}"#, false),
        (#"{"a": 1}"#, "{}", false), (#"{"a": 1}"#, "null", false), (#"{"above": 0}"#, "0.1", true),
        (#"{"above": 0}"#, "0", false), (#"{"above": 0}"#, "null", false), (#""\u00e9\n\"\\""#, "\"é\\n\\\"\\\\\"", true),
    ])
    func resultsAreComparedAsTheTableSays(expected: String, found: String, same: Bool) throws {
        #expect((try JSON(parsing: expected).difference(from: JSON(parsing: found)) == nil) == same)
    }

    @Test(arguments: ["", "{", "[1", "[1 2]", #"{"a" 1}"#, #"{"a": 1, "a": 2}"#, "\"a", "1 2", "nil", "-"])
    func whatIsNoJSONIsRefused(text: String) {
        #expect(throws: Mistake.self) { try JSON(parsing: text) }
    }

    @Test func everyVerbDoesWhatTheTableSays() async throws {
        let file = URL(fileURLWithPath: #filePath).appendingPathComponent("../every-verb.json").standardizedFileURL
        let text = try String(contentsOf: file, encoding: .utf8)
        #expect(try await inTemporaryFolder { await Scenario.failure(text, in: $0) } == nil)
        #expect(Set(try Scenario(text).steps.map { $0["call"]?.text ?? "" }) == Set(verbs.keys))
    }
}
