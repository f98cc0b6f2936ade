package dev.volary

import com.sun.jna.Platform
import java.io.File
import java.lang.reflect.Modifier
import kotlin.reflect.KClass
import kotlin.reflect.KType
import kotlin.reflect.KVisibility
import kotlin.reflect.full.declaredMembers
import kotlin.reflect.jvm.kotlinFunction
import kotlin.test.Test
import kotlin.test.assertContains
import kotlin.test.assertEquals
import kotlin.test.assertTrue

/** What users of the package see. */
class PackageTest {
    private val classes = File(Model::class.java.protectionDomain.codeSource.location.toURI())

    private fun classesIn(folder: String): List<Class<*>> =
        classes.resolve(folder).listFiles { file -> file.extension == "class" }!!.map {
            Class.forName("${folder.replace('/', '.')}.${it.nameWithoutExtension}", false, javaClass.classLoader)
        }

    @Test
    fun `everything generated is internal`() {
        val generated = classesIn("dev/volary/internal").filter { it.isAnnotationPresent(Metadata::class.java) }
        val visible = generated.mapNotNull { it.kotlinOrNull() }.filter { it.visibility == KVisibility.PUBLIC }
        // What lies within something internal is not seen either.
        assertEquals(listOf(), visible.filter { it.java.enclosingClass == null })
        assertTrue(generated.size > 100)
    }

    @Test
    fun `no generated type is in a public signature`() {
        val own = classesIn("dev/volary").filter { Modifier.isPublic(it.modifiers) && it.enclosingMethod == null }
        val members = own.mapNotNull { it.kotlinOrNull() }.filter { it.visibility == KVisibility.PUBLIC }
            .flatMap { it.constructors + it.declaredMembers }
        val functions = own.filter { it.name.endsWith("Kt") }.flatMap { it.declaredMethods.toList() }
            .mapNotNull { it.kotlinFunction }
        val public = (members + functions).filter { it.visibility == KVisibility.PUBLIC }
        val types = public.flatMap { member -> member.parameters.map { it.type } + member.returnType }.flatMap(::parts)
        assertTrue(types.size > 500, "${types.size}")
        assertEquals(listOf(), types.filter { it.startsWith("dev.volary.internal") })
    }

    private fun parts(type: KType): List<String> =
        listOf(type.classifier.toString().removePrefix("class ")) +
            type.arguments.flatMap { it.type?.let(::parts).orEmpty() }

    /** Those of lambdas and files are no classes in Kotlin's sense. */
    private fun Class<*>.kotlinOrNull(): KClass<*>? =
        kotlin.takeIf { getAnnotation(Metadata::class.java)?.kind == 1 && !isSynthetic }

    @Test
    fun `rules for shrinkers and the native library lie where they are looked for`() {
        for (folder in listOf("META-INF/proguard", "META-INF/com.android.tools/r8")) {
            val rules = classes.resolve("$folder/volary.pro").readText()
            assertContains(rules, "-keep class dev.volary.internal.** { *; }")
        }
        assertTrue(classes.resolve("${Platform.RESOURCE_PREFIX}/${System.mapLibraryName("volary")}").exists())
    }
}
