package dev.volary

import dev.volary.internal.InternalException as NativePanic
import org.junit.jupiter.api.io.TempDir
import java.nio.file.Path
import kotlin.test.Test
import kotlin.test.assertContains
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertNull

/** Which native library is taken, and which refused. */
class LibraryTest {
    @TempDir
    lateinit var temporary: Path

    @Test
    fun `the package has one version`() {
        val cargo = checkout.resolve("Cargo.toml").readText()
        assertContains(cargo, Regex("""\[workspace\.package]\s+version = "${Regex.escape(Library.VERSION)}""""))
        val pom = checkout.resolve("bindings/kotlin/pom.xml").readText()
        assertContains(pom, "<artifactId>volary</artifactId>")
        assertEquals(Library.VERSION, Regex("<version>(.*)</version>").find(pom)!!.groupValues[1])
        assertNull(Library.message(Library.VERSION))
        Library.load()
    }

    @Test
    fun `a panic in the library is an internal error`() {
        val error = assertFailsWith<VolaryException.Internal> { call<Unit> { throw NativePanic("index out of bounds") } }
        assertEquals("volary: a fault of its own, please report it: index out of bounds", error.message)
    }

    @Test
    fun `a library of another version is refused`() {
        val stale = temporary.resolve(System.mapLibraryName("stale"))
        val source = temporary.resolve("stale.rs").toFile()
        source.writeText(STALE)
        val compiled = finished("rustc", "--crate-type", "cdylib", "-o", "$stale", "$source")
        assertEquals(0, compiled.status, compiled.output)

        val run = java("-Duniffi.component.volary.libraryOverride=$stale", "dev.volary.LoadKt")
        assertContains(
            run.output,
            "volary: this package is ${Library.VERSION}, but the native library is 0.0.9; use the library that comes " +
                "with the package, or a package 0.0.9",
        )
        assertEquals(2, run.output.lines().count { it.startsWith("Unsupported: ") }, run.output)
    }

    @Test
    fun `a library that is none is refused`() {
        val run = java("-Duniffi.component.volary.libraryOverride=$temporary/none.so", "dev.volary.LoadKt")
        assertContains(run.output, "Unsupported: volary: no usable native library for ")
    }

    private companion object {
        /** What the package asks a library before it does anything else with it. */
        const val STALE = """
            #[repr(C)]
            pub struct Buffer { capacity: u64, len: u64, data: *const u8 }
            #[unsafe(no_mangle)]
            pub extern "C" fn uniffi_volary_fn_func_version(_status: *mut u8) -> Buffer {
                Buffer { capacity: 5, len: 5, data: "0.0.9".as_ptr() }
            }
        """
    }
}
