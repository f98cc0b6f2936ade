package dev.volary.example

import android.app.Activity
import android.os.Bundle
import android.widget.Button
import android.widget.EditText
import android.widget.LinearLayout
import android.widget.ScrollView
import android.widget.TextView
import dev.volary.Model
import kotlinx.coroutines.MainScope
import kotlinx.coroutines.cancel
import java.io.File

/** A prompt, a button, a text. The model is `model.gguf` in the application's folder for files, or else the demo. */
class CompletionActivity : Activity(), CompletionView {
    private val scope = MainScope()
    private val presenter = CompletionPresenter(this, scope) { progress ->
        if (file.exists()) Model.load(file.path, progress = progress) else Model.demo(progress = progress)
    }
    private val file get() = File(getExternalFilesDir(null), "model.gguf")

    private lateinit var prompt: EditText
    private lateinit var button: Button
    private lateinit var line: TextView
    private lateinit var text: TextView

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        prompt = EditText(this).apply { setText("Once upon a time") }
        button = Button(this).apply { setOnClickListener { presenter.press(prompt.text.toString()) } }
        line = TextView(this)
        text = TextView(this).apply { setTextIsSelectable(true) }
        val column = LinearLayout(this).apply { orientation = LinearLayout.VERTICAL }
        val note = TextView(this)
        listOf(note, prompt, button, line, text).forEach(column::addView)
        setContentView(ScrollView(this).apply { addView(column) })
        writing(false)
        if (!file.exists()) {
            note.text = "The demo model. A real one: adb push MODEL.gguf ${file.path}; see https://huggingface.co/BlinkDL"
        }
        presenter.start()
    }

    override fun onDestroy() {
        scope.cancel()
        presenter.close()
        super.onDestroy()
    }

    override fun show(text: String) {
        this.text.text = text
    }

    override fun append(piece: String) {
        text.append(piece)
    }

    override fun tell(line: String) {
        this.line.text = line
    }

    override fun writing(isWriting: Boolean) {
        button.text = if (isWriting) "Stop" else "Write"
    }
}
