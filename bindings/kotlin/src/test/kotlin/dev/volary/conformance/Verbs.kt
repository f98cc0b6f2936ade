package dev.volary.conformance

import dev.volary.Chat
import dev.volary.Evaluation
import dev.volary.GenerateOptions
import dev.volary.Generation
import dev.volary.Model
import dev.volary.State
import dev.volary.Tokenizer
import dev.volary.readInfo

/** Takes a step's arguments, and gives what `save` keeps and the result. */
typealias Verb = suspend (Arguments) -> Result

/** The table of tests/conformance/README.md. */
val verbs: Map<String, Verb> =
    modelVerbs() + generationVerbs() + stateVerbs() + tokenizerVerbs() + chatVerbs() + toolVerbs()

private fun kept(verb: suspend (Arguments) -> Any): Verb = { Result(kept = verb(it)) }

internal fun told(verb: suspend (Arguments) -> Any?): Verb = { Result(value = verb(it)) }

private val Arguments.model get() = on<Model>()

private fun modelVerbs(): Map<String, Verb> = mapOf(
    "Model.load" to kept {
        Model.load(
            path = it.text("path"),
            threads = it.int("threads"),
            tokenizer = it.string("tokenizer"),
            groupNormEps = it.double("group_norm_eps"),
            type = it.string("type"),
            initialState = it.string("initial_state"),
            loras = it.loras(),
        )
    },
    "Model.demo" to kept {
        Model.demo(
            threads = it.int("threads"),
            tokenizer = it.string("tokenizer"),
            groupNormEps = it.double("group_norm_eps"),
            type = it.string("type"),
            initialState = it.string("initial_state"),
            loras = it.loras(),
        )
    },
    "Model.info" to told { it.model.info },
    "read_info" to told { readInfo(it.text("path")) },
    "Model.tokenizer" to { described(it.model.tokenizer) },
    "Model.new_state" to kept { it.model.newState() },
    "Model.prefill" to kept {
        val (model, state) = it.model to it.state()
        if ("tokens" in it) model.prefill(it.ints("tokens"), state) else model.prefill(it.text("text"), state)
    },
    "Model.eval" to { evaluated(it.model.eval(it.int("token")!!, it.state())) },
    "Model.eval_sequence" to {
        evaluated(it.model.evalSequence(it.ints("tokens"), it.state(), it.boolean("all_logits")))
    },
    "Model.eval_batch" to told {
        val sequences = it.objects("sequences")
        val evaluations = it.model.evalBatch(sequences.map { it.ints("tokens") }, sequences.map { it.state() })
        evaluations.map { (logits, state) -> logits.also { state.close() } }
    },
    "Model.decode" to told { it.model.decode(it.int("token")!!, it.state()!!) },
    "Model.chat" to kept { it.model.chat(it.string("system"), it.string("format")) },
    "Model.perplexity" to told {
        it.model.perplexity(it.text("text"), it.int("skip") ?: 0, it.int("limit"), it.int("chunk"))
    },
    "Model.bench" to told {
        it.model.bench(
            prefillTokens = it.int("prefill_tokens") ?: 512,
            decodeTokens = it.int("decode_tokens") ?: 64,
            batch = it.int("batch") ?: 1,
            repeats = it.int("repeats") ?: 3,
        )
    },
)

private fun evaluated(evaluation: Evaluation) = Result(evaluation.state, evaluation.logits)

private fun generationVerbs(): Map<String, Verb> = mapOf(
    "Model.generate" to {
        val options = it.generateOptions()
        val (model, prompt) = it.model to it.string("prompt")
        val generation =
            if (prompt == null) model.generate(it.ints("tokens"), options) else model.generate(prompt, options)
        generated(generation, it.int("cancel_after"), it.isKept)
    },
    "Model.complete" to told { it.model.complete(it.text("prompt"), it.generateOptions()) },
    "Model.complete_batch" to told { it.model.completeBatch(it.strings("prompts"), it.generateOptions()) },
)

private suspend fun generated(generation: Generation, cancelAfter: Int?, keepState: Boolean): Result {
    // A flow that has not begun cannot be cancelled: this one is as soon as it has.
    val flow = if (cancelAfter == 0) Generation { generation.begin().apply { cancel() } } else generation
    val text = StringBuilder()
    var pieces = 0
    fun show(piece: String) {
        text.append(piece)
        if (++pieces == cancelAfter) flow.cancel()
    }
    var state: State? = null
    if (keepState) state = flow.collectState(::show) else flow.pieces.collect { show(it.text) }
    val stats = flow.stats!!
    val result = mapOf(
        "text" to text.toString(),
        "usage" to stats.usage,
        "timings" to stats.timings,
        "seed" to stats.seed,
        "finish_reason" to stats.finishReason,
    )
    return Result(state, result)
}

private fun stateVerbs(): Map<String, Verb> = mapOf(
    "State.clone" to kept { it.on<State>().clone() },
    "State.save" to told { it.on<State>().save(it.text("path")) },
    "State.load" to kept { State.load(it.on("model"), it.text("path")) },
    "State.to_bytes" to kept { it.on<State>().toBytes() },
    "State.from_bytes" to kept { State.fromBytes(it.on("bytes")) },
    "State.to_floats" to told { it.on<State>().toFloats() },
)

private fun tokenizerVerbs(): Map<String, Verb> = mapOf(
    "Tokenizer.world" to { described(Tokenizer.world()) },
    "Tokenizer.raw_bytes" to { described(Tokenizer.rawBytes()) },
    "Tokenizer.open" to { described(Tokenizer.open(it.text("path"))) },
    "Tokenizer.of_model" to { described(Tokenizer.ofModel(it.text("path"))) },
    "Tokenizer.encode" to told { it.on<Tokenizer>().encode(it.text("text")) },
    "Tokenizer.decode" to told { it.on<Tokenizer>().decode(it.ints("ids")) },
)

private fun described(tokenizer: Tokenizer) = Result(
    tokenizer,
    mapOf("name" to tokenizer.name, "n_vocab" to tokenizer.nVocab, "end_of_text" to tokenizer.endOfText),
)

private val Arguments.chat get() = on<Chat>()

private fun chatVerbs(): Map<String, Verb> = mapOf(
    "Chat.send" to { reply(it) { options -> it.chat.send(it.text("text"), options) } },
    "Chat.retry" to { reply(it) { options -> it.chat.retry(options) } },
    "Chat.alternate" to { reply(it) { options -> it.chat.alternate(options) } },
    "Chat.undo" to told { it.chat.undo() },
    "Chat.reset" to told { it.chat.reset() },
    "Chat.set_system" to told { it.chat.setSystem(it.string("text")) },
    "Chat.history" to told { it.chat.history },
    "Chat.format" to told { it.chat.format },
    "Chat.save" to told { it.chat.save(it.text("path")) },
    "Chat.load" to kept { Chat.load(it.on("model"), it.text("path")) },
)

private suspend fun reply(with: Arguments, begin: (GenerateOptions) -> Generation): Result =
    generated(begin(with.generateOptions()), with.int("cancel_after"), keepState = false)
