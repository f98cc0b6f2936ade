package dev.volary.example

import dev.volary.Model
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.runBlocking
import kotlin.test.Test
import kotlin.test.assertContains
import kotlin.test.assertEquals
import kotlin.test.assertNull
import kotlin.test.assertTrue

class CompletionPresenterTest {
    private class Screen : CompletionView {
        var text = ""
        val lines = mutableListOf<String>()
        val states = mutableListOf<Boolean>()
        var whenShown: () -> Unit = {}

        override fun show(text: String) {
            this.text = text
        }

        override fun append(piece: String) {
            text += piece
            whenShown()
        }

        override fun tell(line: String) {
            lines += line
        }

        override fun writing(isWriting: Boolean) {
            states += isWriting
        }
    }

    private val screen = Screen()
    private val golden = "${System.getProperty("volary.root")}/tests/golden"

    private fun presenter(scope: CoroutineScope, file: String = "v7.pth"): CompletionPresenter =
        CompletionPresenter(screen, scope) { progress -> Model.load("$golden/$file", progress = progress) }

    @Test
    fun `a text is written`() = runBlocking {
        val presenter = presenter(this)
        assertNull(presenter.press("Too early"))
        presenter.start().join()
        presenter.press("Once")!!.join()
        assertTrue(screen.text.startsWith("Once") && screen.text.length > 4)
        assertEquals(listOf(true, false), screen.states)
        assertContains(screen.lines, "Ready")
        assertContains(screen.lines.last(), "tokens a second")
        presenter.close()
    }

    @Test
    fun `the button stops the text, and writes another`() = runBlocking {
        val presenter = presenter(this)
        presenter.start().join()
        var pieces = 0
        screen.whenShown = { if (++pieces == 3) assertNull(presenter.press("ignored")) }
        presenter.press("Once")!!.join()
        assertEquals(3, pieces)
        presenter.press("Twice")!!.join()
        assertTrue(screen.text.startsWith("Twice"))
        presenter.close()
    }

    @Test
    fun `closing ends the text`() = runBlocking {
        val presenter = presenter(this)
        presenter.start().join()
        screen.whenShown = { presenter.close() }
        presenter.press("Once")!!.join()
        assertEquals(listOf(true, false), screen.states)
        assertNull(presenter.press("Again"))
    }

    @Test
    fun `what goes wrong is told`() = runBlocking {
        val presenter = presenter(this, "none.pth")
        presenter.start().join()
        assertContains(screen.lines.last(), "none.pth: no such file")
        assertNull(presenter.press("Once"))
    }
}
