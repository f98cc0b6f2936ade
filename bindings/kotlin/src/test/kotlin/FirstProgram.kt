import dev.volary.Model

suspend fun main() {
    Model.load("rwkv7-g1-1.5b.gguf").use { model ->
        val done = model.complete("The capital of France is", maxTokens = 8)
        println("${done.text} (${done.finishReason}, ${done.usage.generatedTokens} tokens)")
    }
}
