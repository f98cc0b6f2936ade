package dev.volary

import java.util.concurrent.TimeUnit

/** What a program printed, on both its outputs, and its exit status. */
class Finished(val output: String, val status: Int)

/** Runs a program to its end. */
fun finished(vararg command: String, input: String = ""): Finished {
    val program = ProcessBuilder(*command).redirectErrorStream(true).start()
    program.outputStream.use { it.write(input.encodeToByteArray()) }
    val output = program.inputStream.readBytes().decodeToString()
    check(program.waitFor(1, TimeUnit.MINUTES)) { "${command.first()} does not end" }
    return Finished(output, program.exitValue())
}

/** Runs a main class of the tests or examples. */
fun java(vararg arguments: String, input: String = ""): Finished =
    finished(
        "${System.getProperty("java.home")}/bin/java",
        "-Dvolary.root=$checkout",
        "-cp",
        System.getProperty("java.class.path"),
        *arguments,
        input = input,
    )
