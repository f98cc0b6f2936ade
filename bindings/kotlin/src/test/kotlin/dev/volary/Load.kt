package dev.volary

/** Wants the library twice, and prints what comes of it. */
fun main() {
    repeat(2) {
        try {
            println(Tokenizer.rawBytes().name)
        } catch (error: VolaryException) {
            println("${error::class.simpleName}: ${error.message}")
        }
    }
}
