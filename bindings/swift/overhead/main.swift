// What streaming costs beside the model's work, in microseconds a token: the time for 500 tokens, less that which the library
// itself reports. The model's threads are one, so that it leaves a core to the program.
//
//     swift run --configuration release overhead [MODEL]

import Foundation
import Volary

let tiny = URL(fileURLWithPath: #filePath).appendingPathComponent("../../../../tests/golden/v7.pth").standardizedFileURL
let path = CommandLine.arguments.count > 1 ? CommandLine.arguments[1] : tiny.path
let (tokens, repeats) = (500, 21)

let model = try await Model(path: path, threads: 1)
var overheads: [Double] = []
var nativeTimes: [Double] = []
for _ in 0..<repeats {
    let generation = model.generate("Once upon a time", maxTokens: tokens, seed: 1, ignoreEos: true)
    let clock = ContinuousClock()
    let elapsed = try await clock.measure {
        for try await _ in generation {}
    }
    guard let timings = generation.stats?.timings else { fatalError("no statistics") }
    let native = timings.prefillSeconds + timings.decodeSeconds
    overheads.append((elapsed / .seconds(1) - native) / Double(tokens) * 1e6)
    nativeTimes.append(native / Double(tokens) * 1e6)
}
func median(_ numbers: [Double]) -> Double { numbers.sorted()[numbers.count / 2] }
print(
    String(
        format: "%.1f microseconds a token beside %.1f of the model's (medians of %d runs of %d tokens; best %.1f)",
        median(overheads), median(nativeTimes), repeats, tokens, overheads.min()!))
