// Continues a text, piece by piece as it is generated; Ctrl-C ends it.
//
//     java -cp 'target/examples/kotlin/*' CompletionKt MODEL "Once upon a time" --max-tokens 200

import dev.volary.Model
import dev.volary.VolaryException
import kotlin.system.exitProcess

private const val USAGE = """usage: completion [MODEL [PROMPT]] [OPTIONS]
OPTIONS are --max-tokens N, --temperature T, --top-p P, --seed N, --threads N
MODEL is an RWKV checkpoint: .pth, .safetensors, .gguf or rwkv.cpp's .bin
Without one it is the demo. BlinkDL's are at https://huggingface.co/BlinkDL"""

suspend fun main(args: Array<String>) {
    val words = args.takeWhile { !it.startsWith("--") }
    if (words.size > 2) fail(USAGE)
    val prompt = words.getOrElse(1) { "Once upon a time" }
    val options = args.drop(words.size).chunked(2).associate { it[0] to it.getOrNull(1) }
    try {
        loaded(words.firstOrNull(), threads = options["--threads"]?.toInt()).use { model ->
            // What is left out is as RWKV's author recommends.
            val text = model.generate(
                prompt,
                maxTokens = options["--max-tokens"]?.toInt() ?: 200,
                temperature = options["--temperature"]?.toDouble(),
                topP = options["--top-p"]?.toDouble(),
                seed = options["--seed"]?.toULong(),
                stop = listOf("\n\n"),
            )
            print(prompt)
            text.collect { piece ->
                print(piece)
                System.out.flush()
            }
            println()
            val (usage, timings) = text.stats!!
            System.err.println("%.1f tokens a second".format(usage.generatedTokens / timings.decodeSeconds))
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
    System.err.println("This is the demo, which tells old stories. docs/models.md shows real models.")
    return Model.demo(threads = threads)
}

private fun fail(message: String?): Nothing {
    System.err.println(message)
    exitProcess(2)
}
