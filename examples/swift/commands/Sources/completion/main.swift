// Continues a text, piece by piece. Ctrl-C ends it.

import Foundation
import Terminal
import Volary

let usage = """
    usage: completion [MODEL [PROMPT]] [--max-tokens N] [--temperature T] [--top-p P] [--seed N] [--stop TEXT] [--threads N]

    MODEL is a file of an RWKV model: .pth, .safetensors, .gguf or rwkv.cpp's .bin.
    Without one it is the demo. BlinkDL's are at https://huggingface.co/BlinkDL
    """
let names = ["max-tokens", "temperature", "top-p", "seed", "stop", "threads"]
let arguments = Terminal.CommandLine(options: names, usage: usage)
guard arguments.others.count <= 2 else { fail(usage, status: 2) }
let prompt = arguments.others.count == 2 ? arguments.others[1] : "Once upon a time"

do {
    let model: Model
    if let path = arguments.others.first {
        model = try await Model(path: path, threads: arguments.number("threads"))
    } else {
        tell("This is the demo, which tells old stories. docs/models.md shows real models.")
        model = try await Model.demo(threads: arguments.number("threads"))
    }
    let text = model.generate(
        prompt, maxTokens: arguments.number("max-tokens") ?? 200, temperature: arguments.number("temperature"),
        topP: arguments.number("top-p"), seed: arguments.number("seed"),
        stop: arguments.string("stop").map { [$0] } ?? [])

    show(prompt)
    try await cancelledByCtrlC {
        for try await piece in text { show(piece) }
    }
    show("\n")

    if let stats = text.stats {
        let (tokens, seconds) = (stats.usage.generatedTokens, stats.timings.decodeSeconds)
        let speed = seconds > 0 ? String(format: ", %.1f a second", Double(tokens) / seconds) : ""
        fail("\(tokens) tokens\(speed); seed \(stats.seed); ended by: \(stats.finishReason ?? "")", status: 0)
    }
} catch VolaryError.notFound(let message) {
    fail("\(message)\n\n\(usage)")
} catch {
    fail(error.localizedDescription)
}
