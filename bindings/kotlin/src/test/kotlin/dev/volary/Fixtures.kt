package dev.volary

import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.runBlocking
import java.io.File

/** The folder of the repository. */
val checkout: File = File(System.getProperty("volary.root") ?: error("-Dvolary.root is not set")).canonicalFile

/** A file of tests/golden. */
fun golden(name: String): String = checkout.resolve("tests/golden/$name").path

/** Does something with an RWKV-7 of random weights, whose tokens are bytes. */
fun withModel(work: suspend CoroutineScope.(Model) -> Unit): Unit =
    runBlocking { Model.load(golden("v7.pth")).use { work(it) } }

/** Options that give A after A, of which each is a token and a piece. */
fun letters(count: Int): GenerateOptions = GenerateOptions(maxTokens = count, logitBias = mapOf('A'.code to 1000.0))
