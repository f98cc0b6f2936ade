package dev.volary

import java.io.File
import java.io.FileNotFoundException
import java.io.IOException

/** The demo model in the package. */
internal object Demo {
    private const val NAME = "demo.gguf"

    /**
     * Lends [work] the demo model as a file, which models are loaded from. The file is gone afterwards: a loaded model
     * needs it no more.
     */
    suspend fun <T> asFile(work: suspend (path: String) -> T): T {
        val folder = toTheEnd(::unpack)
        try {
            return work(folder.resolve(NAME).path)
        } finally {
            toTheEnd { folder.deleteRecursively() }
        }
    }

    // Without java.nio.file, which Android has from version 8 on only.
    private fun unpack(): File {
        var folder: File? = null
        try {
            val resource = Demo::class.java.getResourceAsStream(NAME) ?: throw FileNotFoundException("not in the package")
            folder = File.createTempFile("volary-", "")
            if (!(folder.delete() && folder.mkdir())) throw IOException("$folder: no folder could be made of it")
            resource.use { from -> folder.resolve(NAME).outputStream().use { from.copyTo(it) } }
            return folder
        } catch (error: IOException) {
            folder?.deleteRecursively()
            throw VolaryException.Io("$NAME: could not be unpacked ($error); -Djava.io.tmpdir names another folder for it")
        }
    }
}
