package dev.volary

import org.junit.jupiter.api.io.TempDir
import java.nio.file.Path
import kotlin.test.Test
import kotlin.test.assertContentEquals
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertTrue

class StateTest {
    @TempDir
    lateinit var temporary: Path

    @Test
    fun `eval leaves the state, and decode moves it on`() = withModel { model ->
        model.prefill("Once").use { state ->
            val before = state.toFloats()
            val (logits, after) = model.eval(65, state)
            assertContentEquals(before, state.toFloats())
            assertContentEquals(logits, model.decode(65, state))
            after.use { assertContentEquals(it.toFloats(), state.toFloats()) }
        }
    }

    @Test
    fun `a sequence gives what its tokens give one by one`() = withModel { model ->
        val tokens = "Once upon".map { it.code }
        model.newState().use { state ->
            val single = tokens.map { model.decode(it, state) }
            val (all, after) = model.evalSequence(tokens, allLogits = true)
            val (last, alsoAfter) = model.evalSequence(tokens)
            assertEquals(tokens.size * 256, all.size)
            near(single.last(), last)
            near(single.first(), all.copyOf(256))
            near(state.toFloats(), after.toFloats())
            near(state.toFloats(), alsoAfter.toFloats())
            listOf(after, alsoAfter).forEach { it.close() }
        }
    }

    @Test
    fun `a batch gives what each sequence gives alone`() = withModel { model ->
        val sequences = listOf("Once", "upon a", "time").map { text -> text.map { it.code } }
        model.prefill("Well.").use { state ->
            val states = listOf(null, state, null)
            model.evalBatch(sequences, states).forEachIndexed { index, (logits, after) ->
                val (alone, alsoAfter) = model.evalSequence(sequences[index], states[index])
                near(alone, logits)
                listOf(after, alsoAfter).forEach { it.close() }
            }
            val error = assertFailsWith<VolaryException.InvalidArgument> { model.evalBatch(sequences, listOf(state)) }
            assertEquals("states: 1 given for 3 sequences; give one for each, null for a new text", error.message)
        }
    }

    @Test
    fun `a state survives a file, bytes and floats`() = withModel { model ->
        val file = temporary.resolve("a.state").toString()
        model.prefill("Once").use { state ->
            state.save(file)
            val copies = listOf(
                state.clone(),
                State.load(model, file),
                State.fromBytes(state.toBytes()),
                State.fromFloats(model, state.toFloats()),
            )
            val wanted = model.decode(65, state)
            for (copy in copies) copy.use { assertContentEquals(wanted, model.decode(65, it)) }
        }
    }

    @Test
    fun `what does not fit is an error`() = withModel { model ->
        assertFailsWith<VolaryException.InvalidArgument> { model.eval(256) }
        assertFailsWith<VolaryException.InvalidArgument> { model.eval(-1) }
        assertFailsWith<VolaryException.Mismatch> { State.fromFloats(model, FloatArray(3)) }
        assertFailsWith<VolaryException.NotFound> { State.load(model, temporary.resolve("none").toString()) }
        assertFailsWith<VolaryException.Format> { State.fromBytes(byteArrayOf(1, 2, 3)) }
    }

    private fun near(wanted: FloatArray, found: FloatArray) {
        assertEquals(wanted.size, found.size)
        assertTrue(wanted.indices.all { kotlin.math.abs(wanted[it] - found[it]) < 1e-3 })
    }
}
