// Eight tasks that share a model, for a minute or the seconds given; then 10,000 times making and closing everything, in which
// the memory must not grow. Fails if a text is wrong or memory grows.
//
//     swift run --configuration release stress [SECONDS]

import Foundation
import Volary

let golden = URL(fileURLWithPath: #filePath).appendingPathComponent("../../../../tests/golden").standardizedFileURL
let path = golden.appendingPathComponent("v7.pth").path
let seconds = CommandLine.arguments.count > 1 ? Double(CommandLine.arguments[1]) ?? 60 : 60

@Sendable func text(_ model: Model, _ number: Int) async throws -> String {
    let state = try await model.prefill("Task \(number):")
    return try await model.generate(" says", maxTokens: 50, seed: UInt64(number), state: state).reduce("", +)
}

let model = try await Model(path: path)
var alone: [String] = []
for number in 0..<8 { alone.append(try await text(model, number)) }
let end = ContinuousClock.now + .seconds(seconds)
let counts = try await withThrowingTaskGroup(of: Int.self) { group in
    for (number, expected) in alone.enumerated() {
        group.addTask {
            var count = 0
            while ContinuousClock.now < end {
                guard try await text(model, number) == expected else { fatalError("task \(number) got another text") }
                count += 1
            }
            return count
        }
    }
    var counts: [Int] = []
    for try await count in group { counts.append(count) }
    return counts
}
print("\(counts.reduce(0, +)) texts of 8 tasks in \(seconds) s, all as of one task alone; of a task at least \(counts.min()!)")
model.close()

/// Bytes of memory in use, where the system tells them in a file.
func memory() -> Int? {
    guard let numbers = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8).split(separator: " ") else {
        return nil
    }
    return Int(numbers[1]).map { $0 * Int(getpagesize()) }
}

func cycle() async throws {
    let model = try await Model(path: path, threads: 1)
    let (state, tokenizer) = try (model.newState(), model.tokenizer)
    // One text to the end, and one that is left.
    for try await _ in model.generate("a", maxTokens: 2, state: state) {}
    for try await _ in model.generate("a", maxTokens: 9, ignoreEos: true).pieces { break }
    tokenizer.close()
    state.close()
    model.close()
}

let (warmUp, cycles, limit) = (2_000, 10_000, 5 << 20)
for _ in 0..<warmUp { try await cycle() }
let before = memory()
let begun = ContinuousClock.now
for _ in 0..<cycles { try await cycle() }
let took = (ContinuousClock.now - begun) / .seconds(1)
if let before, let after = memory() {
    let growth = String(format: "%+.2f MB", Double(after - before) / Double(1 << 20))
    print("\(cycles) cycles in \(String(format: "%.1f", took)) s; memory \(growth) after \(warmUp) to warm up")
    guard after - before < limit else { fatalError("memory grew") }
} else {
    print("\(cycles) cycles in \(String(format: "%.1f", took)) s; this system does not tell the memory in /proc")
}
