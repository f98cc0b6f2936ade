// Chats in the terminal. Ctrl-C ends a reply, an empty line asks for another one, Ctrl-D ends the program.

import Foundation
import Terminal
import Volary

let usage = """
    usage: chat [MODEL] [--system TEXT] [--format NAME] [--max-tokens N] [--temperature T] [--top-p P] [--threads N]

    MODEL is a file of an RWKV model: .pth, .safetensors, .gguf or rwkv.cpp's .bin.
    Without one it is the demo. BlinkDL's are at https://huggingface.co/BlinkDL
    """
let names = ["system", "format", "max-tokens", "temperature", "top-p", "threads"]
let arguments = Terminal.CommandLine(options: names, usage: usage)
guard arguments.others.count <= 1 else { fail(usage, status: 2) }

do {
    let model: Model
    if let path = arguments.others.first {
        model = try await Model(path: path, threads: arguments.number("threads"))
    } else {
        tell("This is the demo, which only tells stories. docs/models.md shows real models.")
        model = try await Model.demo(threads: arguments.number("threads"))
    }
    let chat = model.chat(system: arguments.string("system"), format: arguments.string("format"))
    let options = GenerateOptions(
        maxTokens: arguments.number("max-tokens") ?? 500, temperature: arguments.number("temperature"),
        topP: arguments.number("top-p"))
    show("\(try model.info.name), \(try chat.format) format\n> ")

    while let line = readLine() {
        let isAnother = try line.isEmpty && !chat.history.isEmpty
        let reply = isAnother ? chat.alternate(options: options) : chat.send(line, options: options)
        try await cancelledByCtrlC {
            for try await piece in reply { show(piece) }
        }
        show("\n> ")
    }
    show("\n")
} catch VolaryError.notFound(let message) {
    fail("\(message)\n\n\(usage)")
} catch {
    fail(error.localizedDescription)
}
