package dev.volary

import com.sun.jna.NativeLibrary
import com.sun.jna.Platform
import dev.volary.internal.RustBuffer
import dev.volary.internal.UniffiRustCallStatus
import dev.volary.internal.uniffiEnsureInitialized
import com.sun.jna.Library as JnaLibrary

/** The native library, checked when it is first wanted. */
internal object Library {
    /** The version of this package, which the native library must have, too. */
    const val VERSION = "0.1.0"

    private val fault: String? by lazy(::findFault)

    /** Loads the library, unless it is loaded. */
    fun load() {
        fault?.let { throw VolaryException.Unsupported(it) }
    }

    private fun findFault(): String? =
        try {
            val found = version()
            if (found == VERSION) uniffiEnsureInitialized()
            message(found)
        } catch (error: UnsatisfiedLinkError) {
            val cause = error.message?.lineSequence()?.first()
            "volary: no usable native library for ${Platform.RESOURCE_PREFIX} ($cause); use a package that holds one, " +
                "or name a file with -D$OVERRIDE=FILE"
        } catch (_: ExceptionInInitializerError) {
            // The checksums of the generated code: only a library from other sources of the same version gets here.
            "volary: the native library is $VERSION, as this package is, but of another interface; build both anew " +
                "from the same sources"
        }

    fun message(found: String): String? =
        if (found == VERSION) {
            null
        } else {
            "volary: this package is $VERSION, but the native library is $found; use the library that comes with the " +
                "package, or a package $found"
        }

    /**
     * Asks for the version before the generated code looks at the library: what that says of a library of another
     * version names neither version.
     */
    private fun version(): String {
        val options = mapOf(JnaLibrary.OPTION_CLASSLOADER to Library::class.java.classLoader)
        val library = NativeLibrary.getInstance(System.getProperty(OVERRIDE) ?: "volary", options)
        val function = library.getFunction("uniffi_volary_fn_func_version")
        val text = function.invoke(RustBuffer.ByValue::class.java, arrayOf(UniffiRustCallStatus())) as RustBuffer
        // Never freed: of a library of another version nothing more is called.
        return text.data?.getByteArray(0, text.len.toInt())?.decodeToString() ?: ""
    }

    private const val OVERRIDE = "uniffi.component.volary.libraryOverride"
}
