// Chats in the terminal. An empty line asks for another reply; Ctrl-C ends a reply, Ctrl-D the program.
//
//     java -cp 'target/examples/kotlin/*' ChatKt MODEL --system "You are brief."

import dev.volary.GenerateOptions
import dev.volary.Generation
import dev.volary.Model
import dev.volary.VolaryException
import sun.misc.Signal
import kotlin.system.exitProcess

private const val USAGE = """usage: chat [MODEL] [OPTIONS]
OPTIONS are --system TEXT, --max-tokens N, --temperature T, --top-p P, --threads N
MODEL is an RWKV checkpoint: .pth, .safetensors, .gguf or rwkv.cpp's .bin
Without one it is the demo. BlinkDL's are at https://huggingface.co/BlinkDL"""

/** The reply that Ctrl-C ends; without one it ends the program. */
@Volatile
private var running: Generation? = null

suspend fun main(args: Array<String>) {
    val words = args.takeWhile { !it.startsWith("--") }
    if (words.size > 1) fail(USAGE)
    val options = args.drop(words.size).chunked(2).associate { it[0] to it.getOrNull(1) }
    Signal.handle(Signal("INT")) { running?.cancel() ?: exitProcess(130) }
    try {
        loaded(words.firstOrNull(), threads = options["--threads"]?.toInt()).use { model ->
            // What is left out is as RWKV's author recommends.
            val sampling = GenerateOptions(
                maxTokens = options["--max-tokens"]?.toInt() ?: 1000,
                temperature = options["--temperature"]?.toDouble(),
                topP = options["--top-p"]?.toDouble(),
            )
            // The prompt format (World, Raven, G1, …) is told from the model.
            model.chat(system = options["--system"]).use { chat ->
                while (true) {
                    print("> ")
                    System.out.flush()
                    val line = readlnOrNull() ?: break
                    val again = line.isEmpty() && chat.history.any { it.role == "assistant" }
                    val reply = if (again) chat.alternate(sampling) else chat.send(line, sampling)
                    running = reply
                    reply.collect { piece ->
                        print(piece)
                        System.out.flush()
                    }
                    running = null
                    println()
                }
            }
        }
    } catch (error: VolaryException.NotFound) {
        fail("${error.message}\nBlinkDL's models are at https://huggingface.co/BlinkDL; docs/models.md shows some")
    } catch (error: VolaryException) {
        fail(error.message)
    } catch (error: NumberFormatException) {
        fail("${error.message}\n$USAGE")
    }
}

private suspend fun loaded(path: String?, threads: Int?): Model {
    if (path != null) return Model.load(path, threads = threads)
    System.err.println("This is the demo, which only tells stories. docs/models.md shows real models.")
    return Model.demo(threads = threads)
}

private fun fail(message: String?): Nothing {
    System.err.println(message)
    exitProcess(2)
}
